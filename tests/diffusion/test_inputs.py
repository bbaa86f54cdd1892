"""What models with more inputs read: numerics.md, 3.7, 3.8, 9.3 and 9.5; every preset runs through the sampler."""

import pytest
import torch

from engine.diffusion.config import PRESETS
from engine.diffusion.guidance import Condition
from engine.diffusion.inputs import NO_IMAGE, Scene, extra_inputs, to_batch
from engine.diffusion.network import unet_network
from engine.diffusion.noise import run_generator
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.unet import UNet
from tests.parity.small import noise, randomise, small


def scene(family, batch=1, mask=None):
    return Scene(PRESETS[family], noise(batch, 4, 8, 8), mask, 42, run_generator(42))


def inputs(family, mask=None, batch=1, **extra):
    return extra_inputs(Condition(torch.zeros(1, 77, 1), extra=extra), scene(family, batch, mask))


def test_plain_models_read_nothing_more():
    assert inputs("sd1", depth=torch.ones(1, 8, 8)) == {}


def test_an_inpainting_model_without_a_mask_paints_everything():
    concat = inputs("sd1-inpaint")["concat"]
    assert concat[0, :, 3, 5].tolist() == pytest.approx([1.0, *NO_IMAGE])


def test_an_inpainting_mask_is_resized_then_rounded_half_to_even():
    mask = torch.zeros(1, 16, 16)
    mask[:, :, 7:] = 1.0  # latent column 3 lies on the edge: half covered
    image = noise(1, 4, 8, 8, seed=9)
    concat = inputs("sd1-inpaint", concat_mask=mask, concat_latent_image=image)["concat"]
    assert concat[0, 0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert torch.allclose(concat[:, 1:], image * 0.18215)


def test_an_inpainting_model_falls_back_to_the_noise_mask_and_the_latent():
    mask = torch.full((1, 4, 8, 8), 0.7)
    found = inputs("sd2-inpaint", mask=mask)["concat"]
    assert torch.equal(found[:, :1], torch.ones(1, 1, 8, 8))
    assert torch.equal(found[:, 1:], noise(1, 4, 8, 8))


def test_an_editing_model_reads_the_unscaled_latent_or_nothing():
    image = noise(1, 4, 8, 8, seed=3)
    assert torch.equal(inputs("instruct-pix2pix", concat_latent_image=image)["concat"], image)
    assert not inputs("instruct-pix2pix")["concat"].any()


def test_depth_is_stretched_to_the_full_range():
    depth = torch.rand((1, 32, 32), generator=run_generator(1)) * 5 + 100
    found = inputs("sd2-depth", depth=depth)["concat"]
    assert (float(found.min()), float(found.max())) == (-1.0, 1.0)
    assert torch.equal(inputs("sd2-depth", depth=torch.ones(8, 8))["concat"], -torch.ones(1, 1, 8, 8))
    with pytest.raises(ValueError, match="has none; add one"):
        inputs("sd2-depth")


def test_the_upscaler_reads_the_small_picture_noised_with_the_seed_less_ten():
    image = noise(1, 3, 8, 8).tanh()
    plain = inputs("sd2-x4", concat_image=image)
    assert torch.equal(plain["concat"], image)
    assert plain["y"].tolist() == [0]
    noised = inputs("sd2-x4", concat_image=image, noise_augmentation=0.5, batch=2)
    assert noised["y"].tolist() == [175, 175]
    # 9.5: L = round(350·a), half to even: 116.55 and 0.35
    for augmentation, level in ((0.333, 117), (0.001, 0), (1.0, 350)):
        assert inputs("sd2-x4", concat_image=image, noise_augmentation=augmentation)["y"].tolist() == [level]
    alpha_bar = 1 / (1 + discrete(PRESETS["sd2-x4"].schedule).sigmas[175] ** 2)
    drawn = torch.randn((1, 3, 8, 8), generator=run_generator(32))
    expected = alpha_bar**0.5 * image + (1 - alpha_bar) ** 0.5 * drawn
    assert torch.allclose(noised["concat"], expected.expand(2, -1, -1, -1), atol=1e-6)


def test_items_spread_over_the_batch():
    items = torch.arange(5.0)
    # 3.8, resize_to_batch: fewer take index round(i·(b − 1)/(B − 1)), half to even; more take ⌊(i + 0.5)·b/B⌋
    assert to_batch(items, scene("sd1", 3)).tolist() == [0, 2, 4]
    assert to_batch(items[:4], scene("sd1", 3)).tolist() == [0, 2, 3]  # 1.5 → 2
    assert to_batch(items, scene("sd1", 4)).tolist() == [0, 1, 3, 4]  # 1.33, 2.67
    assert to_batch(items[:3], scene("sd1", 4)).tolist() == [0, 1, 1, 2]  # 0.375, 1.125, 1.875, 2.625
    assert to_batch(items[:2], scene("sd1", 5)).tolist() == [0, 0, 1, 1, 1]
    assert to_batch(items, scene("sd1", 1)).tolist() == [0]
    assert torch.equal(to_batch(items, scene("sd1", 5)), items)


@pytest.mark.parametrize("family", list(PRESETS))
def test_every_preset_runs_from_noise_to_latent(family):
    config = small(family)
    extra = {"depth": torch.rand((16, 16), generator=run_generator(2))} if config.unet.concat == "depth" else {}
    unet = randomise(UNet(config.unet))
    run = Sampling(
        config, torch.zeros(2, 4, 8, 8), (Condition(noise(1, 77, 64), extra=extra),),
        (Condition(noise(1, 77, 64, seed=2), extra=extra),), steps=3, cfg=3.0, sampler="dpmpp_2m", scheduler="karras",
    )  # fmt: skip
    out = sample(run, unet_network(unet, discrete(config.schedule), torch.float32, "cpu")).samples
    assert out.shape == (2, 4, 8, 8)
    assert torch.isfinite(out).all()
