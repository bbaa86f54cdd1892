"""One thread: two cores are shared. A desk has folders and a context of its own."""

from pathlib import Path

import pytest
import torch

from tests.nodes.studio import Desk

torch.set_num_threads(1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
