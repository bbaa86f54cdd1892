"""What a worker sends: results are never dropped for newer ones."""

from __future__ import annotations

import socket
import threading

import pytest

from engine.messages.events import NodeStarted, Preview, Succeeded
from engine.messages.protocol import HEADER, Alive, JobEvent, decode_report
from engine.runtime import outbox as module
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


def reports(sent: bytes) -> list[object]:
    found = []
    while sent:
        (length,) = HEADER.unpack(sent[: HEADER.size])
        found.append(decode_report(sent[HEADER.size : HEADER.size + length]))
        sent = sent[HEADER.size + length :]
    return found


def test_an_ending_goes_at_once_with_what_was_told_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with the thread that sends what has waited: here that waits for ever."""
    monkeypatch.setattr(module, "GATHER", 3600.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outbox = Outbox(ours)
        for node in "abc":
            outbox.tell("job", 1, NodeStarted(node, node))
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        outbox.tell("job", 1, Succeeded(time=1.0))
        told = reports(theirs.recv(65_536))
        assert [type(each.event) for each in told] == [*[NodeStarted] * 3, Succeeded]  # type: ignore[attr-defined]
        outbox.tell("job", 2, NodeStarted("d", "d"))
        outbox.put(Alive())
        assert [type(each) for each in reports(theirs.recv(65_536))] == [JobEvent, Alive]
        outbox.close()


def test_an_event_that_nothing_follows_is_sent_too() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outbox = Outbox(ours)
        outbox.tell("job", 1, NodeStarted("a", "a"))
        assert len(reports(theirs.recv(65_536))) == 1
        outbox.close()


def test_what_the_socket_does_not_take_at_once_is_sent_in_order() -> None:
    """Endings are larger than the socket's buffer, and are read only when all are told."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        outbox = Outbox(ours)
        endings = [
            Succeeded(time=float(number), outputs={"1": {"text": ["x" * 300_000]}}) for number in range(8)
        ]
        for number, ending in enumerate(endings):
            outbox.tell("job", number, NodeStarted("a", "a"))
            outbox.tell("job", number, ending)
        sent = bytearray()

        def read() -> None:
            while part := theirs.recv(65_536):
                sent.extend(part)

        reader = threading.Thread(target=read)
        reader.start()
        outbox.close()
        ours.shutdown(socket.SHUT_WR)
        reader.join()
    told = [(each.attempt, type(each.event)) for each in reports(bytes(sent))]  # type: ignore[attr-defined]
    assert told == [(number, kind) for number in range(8) for kind in (NodeStarted, Succeeded)]
