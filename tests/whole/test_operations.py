"""Starting and stopping as operators do: tokens, HTTPS, a signal to end, and what this machine can run."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import aiohttp
import pytest

import easel_client
from tests.served import ROOT, number_workflow, picture_workflow, start_server, stop_server

SERVER = [sys.executable, str(ROOT / "server.py")]


def test_beyond_loopback_a_server_makes_a_token_and_says_where_it_is(tmp_path: Path) -> None:
    client = start_server(tmp_path / "data", "--cpu", "--listen", "0.0.0.0", wait=False)
    try:
        address, _, token = client.address.partition("/?token=")
        assert len(token) == 32
        server = f"http://127.0.0.1:{address.rpartition(':')[2]}"
        with pytest.raises(easel_client.EaselError, match="token") as refused:
            easel_client.Client(server).workflows()
        assert refused.value.status == 401
        assert "txt2img" in easel_client.Client(server, token).workflows()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            except OSError:
                continue
            assert token.encode() not in told, "no process carries it in its command line or environment"
        assert token not in (tmp_path / "data.log").read_text(), "the log does not hold it"
    finally:
        stop_server(client)


def test_named_tokens_are_made_on_the_command_line_and_close_the_server(tmp_path: Path) -> None:
    made = subprocess.run(
        [*SERVER, "token", "--data-directory", str(tmp_path / "data"), "add", "bot"], capture_output=True, text=True,
        timeout=60, check=True)
    token = made.stdout.strip()
    client = start_server(tmp_path / "data", "--cpu", wait=False)
    try:
        assert "token" not in client.address, "it is shown once, when it is made"
        with pytest.raises(easel_client.EaselError):
            easel_client.Client(client.address).workflows()
        bot = easel_client.Client(client.address, token)
        job = bot.run(picture_workflow(seed=3))
        assert job.state == "succeeded" and job.data["peak_memory"] > 2**20
        assert bot.fetch(job.outputs[0]).startswith(b"\x89PNG")
        environment = {**os.environ, "EASEL_TOKEN": token}
        file = tmp_path / "workflow.json"
        file.write_text(json.dumps(picture_workflow(seed=4)))
        done = subprocess.run(
            [*SERVER, "run", str(file), "--server", client.address, "-o", str(tmp_path / "made")], env=environment,
            capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        stop_server(client)


def test_https_is_served_with_a_certificate(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key),
         "-out", str(certificate)], check=True, capture_output=True, timeout=60)
    client = start_server(
        tmp_path / "data", "--cpu", "--tls-cert", str(certificate), "--tls-key", str(key), "--token", wait=False)
    try:
        address, _, token = client.address.partition("/?token=")
        assert address.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(certificate))
        with urllib.request.urlopen(f"{address}/health", context=trust, timeout=60) as answer:
            assert answer.status == 200

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object, **__: object) -> None:
                return None

        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust), Stay())
        with pytest.raises(urllib.error.HTTPError) as moved:
            opener.open(f"{address}/?token={token}", timeout=60)
        assert moved.value.code == 303 and "Secure" in moved.value.headers["Set-Cookie"]
        assert asyncio.run(_run_over(address, token, trust)) == ["status", "executing", "executed"]
    finally:
        stop_server(client)


async def _run_over(address: str, token: str, trust: ssl.SSLContext) -> list[str]:
    """Run a job with a WebSocket, both over TLS; gives some of the messages that came."""
    heard: list[str] = []
    async with (
        aiohttp.ClientSession(address, headers={"Authorization": f"Bearer {token}"}) as http,
        http.ws_connect("/ws?clientId=me", ssl=trust) as socket,
    ):
        body = json.dumps({"prompt": number_workflow(1), "client_id": "me"})
        async with http.post("/prompt", data=body, ssl=trust) as answer:
            assert answer.status == 200
        async for message in socket:
            told = json.loads(message.data)
            heard.append(told["type"])
            if told["type"] == "executing" and told["data"]["node"] is None:
                break
    return [each for each in dict.fromkeys(heard) if each in ("status", "executed", "executing")]


@pytest.mark.parametrize(("flags", "says"), [
    (["--tls-key", "x"], "--tls-cert"), (["--tls-cert", "nowhere.pem"], "no such file"),
    (["--tls-cert", __file__], "PEM certificate"), (["--webhook-host", "http://x"], "wanted is"),
    (["--token", "mine"], "EASEL_TOKEN"), (["--threads", "0"], "1 to 1024"), (["--drain-seconds", "-1"], "seconds"),
])
def test_flags_that_will_not_do_are_refused_before_anything_is_written(
    tmp_path: Path, flags: list[str], says: str
) -> None:
    data = tmp_path / "data"
    done = subprocess.run([*SERVER, "--port", "0", "--data-directory", str(data), *flags], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode in (1, 2) and says in done.stderr
    assert "Traceback" not in done.stderr and not (data / "jobs.db").exists()


def test_a_signal_to_end_ends_an_idle_server_well_and_the_log_can_be_json(tmp_path: Path) -> None:
    client = start_server(tmp_path / "data", "--cpu", "--log-format", "json")
    client.wait(client.post(picture_workflow(seed=5)))
    client.process.send_signal(signal.SIGTERM)
    assert client.process.wait(timeout=60) == 0
    assert client.process.stdout is not None
    client.process.stdout.close()
    lines = [json.loads(line) for line in (tmp_path / "data.log").read_text().splitlines()]
    ended = [each for each in lines if each["logger"] == "easel.jobs"]
    assert [each["state"] for each in ended] == ["succeeded"]


def test_the_doctor_says_what_this_machine_can_run(tmp_path: Path) -> None:
    command = [*SERVER, "doctor", "--cpu", "--data-directory", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "PyTorch" in done.stdout and "s a step" in done.stdout and "checkpoint" in done.stdout
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120, check=True)
    assert {each["level"] for each in json.loads(told.stdout)} <= {"ok", "note"}
    blocked = tmp_path / "a file"
    blocked.touch()
    bad = subprocess.run([*command[:-1], str(blocked)], capture_output=True, text=True, timeout=120, check=False)
    assert bad.returncode == 1 and "--data-directory" in bad.stdout
