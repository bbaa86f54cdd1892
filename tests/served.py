"""A real server in its own process, and a plain HTTP client, for tests that go all the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STANDIN = ROOT / "models" / "starter" / "checkpoints" / "standin.safetensors"


class Client:
    """Speaks to a server as any HTTP client would."""

    def __init__(self, address: str, process: subprocess.Popen[str], first_answer: float) -> None:
        self.address = address
        self.process = process
        self.first_answer = first_answer

    def send(self, path: str, body: Any = None, *, method: str | None = None) -> tuple[int, bytes]:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def get(self, path: str) -> Any:
        status, body = self.send(path)
        assert status == 200, (path, status, body[:500])
        return json.loads(body)

    def post(self, workflow: Any, **more: Any) -> str:
        status, body = self.send("/prompt", {"prompt": workflow, **more})
        assert status == 200, body[:2000]
        return str(json.loads(body)["prompt_id"])

    def wait(self, job: str, seconds: float = 120.0) -> dict[str, Any]:
        """The history entry of a job, when it is there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            history = self.get(f"/history/{job}")
            if history:
                entry: dict[str, Any] = history[job]
                return entry
            time.sleep(0.02)
        raise TimeoutError(f"job {job} did not end within {seconds} s; queue: {self.get('/queue')}")


def start_server(data: Path, *flags: str, wait: bool = True) -> Client:
    """Start a server on a free port; gives a client once it answers."""
    began = time.monotonic()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "server.py"),
            "--port",
            "0",
            "--data-directory",
            str(data),
            "--threads",
            "1",
            *flags,
        ],
        stdout=subprocess.PIPE,
        stderr=(data.parent / f"{data.name}.log").open("a"),
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Easel is at "):
            client = Client(line.split()[-1], process, 0.0)
            if wait:
                client.get("/prompt")
            client.first_answer = time.monotonic() - began
            return client
    raise RuntimeError(f"the server ended: {process.wait()}; {(data.parent / f'{data.name}.log').read_text()[-2000:]}")


def worker_pids(client: Client) -> list[int]:
    """The processes that the server started."""
    import psutil

    return [child.pid for child in psutil.Process(client.process.pid).children(recursive=True)]


def stop_server(client: Client) -> None:
    """End a server, by force if it does not end when asked."""
    client.process.send_signal(signal.SIGINT)
    try:
        client.process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(client.process.pid, signal.SIGKILL)
        client.process.wait()
    if client.process.stdout is not None:
        client.process.stdout.close()


@contextmanager
def served(data: Path, *flags: str) -> Iterator[Client]:
    """A server for the length of a test."""
    client = start_server(data, *flags)
    try:
        yield client
    finally:
        stop_server(client)


def picture_workflow(*, seed: int = 0, color: int = 0x336699, size: int = 32, prefix: str = "test") -> dict[str, Any]:
    """EmptyImage → ImageInvert → SaveImage: three nodes that need no model. ``seed`` makes it another recipe."""
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": size, "height": size, "batch_size": 1, "color": color ^ seed},
        },
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": prefix}},
    }


def number_workflow(value: int) -> dict[str, Any]:
    """PrimitiveInt → PrimitiveString?… the cheapest three nodes: two numbers and a preview."""
    return {
        "1": {"class_type": "PrimitiveInt", "inputs": {"value": value}},
        "2": {"class_type": "PrimitiveInt", "inputs": {"value": ["1", 0]}},
        "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}},
    }


def text_to_image(
    steps: int = 2, size: int = 64, seed: int = 1, text: str = "a red cube", **sampler: Sequence[Any] | Any
) -> Any:
    """The whole way from a checkpoint to a saved picture, small."""
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "standin.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": size, "height": size, "batch_size": 1}},
        "5": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "seed": seed,
                "steps": steps,
                "cfg": 7.5,
                "sampler_name": "euler",
                "scheduler": "normal",
                "positive": ["2", 0],
                "negative": ["3", 0],
                "latent_image": ["4", 0],
                "denoise": 1.0,
                **sampler,
            },
        },
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "picture"}},
    }
