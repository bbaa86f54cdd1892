"""GLIGEN against diffusers' gated UNet, with the same random weights."""

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from engine.diffusion.adapters.boxes import Boxed, BoxPatch, open_gligen
from engine.diffusion.checkpoint import load_companion
from engine.diffusion.config import config_to_json
from engine.diffusion.gligen import Gligen, GligenConfig, transformers
from engine.diffusion.guidance import Area
from engine.diffusion.unet import UNet
from tests.parity.names import unet_name
from tests.parity.small import noise, randomise, small
from tests.parity.test_control import assert_same, run_ours, run_theirs

CONFIG = small("sd1")
FREQUENCIES = 8  # both in the miniature and in the published one


def networks(tmp_path):
    gligen = randomise(Gligen(GligenConfig(CONFIG.unet, 512)))
    for name, value in gligen.named_parameters():
        if name.endswith(("alpha_attn", "alpha_dense")):
            value.data = torch.tensor(0.7)
    names = list(transformers(CONFIG.unet))
    state = {}
    for name, value in gligen.state_dict().items():
        if name.startswith("fusers."):
            _, number, rest = name.split(".", 2)
            name = f"{names[int(number)]}.fuser.{rest}"
        state[name] = value.contiguous()
    more = {"input_blocks.0.0.weight": noise(32, 4, 3, 3)}  # whole files hold the UNet as well
    save_file({**state, **more}, tmp_path / "g.safetensors", metadata={"easel.config": config_to_json(CONFIG)})
    return state


def gated(unet, state):
    config = unet.config
    down = ["CrossAttnDownBlock2D" if attention else "DownBlock2D" for attention in config.attention]
    up = ["CrossAttnUpBlock2D" if attention else "UpBlock2D" for attention in reversed(config.attention)]
    model = UNet2DConditionModel(
        in_channels=4, out_channels=4, block_out_channels=config.widths, down_block_types=down, up_block_types=up,
        cross_attention_dim=config.context_dim, norm_num_groups=config.norm_groups, attention_type="gated",
        attention_head_dim=[config.heads(width) for width in config.widths],
    )  # fmt: skip
    fusers = {
        name if name.startswith("position_net") else unet_name(name, config): value for name, value in state.items()
    }
    plain = {unet_name(name, config): value for name, value in unet.state_dict().items()}
    model.load_state_dict({**plain, **fusers}, strict=True)
    return model.eval().requires_grad_(False)


def test_the_published_model_has_sixteen_fusers():
    """One for each transformer block of SD 1.x, in the order in which they run (models.md, 7.1: 16 blocks)."""
    from engine.diffusion.config import PRESETS

    found = transformers(PRESETS["sd1"].unet)
    assert len(found) == 16
    assert next(iter(found)) == "input_blocks.1.1.transformer_blocks.0"
    assert list(found.values()) == [320] * 2 + [640] * 2 + [1280] * 6 + [640] * 3 + [320] * 3


def test_a_run_with_two_boxes_is_diffusers(tmp_path):
    """The boxes go to both sides of guidance, as in ComfyUI (numerics.md 5.3, step 5); diffusers is told to as well."""
    state = networks(tmp_path)
    weights = open_gligen(tmp_path / "g.safetensors")
    unet = randomise(UNet(CONFIG.unet))
    texts = noise(2, 64, seed=8)
    boxes = (Boxed(texts[:1], Area(4, 2, 1, 3)), Boxed(texts[1:], Area(2, 8, 6, 0)))
    lent = {weights: load_companion(weights, torch.float32)}
    ours = run_ours(CONFIG, unet, lent, (BoxPatch(weights, boxes),), negative_patches=())

    places = torch.zeros(1, 30, 4)
    places[0, 0] = torch.tensor([3 / 8, 1 / 8, 5 / 8, 5 / 8])  # left, top, right, bottom
    places[0, 1] = torch.tensor([0, 6 / 8, 1, 1])
    embeddings = torch.zeros(1, 30, 64)
    embeddings[0, :2] = texts
    masks = torch.tensor([[1.0, 1.0] + [0.0] * 28])
    told = {"boxes": places, "positive_embeddings": embeddings, "masks": masks}

    def added(_step, _x, _t, _text):
        return {"cross_attention_kwargs": {"gligen": {name: torch.cat([each] * 2) for name, each in told.items()}}}

    assert_same("sd1", ours, run_theirs(CONFIG, gated(unet, state), added))
    plain = run_ours(CONFIG, unet, lent, ())
    assert not torch.allclose(ours, plain, atol=1e-2)
