"""What all tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Modules that Easel makes for node packs. One of them, `server`, has the name of our own program.
FOR_PACKS = ("comfy", "comfy_api", "comfy_execution", "custom_nodes", "execution", "folder_paths", "latent_preview",
             "server")

HERE = Path(__file__).parent
LONG = (
    "browser/test_flows.py", "parity/test_networks.py", "nodes/test_determinism.py", "parity/test_pipelines.py",
    "training/test_family.py", "whole/test_clients.py", "memory/test_recovery.py", "whole/test_server.py",
    "browser/test_bundle.py", "training/test_starter.py", "whole/test_devices.py", "whole/test_load.py",
    "whole/test_kill.py", "jobs/test_kill.py", "security/test_input.py", "parity/test_full_size.py",
    "checkpoints/test_hostile_everywhere.py", "browser/test_front_end.py", "nodes/test_model_patches.py",
    "whole/test_workflows.py", "whole/test_doors.py", "whole/test_operations.py", "whole/test_gallery.py",
    "comfy/test_samplers.py", "comfy/test_sockets.py", "checkpoints/test_folders.py", "memory/test_costs.py",
    "web/test_jobs.py", "web/test_webhooks.py", "jobs/test_dispatcher.py",
)  # fmt: skip
"""Files that take long, the longest first: whoever gets such a file last works alone while others wait."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {HERE / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))


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
