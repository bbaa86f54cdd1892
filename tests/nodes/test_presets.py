"""Nodes that feed models with more inputs: numerics.md, 3.7, 5.4, 9.3 and 9.5; the numbers are by hand."""

import pytest
import torch

from engine.diffusion.config import PRESETS
from engine.diffusion.guidance import Condition
from engine.diffusion.inpaint import grow_mask
from engine.diffusion.inputs import Scene, extra_inputs
from engine.diffusion.layers import timestep_embedding
from engine.diffusion.noise import run_generator
from engine.diffusion.unclip import cosine_alphas_cumprod, image_vector
from engine.diffusion.upscale import RrdbConfig
from engine.graph.types import ClipVisionOutput, Conditioning, Image, Latent, Mask
from nodes.conditioning import encode_text
from nodes.depth import condition_depth, estimate, load_depth_of_checkpoint
from nodes.inpainting import condition_editing, condition_inpainting, encode_for_inpainting
from nodes.latent import decode, encode
from nodes.loaders import load_checkpoint
from nodes.sampling import sample
from nodes.upscaling import condition_upscaling, load_upscaler, upscale_with_model
from nodes.vision import condition_unclip, encode_vision, load_unclip
from tests.parity.small import randomise
from tests.presets import FAMILIES, write_published

BOTH = Conditioning((Condition(torch.zeros(1, 77, 64)),))


def checkpoint(desk, family):
    name = f"{family}.safetensors"
    write_published(desk.model_folder("checkpoints") / name, family)
    return load_checkpoint(desk.context, ckpt_name=name)


def random_picture(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_of_each_family_loads_strictly_and_renders(family, desk):
    """From the published layout to pixels through the nodes a user takes; the weights are random."""
    model, clip, vae = checkpoint(desk, family)
    assert desk.warnings == []
    positive, negative = (encode_text(desk.context, text=text, clip=clip) for text in ("a house", ""))
    pixels, mask = Image(random_picture(1, 64, 64, 3)), Mask(torch.ones(1, 64, 64))
    latent = Latent(torch.zeros(1, 4, 8, 8))
    match model.config.unet.concat:
        case "inpaint":
            positive, negative, latent = condition_inpainting(
                desk.context, positive=positive, negative=negative, vae=vae, pixels=pixels, mask=mask
            )
        case "edit":
            positive, negative, latent = condition_editing(
                desk.context, positive=positive, negative=negative, vae=vae, pixels=pixels
            )
        case "depth":
            depth = estimate(
                desk.context, depth_model=load_depth_of_checkpoint(desk.context, ckpt_name=f"{family}.safetensors"),
                image=pixels,
            )  # fmt: skip
            positive, negative = condition_depth(positive=positive, negative=negative, depth=depth)
        case "upscale":
            small = Image(random_picture(1, 16, 16, 3))
            positive, negative, latent = condition_upscaling(
                images=small, positive=positive, negative=negative, noise_augmentation=0.1
            )
    if model.config.unet.adm_dim:
        loaded = load_unclip(desk.context, ckpt_name=f"{family}.safetensors")
        seen = encode_vision(desk.context, clip_vision=loaded.clip_vision, image=pixels, crop="center")
        positive = condition_unclip(conditioning=positive, clip_vision_output=seen)
    out = sample(
        desk.context, model=model, seed=4, steps=2, cfg=3.0, sampler_name="euler", scheduler="normal",
        positive=positive, negative=negative, latent_image=latent,
    )  # fmt: skip
    picture = decode(desk.context, samples=out, vae=vae).pixels
    assert picture.shape == (1, 64, 64, 3)
    assert float(picture.std()) > 0.01


def test_an_inpainting_condition_holds_the_picture_with_a_grey_hole_and_the_unrounded_mask(desk):
    """66×75 pixels are cut to 64×72 with offsets 1 and 1; the hole is 0.5 where the mask rounds to 1."""
    vae = checkpoint(desk, "sd1-inpaint").vae
    pixels, mask = random_picture(1, 66, 75, 3), torch.zeros(1, 66, 75)
    mask[:, 20:30, 20:30] = 1.0
    mask[:, 40:50, 40:50] = 0.5  # rounds to 0
    mask[:, 50:60, 50:60] = 0.6
    made = condition_inpainting(
        desk.context, positive=BOTH, negative=BOTH, vae=vae, pixels=Image(pixels), mask=Mask(mask)
    )
    cut, cut_mask = pixels[:, 1:65, 1:73], mask[:, 1:65, 1:73]
    hidden = torch.where((cut_mask > 0.5)[..., None], torch.tensor(0.5), cut)
    for condition in (made.positive.entries[0], made.negative.entries[0]):
        assert torch.equal(condition.extra["concat_mask"][:, 0], cut_mask)
        expected = encode(desk.context, pixels=Image(hidden), vae=vae).samples
        assert torch.allclose(condition.extra["concat_latent_image"], expected, atol=1e-6)
    assert torch.equal(made.latent.samples, encode(desk.context, pixels=Image(cut), vae=vae).samples)
    assert torch.equal(made.latent.noise_mask[:, 0], cut_mask)
    assert BOTH.entries[0].extra == {}  # the conditioning that came in is as it was


def test_a_mask_of_another_size_is_scaled_and_an_empty_one_is_told_of(desk):
    vae = checkpoint(desk, "sd1-inpaint").vae
    pixels = Image(random_picture(1, 64, 64, 3))
    made = condition_inpainting(
        desk.context, positive=BOTH, negative=BOTH, vae=vae, pixels=pixels, mask=Mask(torch.ones(1, 16, 16))
    )
    assert torch.equal(made.latent.noise_mask, torch.ones(1, 1, 64, 64))
    assert desk.warnings == []
    empty = Mask(torch.zeros(1, 64, 64))
    condition_inpainting(desk.context, positive=BOTH, negative=BOTH, vae=vae, pixels=pixels, mask=empty)
    assert desk.warnings == ["the mask is empty: nothing will be painted"]
    with pytest.raises(ValueError, match="a batch of 2 masks does not fit 1 pictures"):
        condition_inpainting(
            desk.context, positive=BOTH, negative=BOTH, vae=vae, pixels=pixels, mask=Mask(torch.ones(2, 64, 64))
        )
    with pytest.raises(ValueError, match="a picture of 4×64 is too small to encode; 8×8 is the least"):
        encode_for_inpainting(desk.context, pixels=Image(torch.ones(1, 64, 4, 3)), vae=vae, mask=empty)


def test_masks_grow_by_a_square_that_is_not_centred_if_even():
    """numerics.md, 3.7: by 6, a masked pixel p grows to p - 2 … p + 3; by 3 to p - 1 … p + 1; 0 leaves it unrounded."""
    point = torch.zeros(1, 1, 20, 20)
    point[..., 10, 10] = 1.0
    for by, first, last in ((6, 8, 13), (3, 9, 11), (1, 10, 10), (2, 10, 11)):
        rows = grow_mask(point, by)[0, 0].any(dim=1).nonzero()[:, 0]
        assert (int(rows[0]), int(rows[-1])) == (first, last), by
        assert grow_mask(point, by).shape == point.shape
    assert torch.equal(grow_mask(point * 0.3, 0), point * 0.3)


def test_encoding_for_inpainting_hides_the_mask_and_paints_the_grown_one(desk):
    vae = checkpoint(desk, "sd1").vae
    pixels, mask = random_picture(1, 64, 64, 3), torch.zeros(1, 64, 64)
    mask[:, 24:40, 24:40] = 1.0
    made = encode_for_inpainting(desk.context, pixels=Image(pixels), vae=vae, mask=Mask(mask), grow_mask_by=6)
    hidden = torch.where(mask.bool()[..., None], torch.tensor(0.5), pixels)
    expected = encode(desk.context, pixels=Image(hidden), vae=vae).samples
    assert torch.allclose(made.samples, expected, atol=1e-6)
    assert made.noise_mask.sum() == (16 + 5) ** 2
    upscaler = checkpoint(desk, "sd2-x4").vae  # whose latents are a quarter as large as the picture
    made = encode_for_inpainting(
        desk.context, pixels=Image(pixels[:, :62, :61]), vae=upscaler, mask=Mask(mask), grow_mask_by=0
    )
    assert made.samples.shape == (1, 4, 15, 15)
    assert made.noise_mask.shape == (1, 1, 60, 60)


def test_an_editing_condition_holds_the_picture_and_starts_from_nothing(desk):
    vae = checkpoint(desk, "instruct-pix2pix").vae
    pixels = random_picture(2, 66, 64, 4)
    made = condition_editing(desk.context, positive=BOTH, negative=BOTH, vae=vae, pixels=Image(pixels))
    expected = encode(desk.context, pixels=Image(pixels), vae=vae).samples
    for side in (made.positive, made.negative):
        assert torch.equal(side.entries[0].extra["concat_latent_image"], expected)
    assert made.latent.samples.shape == (2, 4, 8, 8)
    assert not made.latent.samples.any()


def test_the_x4_condition_holds_the_small_picture_at_the_size_of_the_latent():
    """numerics.md, 9.5: W' = round(W·ratio), the picture in -1..1 at W'//4."""
    made = condition_upscaling(
        images=Image(torch.ones(1, 20, 30, 3)), positive=BOTH, negative=BOTH, scale_ratio=3.3, noise_augmentation=0.25
    )
    extra = made.positive.entries[0].extra
    assert extra["concat_image"].shape == (1, 3, 16, 24)  # 66 // 4, 99 // 4
    assert torch.allclose(extra["concat_image"], torch.ones(1))
    assert extra["noise_augmentation"] == 0.25
    assert made.latent.samples.shape == (1, 4, 16, 24)
    with pytest.raises(ValueError, match="are too few: each side of the result needs at least 4"):
        condition_upscaling(images=Image(torch.ones(1, 8, 8, 3)), positive=BOTH, negative=BOTH, scale_ratio=0.1)


def test_pictures_are_enlarged_by_a_network_from_a_file(desk):
    module = randomise(RrdbConfig(8, 4, 1, 2, 1).build())
    torch.save({"params_ema": module.state_dict()}, desk.model_folder("upscale_models") / "x4.pth")
    model = load_upscaler(desk.context, model_name="x4.pth")
    pixels = random_picture(2, 10, 12, 3)
    made = upscale_with_model(desk.context, upscale_model=model, image=Image(pixels)).pixels
    expected = module(pixels.movedim(-1, 1)).clamp(0, 1).movedim(1, -1)
    assert made.shape == (2, 40, 48, 3)
    assert torch.allclose(made, expected, atol=1e-5)
    assert [(event.value, event.maximum) for event in desk.events] == [(1, 2), (2, 2)]


def test_depth_reaches_the_network_stretched_to_the_full_range():
    depth = torch.linspace(0.2, 0.6, 64).expand(1, 64, 64)[..., None].repeat(1, 1, 1, 3)
    made = condition_depth(positive=BOTH, negative=BOTH, depth=Image(depth))
    scene = Scene(PRESETS["sd2-depth"], torch.zeros(1, 4, 8, 8), None, 0, run_generator(0))
    channel = extra_inputs(made.negative.entries[0], scene)["concat"]
    assert channel.shape == (1, 1, 8, 8)
    assert (float(channel.min()), float(channel.max())) == (-1.0, 1.0)
    assert channel[0, 0, 0, 0] < channel[0, 0, 0, 7]


def output(*rows):
    embeds = torch.tensor(rows)
    return ClipVisionOutput(embeds, torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))


def test_unclip_adds_noised_embedding_and_level_times_strength():
    """numerics.md, 5.4: L = round(999·a); e' = √ᾱ·e + √(1-ᾱ)·n with the seed less ten; the vector times strength."""
    made = condition_unclip(
        conditioning=BOTH, clip_vision_output=output([1.0, 2.0, 3.0, 4.0]), strength=0.5, noise_augmentation=0.2
    )
    generator = run_generator(42)
    found = image_vector(made.entries[0].extra["unclip_conditioning"], 8, 42, generator)
    alpha_bar = cosine_alphas_cumprod()[200]
    drawn = torch.randn((1, 4), generator=run_generator(32))
    noised = alpha_bar**0.5 * torch.tensor([[1.0, 2.0, 3.0, 4.0]]) + (1 - alpha_bar) ** 0.5 * drawn
    expected = 0.5 * torch.cat([noised, timestep_embedding(torch.tensor([200]), 4)], dim=1)
    assert torch.allclose(found, expected, atol=1e-6)


def test_several_unclip_pictures_are_summed_and_noised_again():
    one = condition_unclip(conditioning=BOTH, clip_vision_output=output([1.0, 0.0]), strength=1.0)
    two = condition_unclip(conditioning=one, clip_vision_output=output([0.0, 3.0]), strength=2.0)
    assert len(one.entries[0].extra["unclip_conditioning"]) == 1  # the first is as it was
    generator = run_generator(7)
    found = image_vector(two.entries[0].extra["unclip_conditioning"], 4, 7, generator)
    other = torch.Generator().manual_seed(7 - 10)
    first, again = torch.randn((1, 2), generator=other), torch.randn((1, 2), generator=other)
    low, merged = cosine_alphas_cumprod()[0], cosine_alphas_cumprod()[50]  # round(999·0.05)
    noised = [low**0.5 * torch.tensor([row]) + (1 - low) ** 0.5 * first for row in ([1.0, 0.0], [0.0, 3.0])]
    total = noised[0] + 2.0 * noised[1]
    expected = merged**0.5 * total + (1 - merged) ** 0.5 * again
    assert torch.allclose(found[:, :2], expected, atol=1e-5)
    assert torch.allclose(found[:, 2:], timestep_embedding(torch.tensor([50]), 2))


def test_unclip_without_pictures_or_strength_is_zero():
    assert condition_unclip(conditioning=BOTH, clip_vision_output=output([1.0]), strength=0.0) is BOTH
    assert not image_vector((), 8, 1, run_generator(1)).any()
    made = condition_unclip(conditioning=BOTH, clip_vision_output=output([1.0, 2.0]))
    with pytest.raises(ValueError, match="reads image embeddings 4 wide; the image encoder made"):
        image_vector(made.entries[0].extra["unclip_conditioning"], 8, 1, run_generator(1))


def test_the_squared_cosine_schedule_has_its_known_values():
    """Nichol and Dhariwal (2021), equation 17: ᾱ(t) = f(t)/f(0), cos² of (t/T + 0.008)/1.008·π/2, until the cap."""
    import math

    def f(u):
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    for step in (0, 250, 500, 900):
        assert float(cosine_alphas_cumprod()[step]) == pytest.approx(f((step + 1) / 1000) / f(0), rel=1e-5)
    assert 0 < float(cosine_alphas_cumprod()[-1]) < 1e-5
