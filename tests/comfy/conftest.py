"""The fixture packs, loaded into a machine of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from engine.comfy.packs import Packs, load_packs
from engine.files.folders import make_folders
from engine.graph.node import LANES
from engine.graph.registry import scan
from engine.graph.types import Conditioning, Image, Latent, Mask, Model
from engine.runtime.cache import ValueCache
from engine.runtime.lanes import Lanes
from engine.runtime.settings import Settings
from engine.runtime.tasks import Machine
from engine.runtime.traces import Traces
from engine.runtime.worker import Engine
from tests.comfy.support import HERE, Context, made
from tests.runtime.toolbox import token_of
from tests.served import ROOT


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Packs, Any]]:
    root = tmp_path_factory.mktemp("data")
    core = dict(scan().nodes)
    for kind in (Image, Mask, Latent, Conditioning, Model):
        core.update({each.spec.class_type: each for each in made(kind)})
    loaded = load_packs([HERE], make_folders(data=root, models=root / "models"), core, torch.device("cpu"))
    machine = Machine(
        nodes={**core, **loaded.nodes}, cache=ValueCache(10**8), traces=Traces(), lanes=Lanes(LANES),
        make_context=lambda entry, display, job, tell: Context(job, tell, entry.id, display), token_of=token_of,
    )
    yield loaded, machine
    machine.lanes.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """With the fixture packs and the models that are shipped."""
    folders = make_folders(data=tmp_path_factory.mktemp("data"), models=ROOT / "models")
    opened = Engine(Settings(folders, cpu=True, precision="fp32", threads=1, packs=(HERE,)))
    yield opened
    opened.close()
