"""What becomes of a pack's nodes from one start to the next."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from engine.comfy.packs import load_packs
from engine.files.folders import make_folders
from engine.graph.node import LANES
from engine.runtime.cache import ValueCache
from engine.runtime.lanes import Lanes
from engine.runtime.tasks import Machine
from engine.runtime.traces import Traces
from tests.comfy.support import Context, run
from tests.runtime.toolbox import NODES, started, token_of

PACK = '''
class Half:
    INPUT_TYPES = classmethod(lambda cls: {{"required": {{"value": ("INT",)}}}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("INT",), "run", "fixture"

    def run(self, value):
        return (value // {divisor},)


NODE_CLASS_MAPPINGS = {{"Half": Half}}
'''


def test_a_pack_that_has_changed_is_not_answered_from_what_it_made_before(tmp_path: Path) -> None:
    """Traces outlive the process, so a class with the same name and inputs must not stand for other programs."""
    pack, kept = tmp_path / "packs" / "half", tmp_path / "traces.db"
    pack.mkdir(parents=True)
    found: list[Any] = []
    for divisor in (3, 3, 2, 2):
        (pack / "__init__.py").write_text(PACK.format(divisor=divisor))
        os.utime(pack / "__init__.py", (divisor, divisor))  # Python tells bytecode that is old by the second
        loaded = load_packs([pack.parent], make_folders(data=tmp_path, models=tmp_path), NODES, torch.device("cpu"))
        machine = Machine(
            nodes={**NODES, **loaded.nodes}, cache=ValueCache(10**6), traces=Traces(kept), lanes=Lanes(LANES),
            make_context=lambda entry, display, job, tell: Context(job, tell, entry.id, display), token_of=token_of,
        )
        ending, events = run((loaded, machine), {"x": ("Half", {"value": 12}), "out": ("Show", {"value": ["x", 0]})})
        found.append((ending.outputs["out"]["text"], started(events)))
        machine.traces.close()
        machine.lanes.close()
    assert found == [([4], ["x", "out"]), ([4], []), ([6], ["x", "out"]), ([6], [])]
