"""What a worker sends: results are never dropped for newer ones."""

from __future__ import annotations

import socket

from engine.messages.events import Preview
from engine.runtime.outbox import Outbox


def test_every_picture_that_is_a_result_is_sent() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outbox = Outbox(ours)
        for number in range(50):
            outbox.tell("job", 1, Preview("2", "2", b"passing"))
            outbox.tell("job", 1, Preview("2", "2", b"<%d>" % number, kept=True))
        outbox.close()
        ours.shutdown(socket.SHUT_WR)
        sent = b""
        while part := theirs.recv(65_536):
            sent += part
    places = [sent.index(b"<%d>" % number) for number in range(50)]
    assert places == sorted(places)
    assert b"passing" in sent
