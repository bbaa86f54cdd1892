"""ControlNets and T2I-Adapters against diffusers, in every layout of their files, with the same random weights."""

import re

import pytest
import torch
from diffusers import ControlNetModel, DDIMScheduler, T2IAdapter
from safetensors.torch import save_file

from engine.diffusion.adapters.control import ControlPatch, open_control
from engine.diffusion.checkpoint import load_companion
from engine.diffusion.config import config_to_json
from engine.diffusion.control import ControlConfig, ControlNet
from engine.diffusion.guidance import Condition
from engine.diffusion.network import unet_network
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.unet import UNet
from tests.parity.names import unet_name
from tests.parity.oracles import diffusers_unet
from tests.parity.small import distance, noise, randomise, small
from tests.parity.test_pipelines import COMMON, LEVEL, PREDICTION, pictures_of

CLOSE = 1e-5  # relative, float32 through the same layers
HINT = noise(1, 3, 64, 64, seed=9).sigmoid()


def assert_same(family, ours, theirs):
    """Decoded pictures within one level of 255, and latents to a thousandth."""
    one, other = pictures_of(family, ours, theirs)
    assert float(other.std()) > 0.05, "a picture with detail"
    assert float((one - other).abs().max()) <= LEVEL
    assert float((ours - theirs).abs().max()) < 1e-3 * float(theirs.abs().max())


def control_name(name, config):
    """models.md, 7.4: published names to diffusers'."""
    if match := re.fullmatch(r"input_hint_block\.(\d+)\.(\w+)", name):
        place = ["conv_in", *(f"blocks.{index}" for index in range(6)), "conv_out"][int(match[1]) // 2]
        return f"controlnet_cond_embedding.{place}.{match[2]}"
    if match := re.fullmatch(r"zero_convs\.(\d+)\.0\.(\w+)", name):
        return f"controlnet_down_blocks.{match[1]}.{match[2]}"
    if match := re.fullmatch(r"middle_block_out\.0\.(\w+)", name):
        return f"controlnet_mid_block.{match[1]}"
    return unet_name(name, config)


def diffusers_controlnet(network):
    config = network.config.unet
    down = ["CrossAttnDownBlock2D" if attention else "DownBlock2D" for attention in config.attention]
    model = ControlNetModel(
        in_channels=4, block_out_channels=config.widths, down_block_types=down, norm_num_groups=config.norm_groups,
        cross_attention_dim=config.context_dim, attention_head_dim=[config.heads(width) for width in config.widths],
        use_linear_projection=config.linear_projection, conditioning_embedding_out_channels=(16, 32, 96, 256),
    )  # fmt: skip
    model.load_state_dict({control_name(name, config): value for name, value in network.state_dict().items()})
    return model.eval().requires_grad_(False)


def control(family="sd1", seed=4):
    config = small(family)
    return config, randomise(ControlNet(ControlConfig(config.unet, 3)), seed)


LAYOUTS = {
    "alone": lambda name, _config: name,
    "inside": lambda name, _config: f"control_model.{name}",
    "diffusers": control_name,
}


def saved(tmp_path, config, network, layout="alone", name="c.safetensors", **more):
    state = {LAYOUTS[layout](key, config.unet): value.contiguous() for key, value in network.state_dict().items()}
    save_file({**state, **more}, tmp_path / name, metadata={"easel.config": config_to_json(config)})
    return tmp_path / name


@pytest.mark.parametrize("family", ["sd1", "sd2-base"])
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_a_controlnets_residuals_are_diffusers(layout, family, tmp_path):
    config, network = control(family)
    opened = open_control(saved(tmp_path, config, network, layout))
    ours = load_companion(opened.weights, torch.float32)
    x, t, text = noise(2, 4, 8, 8), torch.tensor([500, 20]), noise(2, 77, 64, seed=2)
    hint = HINT.expand(2, -1, -1, -1)
    found = ours(x, hint, t, text)
    oracle = diffusers_controlnet(network)(x, t, text, hint, return_dict=False)
    assert len(found.skips) == 12
    for one, two in zip(found.skips, oracle[0], strict=True):
        assert distance(one, two) < CLOSE
    assert distance(found.middle, oracle[1]) < CLOSE


def run_ours(config, unet, networks, patches, negative_patches=None, steps=6, **more):
    positive, negative = noise(1, 77, 64, seed=5), noise(1, 77, 64, seed=6)
    run = Sampling(
        config, torch.zeros(1, 4, 8, 8), (Condition(positive, patches=patches, **more),),
        (Condition(negative, patches=patches if negative_patches is None else negative_patches),), seed=3, steps=steps,
        cfg=5.0, sampler="ddim", scheduler="leading", networks=lambda weights, put: networks[weights],
    )  # fmt: skip
    network = unet_network(unet, discrete(config.schedule), torch.float32, "cpu")
    return sample(run, network).samples * config.vae.scale_factor


def run_theirs(config, unet, added, steps=6):
    """The pipeline's loop; added: what a step (from 0) puts in, for latents and texts of both."""
    prediction = PREDICTION[config.schedule.prediction]
    scheduler = DDIMScheduler(**COMMON, set_alpha_to_one=False, clip_sample=False, prediction_type=prediction)
    scheduler.set_timesteps(steps)
    text = torch.cat([noise(1, 77, 64, seed=6), noise(1, 77, 64, seed=5)])
    table = discrete(config.schedule)
    first = float(table.sigmas[int(scheduler.timesteps[0])])
    y = noise(1, 4, 8, 8, seed=3) * first / (1 + first**2) ** 0.5
    for step, t in enumerate(scheduler.timesteps):
        model_input = torch.cat([y, y])
        minus, plus = unet(model_input, t, text, **added(step, model_input, t, text)).sample.chunk(2)
        y = scheduler.step(minus + 5.0 * (plus - minus), t, y, return_dict=False)[0]
    last = float(table.sigmas[0])
    return y * (1 + last**2) ** 0.5


@pytest.mark.parametrize("family", ["sd1", "sd2-v"])
def test_a_run_with_two_controlnets_is_diffusers(family, tmp_path):
    """Two at once, each with its strength; the first only for the first half of the run (ControlNetApplyAdvanced)."""
    config, one = control(family, 4)
    _, two = control(family, 5)
    unet = randomise(UNet(config.unet))
    opened = [open_control(saved(tmp_path, config, net, name=f"{index}.safetensors"))
              for index, net in enumerate((one, two))]  # fmt: skip
    networks = {each.weights: load_companion(each.weights, torch.float32) for each in opened}
    other_hint = HINT.flip(-1)
    # 6 leading steps begin at t = 831; percent_to_sigma counts from 999, so 0.5 lies between the third and the fourth
    patches = (
        ControlPatch(opened[0], HINT, 0.8, 0.0, 0.5), ControlPatch(opened[1], other_hint, 0.3),
    )  # fmt: skip
    ours = run_ours(config, unet, networks, patches)
    oracles = [diffusers_controlnet(net) for net in (one, two)]
    active = []

    def added(_step, x, t, text):
        present = [(oracles[1], other_hint, 0.3)]
        if int(t) >= 499.5:
            present.append((oracles[0], HINT, 0.8))
        active.append(len(present))
        skips, middles = [], []
        for oracle, hint, scale in present:
            down, mid = oracle(x, t, text, hint.expand(2, -1, -1, -1), conditioning_scale=scale, return_dict=False)
            skips.append(down)
            middles.append(mid)
        return {
            "down_block_additional_residuals": [sum(each) for each in zip(*skips, strict=True)],
            "mid_block_additional_residual": sum(middles),
        }

    theirs = run_theirs(config, diffusers_unet(unet), added)
    assert sorted(set(active)) == [1, 2], "one of them stopped on the way"
    assert_same(family, ours, theirs)
    assert not torch.allclose(ours, run_ours(config, unet, networks, ()), atol=1e-2)


def t2i(kind, tmp_path):
    """diffusers' adapter, and files of it in both layouts (models.md, 7.5)."""
    config = small("sd1")
    widths = list(config.unet.widths)
    theirs = T2IAdapter(
        in_channels=3, channels=widths if kind == "full_adapter" else widths[:3], adapter_type=kind,
        num_res_blocks=2 if kind == "full_adapter" else 4,
    )  # fmt: skip
    randomise(theirs)
    state = {name: value.contiguous() for name, value in theirs.state_dict().items()}
    save_file(state, tmp_path / "diffusers.safetensors")
    published = {}
    for name, value in state.items():
        name = name.removeprefix("adapter.")
        if kind == "full_adapter":
            name = re.sub(r"body\.(\d)\.resnets\.(\d)", lambda m: f"body.{2 * int(m[1]) + int(m[2])}", name)
            name = re.sub(r"body\.(\d)\.in_conv", lambda m: f"body.{2 * int(m[1])}.in_conv", name)
        else:
            name = name.replace(".resnets.", ".body.")
        published[name] = value
    save_file(published, tmp_path / "published.safetensors")
    torch.save({"adapter": published}, tmp_path / "wrapped.pth")
    return config, theirs


@pytest.mark.parametrize("kind", ["full_adapter", "light_adapter"])
def test_a_t2i_adapters_maps_are_diffusers(kind, tmp_path):
    _, theirs = t2i(kind, tmp_path)
    oracle = theirs(HINT)
    for name in ("diffusers.safetensors", "published.safetensors", "wrapped.pth"):
        found = load_companion(open_control(tmp_path / name).weights, torch.float32)(HINT)
        assert len(found) == 4
        for one, two in zip(found, oracle, strict=True):
            assert distance(one, two) < CLOSE


def test_a_run_with_a_t2i_adapter_is_diffusers(tmp_path):
    config, theirs = t2i("full_adapter", tmp_path)
    unet = randomise(UNet(config.unet))
    opened = open_control(tmp_path / "published.safetensors")
    networks = {opened.weights: load_companion(opened.weights, torch.float32)}
    ours = run_ours(config, unet, networks, (ControlPatch(opened, HINT, 0.7),))
    maps = [0.7 * each for each in theirs(HINT)]

    def added(_step, _x, _t, _text):
        return {"down_intrablock_additional_residuals": [torch.cat([each] * 2) for each in maps]}

    assert_same("sd1", ours, run_theirs(config, diffusers_unet(unet), added))
