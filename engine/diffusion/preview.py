"""A quick look at a latent: one matrix from four channels to colours, an eighth of the picture's size.

The factors are the widely published linear fit of SD 1.x's decoder (posted by keturn on the Hugging Face forum in 2022,
"Decoding latents to RGB without upscaling"); SD 2.x shares the latent space.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# rows: latent channels; columns: red, green, blue, for scaled latents and pixels in -1..1
LATENT_TO_RGB = (
    (0.298, 0.207, 0.208),
    (0.187, 0.286, 0.173),
    (-0.158, 0.189, 0.264),
    (-0.184, -0.271, -0.473),
)


def latent_to_rgb(latent: Tensor) -> npt.NDArray[np.uint8]:
    """A scaled latent (4, h, w) or (batch, 4, h, w) to the first picture's colours (h, w, 3)."""
    first = latent[0] if latent.ndim == 4 else latent
    if first.ndim != 3 or first.shape[0] != len(LATENT_TO_RGB):
        raise ValueError(f"cannot preview a latent of shape {tuple(latent.shape)}; wanted (4, h, w)")
    factors = torch.tensor(LATENT_TO_RGB, dtype=torch.float32)
    colours = first.float().cpu().movedim(0, -1) @ factors  # (h, w, 3) in about -1..1
    pixels: npt.NDArray[np.uint8] = torch.nan_to_num((colours + 1) / 2).clamp(0, 1).mul(255).to(torch.uint8).numpy()
    return pixels
