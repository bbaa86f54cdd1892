"""What all tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

# Modules that Easel makes for node packs. One of them, `server`, has the name of our own program.
FOR_PACKS = ("comfy", "comfy_api", "comfy_execution", "custom_nodes", "execution", "folder_paths", "latent_preview",
             "server")


@pytest.fixture(autouse=True)
def _numbers_drawn_without_a_seed_are_the_same_each_time() -> None:
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="module")
def _modules_for_packs_stay_in_their_tests() -> Iterator[None]:
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in FOR_PACKS}
    yield
    for name in [each for each in sys.modules if each.split(".")[0] in FOR_PACKS]:
        del sys.modules[name]
    sys.modules.update(before)
