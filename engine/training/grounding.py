"""Teaching the text encoder which of a caption's solids is where.

Telling whole captions apart does not need it: of "a red cube left of a blue sphere" the states knew the words, but
none said that the left one is the red cube, so a UNet drew either. Here a small network is shown where a scene's
solids stand and must name each from the caption's states alone. Between the states and the answer there is one
attention, as in a block of the UNet: what it cannot look up there, the states must say.

    centres (b, n, 3) ─ who stands where ─ one cross-attention ─ shape and colour of each
                    caption's states (b, length, width) ─┘
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.training.checker import COLOUR_NAMES, OFFSETS, SHAPE_NAMES
from engine.training.scenes import Scene

HEADS = 4


class Standing(NamedTuple):
    """Where the solids of some scenes stand and what they are, padded to the most that one has.

    centres (b, n, 3) in world units less `OFFSETS`; there (b, n) bool: false where a scene has fewer; shapes and
    colours (b, n) int64.
    """

    centres: Tensor
    there: Tensor
    shapes: Tensor
    colours: Tensor


def standing(scenes: Sequence[Scene], device: torch.device) -> Standing:
    """The facts of scenes, as tensors."""
    rows, most = len(scenes), max(len(scene.solids) for scene in scenes)
    centres, there = torch.zeros(rows, most, 3), torch.zeros(rows, most, dtype=torch.bool)
    shapes, colours = (torch.zeros(rows, most, dtype=torch.int64) for _ in range(2))
    for row, scene in enumerate(scenes):
        for number, solid in enumerate(scene.solids):
            centres[row, number] = torch.tensor((solid.x, solid.y, solid.z)) - torch.tensor(OFFSETS)
            there[row, number] = True
            shapes[row, number] = SHAPE_NAMES.index(solid.shape)
            colours[row, number] = COLOUR_NAMES.index(solid.colour)
    return Standing(*(each.to(device) for each in (centres, there, shapes, colours)))


class Grounder(nn.Module):
    """Names solids by their places; it serves only while the text encoder is trained."""

    def __init__(self, text_width: int, width: int = 64) -> None:
        super().__init__()
        self.place = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))
        self.others = nn.TransformerEncoderLayer(
            width, HEADS, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.query = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        self.key, self.value = (nn.Linear(text_width, width, bias=False) for _ in range(2))
        self.looked_up = nn.Linear(width, width)
        self.name = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(),
            nn.Linear(2 * width, len(SHAPE_NAMES) + len(COLOUR_NAMES)),
        )  # fmt: skip

    def forward(self, scenes: Standing, states: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of shape (b, n, 5) and colour (b, n, 10) from the states (b, length, width) of captions."""
        x = self.others(self.place(scenes.centres), src_key_padding_mask=~scenes.there)
        q, k, v = (
            t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (self.query(x), self.key(states), self.value(states))
        )
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        shapes, colours = self.name(x + self.looked_up(seen)).split([len(SHAPE_NAMES), len(COLOUR_NAMES)], dim=-1)
        return shapes, colours


def grounding_loss(grounder: Grounder, scenes: Standing, states: Tensor) -> Tensor:
    """Cross-entropy of the shape and the colour of every solid, by its place and its scene's caption."""
    shapes, colours = grounder(scenes, states)
    there = scenes.there
    return F.cross_entropy(shapes[there], scenes.shapes[there]) + F.cross_entropy(colours[there], scenes.colours[there])
