"""Training the text encoder: captions and pictures that belong together are drawn together (Radford et al., 2021).

Afterwards the vision tower judges pictures, and the text tower is frozen, as in the published models.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from engine.diffusion.config import TextConfig
from engine.diffusion.prompt import Chunk, WeightedToken, chunks
from engine.diffusion.text import TextEncoder, tokenizer

FIRST_LOGIT_SCALE = 2.6593  # ln(1 / 0.07): Radford et al., section 2.5
MOST_LOGIT_SCALE = 4.6052  # ln 100, likewise
NAMING_TEMPERATURE = 0.1
PATCH = 16  # pixels of a patch's side; of pictures at half the size, cubes and cylinders were taken for each other


class Pair(nn.Module):
    """A text tower and a small vision tower that meet in one space. The text's projection is only for training."""

    def __init__(self, config: TextConfig, vision_width: int, picture: int) -> None:
        super().__init__()
        self.text = begin(TextEncoder(config))
        self.vision = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=vision_width, intermediate_size=4 * vision_width, num_hidden_layers=4,
                num_attention_heads=4, image_size=picture, patch_size=PATCH, projection_dim=config.width,
                hidden_act="quick_gelu",
            )
        )  # fmt: skip
        self.meeting = nn.Linear(config.width, config.width, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(FIRST_LOGIT_SCALE))

    def forward(self, pixels: Tensor, texts: Sequence[Chunk]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures (b, 3, h, w) in -1..1 and n texts to unit vectors (b and n, width), the logits' scale, and states.

        The states (n, length, width) are the text tower's own: what a UNet will read.
        """
        states, pooled = self.text(texts, 1)
        seen = self.vision(pixel_values=pixels).image_embeds
        scale = self.logit_scale.clamp(max=MOST_LOGIT_SCALE).exp()
        return F.normalize(seen, dim=-1), F.normalize(self.meeting(pooled), dim=-1), scale, states


def begin(text: TextEncoder) -> TextEncoder:
    """Draw the first weights of a text tower, in place; deviations are those of transformers' CLIPTextModel."""
    layers, width = text.transformer.encoder.layers, text.config.width
    entering, leaving = width**-0.5 * (2 * len(layers)) ** -0.5, width**-0.5
    for name, parameter in text.named_parameters():
        if name.endswith(".bias"):
            nn.init.zeros_(parameter)
        elif "embedding" in name:
            nn.init.normal_(parameter, std=0.02)
        elif name.endswith((".out_proj.weight", "text_projection.weight")):
            nn.init.normal_(parameter, std=leaving)
        elif name.endswith(".fc1.weight"):
            nn.init.normal_(parameter, std=(2 * width) ** -0.5)
        elif name.endswith(("_proj.weight", ".fc2.weight")):
            nn.init.normal_(parameter, std=entering)
    return text


def contrastive_loss(seen: Tensor, said: Tensor, scale: Tensor, wrong: Tensor | None = None) -> Tensor:
    """Symmetric cross-entropy over the batch: Radford et al. (2021), figure 3. seen and said are (b, width).

    wrong (b, n, width): captions that are nearly true of their picture. Each picture must also prefer its caption to
    its own wrong ones (hard negatives: Yuksekgonul et al., 2023, section 4), without which the order of words and
    shapes that look alike are hardly learned. A row of zeros is left out.
    """
    logits = scale * seen @ said.T
    own = torch.arange(len(logits), device=logits.device)
    by_picture = logits
    if wrong is not None:
        against = scale * torch.einsum("bw,bnw->bn", seen, wrong)
        by_picture = torch.cat([logits, against.masked_fill((wrong == 0).all(dim=-1), -math.inf)], dim=1)
    return 0.5 * (F.cross_entropy(by_picture, own) + F.cross_entropy(logits.T, own))


def naming_loss(states: Tensor, texts: Sequence[Chunk], text: TextEncoder) -> Tensor:
    """How badly each word's state tells which of the batch's words it stands at: by cosine to their embeddings.

    states are (n, length, width). Without it, words whose pictures look alike (cube and cylinder, left and right)
    came out as nearly the same states, and a UNet that reads them drew either for both.
    """
    ids = torch.tensor([[token for token, _ in chunk] for chunk in texts], device=states.device)
    places = (ids != text.config.end_id) & (ids != text.config.start_id)
    known, own = torch.unique(ids[places], return_inverse=True)
    table = F.normalize(text.transformer.embeddings.token_embedding(known), dim=-1)
    return F.cross_entropy(F.normalize(states[places], dim=-1) @ table.T / NAMING_TEMPERATURE, own)


def shortened(batch: Sequence[Chunk], end_id: int) -> list[Chunk]:
    """Chunks cut behind the last end of a text: the pooled output stays what it is, as no token sees a later one."""
    longest = max(
        next(place for place, (token, _) in enumerate(chunk) if isinstance(token, int) and token == end_id)
        for chunk in batch
    )
    return [chunk[: longest + 1] for chunk in batch]


def tokenised(texts: Sequence[str], config: TextConfig) -> list[Chunk]:
    """One chunk per text; what is longer is cut. Parentheses are taken as they are: captions carry no weights."""
    words = tokenizer()
    return [chunks([[WeightedToken(token, 1.0) for token in words.ids(text)]], config)[0] for text in texts]


def encode_texts(text: TextEncoder, texts: Sequence[str], config: TextConfig) -> Tensor:
    """States (b, 77, width) of a frozen text encoder, float32 on its device: what the UNet reads when it samples."""
    with torch.no_grad(), torch.autocast(next(text.parameters()).device.type, enabled=False):
        states: Tensor = text(tokenised(texts, config), config.clip_skip)[0]
    return states
