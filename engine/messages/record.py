"""The run record: what a job's pictures depend on besides their graph, kept with the job and in the pictures.

>>> one = RunRecord({"torch": "2.1"}, "cpu", {"unet": "float32"}, weights=(WeightFile("vae", "v", 3, "ab"),))
>>> other = RunRecord({"torch": "2.2"}, "cpu", {"unet": "float32"}, weights=(WeightFile("vae", "v", 3, "cd"),))
>>> differences(one, other)
['torch was 2.1 and is 2.2', 'the weights vae/v have the SHA-256 cd and had ab']
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

VERSION = "0.1.0"
KEY = "easel_run"  # under which a picture carries it


class WeightFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of weights that a job names. ``sha256`` is empty where it was not known yet when the job ended."""

    folder: str
    name: str
    size: int
    sha256: str = ""


class RunRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """versions by program; plan: number types and limits; seeds by ``node.input``; the weights that the graph names.

    memory: how each node that ran a network in this job used memory, in the words of ``--plan``.
    """

    versions: Mapping[str, str]
    device: str
    plan: Mapping[str, str | int | bool | None]
    seeds: Mapping[str, int] = msgspec.field(default_factory=dict)
    weights: tuple[WeightFile, ...] = ()
    memory: Mapping[str, Mapping[str, str | int]] = msgspec.field(default_factory=dict)


def read_record(text: str) -> RunRecord | None:
    """The record in a picture; None if that is none."""
    try:
        return msgspec.json.decode(text, type=RunRecord)
    except msgspec.MsgspecError:
        return None


def differences(before: RunRecord, now: RunRecord) -> list[str]:
    """What is not as it was, in words."""
    found = [
        f"{name} was {before.versions[name]} and is {now.versions.get(name, 'not there')}"
        for name in before.versions if before.versions[name] != now.versions.get(name)
    ]
    if before.device != now.device:
        found.append(f"the device was {before.device} and is {now.device}")
    found += [
        f"{name} was {_said(before.plan[name])} and is {_said(now.plan.get(name))}"
        for name in before.plan if before.plan[name] != now.plan.get(name)
    ]
    common = [node for node in before.memory if node in now.memory]
    both = [(node, _words(before.memory[node]), _words(now.memory[node])) for node in common]
    found += [f"the plan of node {node} was {old} and is {new}" for node, old, new in both if old != new]
    present = {(each.folder, each.name): each for each in now.weights}
    for each in before.weights:
        place, other = f"{each.folder}/{each.name}", present.get((each.folder, each.name))
        if other is None:
            found.append(f"the weights {place} are not there")
        elif each.sha256 and other.sha256 and each.sha256 != other.sha256:
            found.append(f"the weights {place} have the SHA-256 {other.sha256} and had {each.sha256}")
        elif each.size != other.size:
            found.append(f"the weights {place} have {other.size} bytes and had {each.size}")
        elif not each.sha256:
            found.append(f"the digest of {place} was not recorded, so nobody knows whether it is the same file")
    return found


def _words(plan: Mapping[str, str | int]) -> str:
    """What of a plan may change a picture: not whether its weights stayed in memory."""
    return ",".join(f"{name}={value}" for name, value in plan.items() if name != "weights") or "everything at once"


def _said(value: object) -> str:
    return "not set" if value in (None, "") else str(value)
