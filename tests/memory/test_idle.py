"""What a worker does not import it does not carry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.diffusion.meta import on_meta
from tests.memory.models import write_model

JOB = """
import sys
from pathlib import Path
from tests.memory.test_recovery import Workplace, text_to_picture
place = Workplace(Path(sys.argv[1]))
ending, pictures = place.run(text_to_picture())
assert pictures.shape == (1, 64, 64, 3), ending
print(*(name for name in ("torch._dynamo", "torch._inductor", "sympy", "transformers") if name in sys.modules))
"""


@pytest.mark.full
def test_a_picture_takes_neither_transformers_nor_torchs_compiler(tmp_path: Path) -> None:
    """Each of them is 70 MB and more, and seconds until the first picture."""
    write_model(tmp_path / "models" / "checkpoints" / "m.safetensors", 8)
    done = subprocess.run([sys.executable, "-c", JOB, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_networks_on_the_meta_device_draw_nothing() -> None:
    with on_meta():
        layer = nn.Linear(3, 4)
        kept = torch.zeros(3, device="cpu")
        nn.init.uniform_(kept)
    assert layer.weight.is_meta and layer.bias.is_meta
    assert torch.equal(kept, torch.zeros(3))
