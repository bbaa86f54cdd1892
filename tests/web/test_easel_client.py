"""``easel_client.py`` when the connection breaks."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

import easel_client
import server as easel_server

JOB = {"id": "one", "state": "queued", "outputs": [], "errors": []}


class Breaking:
    """Takes connections, ends the first ones without an answer, and keeps what was sent."""

    def __init__(self, breaks: int) -> None:
        self.heads: list[str] = []
        self._breaks = breaks
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        body = json.dumps(JOB).encode()
        while True:
            connection, _ = self._socket.accept()
            with connection:
                self.heads.append(connection.recv(2**16).decode())
                if len(self.heads) > self._breaks:
                    connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def keys(self) -> list[str]:
        return [line for head in self.heads for line in head.lower().splitlines() if line.startswith("idempotency-key")]


def test_a_job_is_sent_again_with_the_same_key_when_the_connection_broke() -> None:
    server = Breaking(1)
    job = easel_client.Client(server.address).submit({"1": {}})
    first, second = server.keys()
    assert job.id == "one" and first == second


def test_what_breaks_twice_or_has_no_key_is_told_as_unreachable() -> None:
    for breaks, call, sent in (
        (9, lambda client: client.submit({"1": {}}), 2), (9, lambda client: client.cancel("one"), 1),
        (9, lambda client: client.submit({"1": {}}, id="mine"), 1),
    ):
        server = Breaking(breaks)
        with pytest.raises(easel_client.EaselError, match="no server answers") as told:
            call(easel_client.Client(server.address))
        assert told.value.status == 0 and len(server.heads) == sent


@pytest.mark.parametrize(("address", "text", "says"), [
    ("127.0.0.1:8188", "{}", "an address like http://"), ("http://127.0.0.1:1", "# no JSON", "is not valid JSON"),
])
def test_the_command_line_says_what_is_wrong_with_an_address_or_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, text: str, says: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    assert easel_server.main(["run", str(tmp_path / "a.json"), "--server", address]) == 2
    assert says in capsys.readouterr().err
