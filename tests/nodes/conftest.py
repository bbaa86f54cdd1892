"""One thread: two cores are shared. A desk has folders and a context of its own; a bench runs whole graphs."""

from pathlib import Path

import pytest
import torch

from tests.nodes.studio import Bench, Desk

torch.set_num_threads(1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
