"""How a job's end is put into words and bytes."""

from __future__ import annotations

import signal
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from engine.jobs.history import history_json
from engine.jobs.job import Job, Record
from engine.messages.events import End, Failed, Interrupted

MAX_RESULT = 64 * 2**20


def written_end(job: Job, record: Record) -> tuple[Job, Record, bytes, bytes]:
    """A job's end as it goes to disk; an ending that cannot be written becomes a failure that says so."""
    try:
        history, result = history_json(job, record), msgspec.msgpack.encode(record)
        size = len(history) + len(result)
        if size <= MAX_RESULT:
            return job, record, history, result
        why = f"what its nodes show takes {size} bytes; at most {MAX_RESULT} can be kept"
    except (TypeError, ValueError, RecursionError) as error:
        why = f"what its nodes show cannot be written as JSON: {error}"
    record = Record(record.events, Failed(time=record.ending.time, exception_type="ValueError", message=why))
    job = replace(job, state="failed")
    return job, record, history_json(job, record), msgspec.msgpack.encode(record)


def with_place(job: Job, ending: End) -> End:
    """An interruption that came before any node ran is told of the first node that was to be delivered.

    Clients of ComfyUI's protocol take for granted that ``execution_interrupted`` names a node.
    """
    if not isinstance(ending, Interrupted) or ending.node is not None or not job.targets:
        return ending
    node = job.targets[0]
    try:
        written = msgspec.json.decode(job.prompt, type=dict[str, msgspec.Raw])[node]
        kind = str(msgspec.json.decode(written).get("class_type", ""))
    except (msgspec.DecodeError, KeyError, AttributeError):
        kind = ""
    return replace(ending, node=node, display=node, class_type=kind)


def describe_exit(code: int) -> str:
    """Say how a process ended, from its exit code as ``subprocess`` gives it.

    >>> describe_exit(-9)
    'killed by signal 9 (SIGKILL)'
    """
    if code >= 0:
        return f"it exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"killed by signal {-code} ({name})"


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def died_with_worker(time: float, deaths: int, cause: str, words: Iterable[str]) -> Failed:
    """The ending of a job that has cost too many workers their lives; ``words`` are the last lines they printed."""
    printed = "\n".join(words) or "(nothing)"
    return Failed(
        time=time, exception_type="WorkerDied",
        message=f"the worker ended while running this job, for the {_nth(deaths)} time: {cause}. The last it"
                f" printed:\n{printed}\nIf it was out of memory, try a smaller picture or batch")
