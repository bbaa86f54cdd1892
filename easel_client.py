"""A client of Easel's job API in one file; needs nothing but Python.

For example:

    client = Client("http://127.0.0.1:8188")
    job = client.call("txt2img", prompt="a red cube", seed=1)     # a saved workflow by its named inputs
    job = client.run(workflow, {"6.text": "a red cube"})          # a workflow in either form
    for output in job.outputs:
        if "url" in output:
            Path(output["filename"]).write_bytes(client.fetch(output))
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WAIT = 60.0  # seconds of one request; longer jobs are asked for again
ENDED = frozenset({"succeeded", "failed", "cancelled"})


class EaselError(Exception):
    """The server refused: ``status`` and ``type`` for programs, ``problems`` one by one, the message for people.

    ``status`` is 0 if no server answered.
    """

    def __init__(self, status: int, kind: str, message: str, problems: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.status, self.type, self.problems = status, kind, problems


@dataclass(frozen=True)
class Job:
    """A job as the server told it."""

    id: str
    state: str
    outputs: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    data: Mapping[str, Any] = field(default_factory=dict)  # all that was told

    @property
    def ended(self) -> bool:
        """Whether it succeeded, failed or was cancelled."""
        return self.state in ENDED


class Client:
    """Speaks to one server. ``token`` is needed by servers that listen beyond loopback."""

    def __init__(self, server: str = "http://127.0.0.1:8188", token: str | None = None, timeout: float = 90.0) -> None:
        if not server.startswith(("http://", "https://")):
            raise ValueError(f"the server is an address like http://127.0.0.1:8188; found {server!r}")
        self.server, self.token, self.timeout = server.rstrip("/"), token, timeout

    def submit(self, workflow: Mapping[str, Any], changes: Mapping[str, Any] | None = None, **more: Any) -> Job:
        """Queue a workflow with inputs set; ``more`` are fields of the job (``number``, ``targets``, ``partial``…).

        Sent again, once, if no answer comes: by its key it is one job. Raises EaselError.
        """
        body = {"workflow": workflow, **({"set": dict(changes)} if changes else {}), **more}
        key = {} if "id" in more else {"Idempotency-Key": str(uuid.uuid4())}
        return self._job("POST", "/api/jobs", body, key)

    def run(self, workflow: Mapping[str, Any], changes: Mapping[str, Any] | None = None, **more: Any) -> Job:
        """Queue a workflow and wait for its end. Raises EaselError."""
        return self.wait(self.submit(workflow, changes, **more).id)

    def call(self, name: str, **inputs: Any) -> Job:
        """Run a saved workflow by its named inputs and wait for its end. Raises EaselError."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        return self.wait(self._job("POST", f"/api/workflows/{_quoted(name)}/run", inputs, key).id)

    def inputs(self, name: str) -> dict[str, Any]:
        """The JSON Schema of what a saved workflow takes. Raises EaselError."""
        schema: dict[str, Any] = json.loads(self._send("GET", f"/api/workflows/{_quoted(name)}"))["inputs"]
        return schema

    def workflows(self) -> list[str]:
        """The names of the saved workflows."""
        names: list[str] = json.loads(self._send("GET", "/api/workflows"))
        return names

    def wait(self, job_id: str, seconds: float | None = None) -> Job:
        """Wait for a job's end, or for some seconds; gives the job as it is then."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            rest = WAIT if end is None else max(0.0, min(WAIT, end - time.monotonic()))
            job = self._job("GET", f"/api/jobs/{_quoted(job_id)}?wait={rest:.3f}")
            if job.ended or (end is not None and time.monotonic() >= end):
                return job

    def jobs(self, **query: str | int) -> list[Job]:
        """A page of jobs: ``state``, ``search``, ``limit``, ``offset``."""
        found = json.loads(self._send("GET", f"/api/jobs?{urllib.parse.urlencode(query)}"))
        return [_read(each) for each in found["jobs"]]

    def events(self, job_id: str) -> Iterator[tuple[str, Any]]:
        """What happens to a job, as (name, data), until its end."""
        request = self._request("GET", f"/api/jobs/{_quoted(job_id)}/events", None, {})
        name = ""
        with self._open(request) as answer:
            for line in answer:
                kind, _, value = line.decode().rstrip("\n").partition(": ")
                if kind == "event":
                    name = value
                elif kind == "data":
                    yield name, json.loads(value)

    def cancel(self, job_id: str) -> Job:
        """Stop a job."""
        return self._job("POST", f"/api/jobs/{_quoted(job_id)}/cancel")

    def retry(self, job_id: str) -> Job:
        """Run an ended job's workflow again, as a new job."""
        return self._job("POST", f"/api/jobs/{_quoted(job_id)}/retry")

    def delete(self, job_id: str) -> None:
        """Forget an ended job; its files stay."""
        self._send("DELETE", f"/api/jobs/{_quoted(job_id)}")

    def move(self, job_id: str, position: int) -> Job:
        """Have a waiting job run at a position, 1 is next. Needs an administrator's token."""
        return self._job("PATCH", f"/api/jobs/{_quoted(job_id)}", {"position": position})

    def upload(self, picture: Path) -> str:
        """Put a picture into the input folder; gives the name that a workflow's input takes."""
        boundary, name = uuid.uuid4().hex, picture.name.replace('"', "_")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
        body = head.encode() + picture.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        stored: str = json.loads(self._send("POST", "/upload/image", body, kind))["name"]
        return stored

    def fetch(self, output: Mapping[str, Any]) -> bytes:
        """The file of one of a job's outputs."""
        return self._send("GET", output["url"])

    def _job(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Job:
        return _read(json.loads(self._send(method, path, body, headers)))

    def _request(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> urllib.request.Request:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **headers}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        return urllib.request.Request(self.server + path, data, sent, method=method)  # noqa: S310

    def _send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
        request = self._request(method, path, body, headers or {})
        try:
            return self._receive(request)
        except EaselError as error:
            if error.status != 0 or "Idempotency-Key" not in (headers or {}):
                raise
            return self._receive(request)  # with the same key: if the server had it, it answers with that job

    def _receive(self, request: urllib.request.Request) -> bytes:
        try:
            with self._open(request) as answer:
                content: bytes = answer.read()
                return content
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None

    def _open(self, request: urllib.request.Request) -> Any:
        try:
            return urllib.request.urlopen(request, timeout=self.timeout)  # noqa: S310 - http(s) only, see above
        except urllib.error.HTTPError as error:
            raise _refused(error) from None
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError, a time-out too
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> EaselError:
        why = getattr(error, "reason", None) or str(error) or type(error).__name__
        message = f"no server answers at {self.server}: {why}; start one with: python server.py"
        return EaselError(0, "unreachable", message, [])


def is_signed(secret: bytes, header: str, body: bytes, seconds: float = 300.0) -> bool:
    """Whether a webhook's message is the server's and not older than some seconds.

    secret: what the server's file ``webhook-secret`` holds, with its line end or without.
    header: ``Easel-Signature``. body: as it came.
    """
    match = re.fullmatch(r"t=(\d{1,12}),v1=([0-9a-f]{64})", header)
    if match is None or abs(time.time() - int(match[1])) > seconds:
        return False
    wanted = hmac.new(secret.strip(), match[1].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, match[2])


def _read(data: Mapping[str, Any]) -> Job:
    return Job(data["id"], data["state"], data["outputs"], data["errors"], data)


def _refused(error: urllib.error.HTTPError) -> EaselError:
    try:
        told = json.loads(error.read())["error"]
    except (ValueError, KeyError, TypeError):
        return EaselError(error.code, "http_error", f"the server answered {error.code}", [])
    message = f"{told['message']}\n{told['details']}" if told["details"] != told["message"] else told["message"]
    return EaselError(error.code, told["type"], message, told["extra_info"].get("problems", []))


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
