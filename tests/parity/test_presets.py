"""Each preset, from a random-weight file in the published layout to pixels, against diffusers' own pipeline.

Loaded by the loader node, conditioned by the preset's node, decoded by the decode node; the sampler walks the oracle's
sigmas from the oracle's own noisy start. At most 1/255 of difference, in float32.
"""

from dataclasses import dataclass

import pytest
import torch
from diffusers import (
    DDPMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionDepth2ImgPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionUpscalePipeline,
)

from engine.diffusion.guidance import Condition
from engine.diffusion.network import unet_network
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from engine.graph.types import Conditioning, Image, Latent, Mask
from nodes.custom_sampling import dual_guider
from nodes.depth import condition_depth
from nodes.inpainting import condition_editing, condition_inpainting
from nodes.latent import decode, encode
from nodes.loaders import load_checkpoint
from nodes.upscaling import condition_upscaling
from tests.nodes.studio import Desk
from tests.parity.oracles import diffusers_unet, diffusers_vae
from tests.parity.small import noise, small
from tests.presets import networks, write_published

CLOSE = 1 / 255
STEPS, CFG = 5, 3.0
SIZE = 64
PLUS, MINUS = noise(1, 77, 64, seed=5), noise(1, 77, 64, seed=6)
POSITIVE, NEGATIVE = Conditioning((Condition(PLUS),)), Conditioning((Condition(MINUS),))
TEXTS = {"prompt_embeds": PLUS, "negative_prompt_embeds": MINUS}


@dataclass
class Preset:
    """One family: its file loaded by our nodes, and diffusers' parts with the same weights."""

    family: str
    desk: Desk

    def __post_init__(self) -> None:
        self.config = small(self.family)
        name = f"{self.family}.safetensors"
        write_published(self.desk.model_folder("checkpoints") / name, self.family)
        self.loaded = load_checkpoint(self.desk.context, ckpt_name=name)
        assert not self.desk.warnings
        unet, vae, _ = networks(self.config)
        theirs = diffusers_unet(unet)
        theirs.register_to_config(sample_size=64)  # the pipelines ask for it and then use the sizes they are given
        s = self.config.schedule
        self.scheduler = EulerDiscreteScheduler(
            beta_start=s.beta_start, beta_end=s.beta_end, beta_schedule="scaled_linear", steps_offset=1,
            prediction_type={"eps": "epsilon", "v": "v_prediction"}[s.prediction], timestep_spacing="leading",
        )  # fmt: skip
        self.parts = {
            "unet": theirs, "vae": diffusers_vae(vae), "scheduler": self.scheduler,
            "text_encoder": None, "tokenizer": None,
        }  # fmt: skip

    def oracle(self, kind, more=None, **inputs):
        """The pipeline's picture (1, h, w, 3), and the noisy latent that it started from."""
        starts = []
        scale = self.scheduler.scale_model_input

        def watched(latents, t):
            starts.append(latents[:1].clone())
            return scale(latents, t)

        self.scheduler.scale_model_input = watched
        pipeline = kind(**self.parts, **(more or {}))
        pipeline.set_progress_bar_config(disable=True)
        made = pipeline(
            num_inference_steps=STEPS, guidance_scale=CFG, output_type="pt", **{**TEXTS, **inputs},
            generator=torch.Generator().manual_seed(3),
        ).images  # fmt: skip
        return made.movedim(1, -1), starts[0]

    def ours(self, positive, negative, start, seed=3, skipped=0, guiding=None):
        network = unet_network(
            self.desk.context.companion(self.loaded.model.weights), discrete(self.config.schedule), torch.float32, "cpu"
        )
        run = Sampling(
            self.config, start / self.config.vae.scale_factor, positive.entries, negative.entries, seed=seed, cfg=CFG,
            sampler="euler", sigmas=self.scheduler.sigmas[skipped:].clone(), add_noise=False, guiding=guiding,
        )  # fmt: skip
        return decode(self.desk.context, samples=Latent(sample(run, network).samples), vae=self.loaded.vae).pixels


def compare(ours, theirs):
    assert ours.shape == theirs.shape
    inside = (theirs > 0.02) & (theirs < 0.98)
    assert inside.float().mean() > 0.2  # most of the picture is not clipped, so that equality says something
    assert float((ours - theirs).abs().max()) <= CLOSE


def picture(seed=11, side=SIZE):
    """Soft colours (1, side, side, 3)."""
    coarse = torch.rand((1, 3, 8, 8), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=side, mode="bilinear").movedim(1, -1)


def theirs_of(pixels):
    """Pixels as diffusers takes tensors: channels first."""
    return pixels.movedim(-1, 1)


CHECKERLESS = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}


@pytest.fixture
def preset(request, tmp_path):
    return Preset(request.param, Desk(tmp_path))


@pytest.mark.parametrize("preset", ["sd1", "sd2-base", "sd2-v"], indirect=True)
def test_img2img_equals_diffusers(preset):
    """The script and diffusers skip the first steps of a schedule (numerics.md, 9.2); ComfyUI's KSampler instead makes
    a longer schedule and walks its end. Here both walk diffusers' list, the last 3 of 5."""
    theirs, start = preset.oracle(StableDiffusionImg2ImgPipeline, CHECKERLESS, image=theirs_of(picture()), strength=0.6)
    found = encode(preset.desk.context, pixels=Image(picture()), vae=preset.loaded.vae)
    sigma = float(preset.scheduler.sigmas[2])
    left = start - found.samples * preset.config.vae.scale_factor
    assert float((left / sigma).std()) == pytest.approx(1.0, abs=0.2)  # the start is our encoding with their noise
    compare(preset.ours(POSITIVE, NEGATIVE, start, skipped=2), theirs)


def hole(side=SIZE):
    """A mask (1, side, side) aligned to 8 pixels."""
    mask = torch.zeros(1, side, side)
    mask[:, 16:40, 24:56] = 1.0
    return mask


@pytest.mark.parametrize("preset", ["sd1-inpaint", "sd2-inpaint"], indirect=True)
def test_an_inpainting_model_equals_diffusers(preset):
    """ComfyUI differs from diffusers in three things that this test holds still (numerics.md, 3.7 and 9.4): it scales
    masks bilinear and rounds (equal where the mask is aligned to 8 pixels; diffusers takes the nearest), it encodes
    means (diffusers samples; the autoencoder here is certain), and it may keep what is not masked in every step
    (noise_mask; diffusers does so only for models without extra channels)."""
    theirs, start = preset.oracle(
        StableDiffusionInpaintPipeline, CHECKERLESS, image=theirs_of(picture()) * 2 - 1, mask_image=hole()[None],
        height=SIZE, width=SIZE, strength=1.0,
    )  # fmt: skip
    made = condition_inpainting(
        preset.desk.context, positive=POSITIVE, negative=NEGATIVE, vae=preset.loaded.vae, pixels=Image(picture()),
        mask=Mask(hole()), noise_mask=False,
    )  # fmt: skip
    assert made.latent.noise_mask is None
    compare(preset.ours(made.positive, made.negative, start), theirs)


@pytest.mark.parametrize("preset", ["sd2-depth"], indirect=True)
def test_depth_to_image_equals_diffusers(preset):
    """ComfyUI 0.3.64 has no depth models (numerics.md, 9.3), so diffusers' rule is the node's. The map is fed in."""
    depth = torch.rand((1, 16, 16), generator=torch.Generator().manual_seed(4)) * 7
    theirs, start = preset.oracle(
        StableDiffusionDepth2ImgPipeline, {"depth_estimator": None, "feature_extractor": None},
        image=theirs_of(picture()), depth_map=depth.clone(), strength=0.8,
    )  # fmt: skip
    grey = Image((depth / 7)[..., None].repeat(1, 1, 1, 3))  # its range does not matter
    made = condition_depth(positive=POSITIVE, negative=NEGATIVE, depth=grey)
    compare(preset.ours(made.positive, made.negative, start, skipped=1), theirs)


@pytest.mark.parametrize("preset", ["sd2-x4"], indirect=True)
@pytest.mark.parametrize("level", [0, 35])
def test_the_x4_upscaler_equals_diffusers(preset, level):
    """ComfyUI noises the small picture with the seed less ten (numerics.md, 9.5), and not at all at level 0, where
    diffusers still adds the noise of the schedule's first step: that is taken out of the oracle here."""
    small_picture = picture(side=16)
    low = DDPMScheduler(beta_start=0.0001, beta_end=0.02, beta_schedule="scaled_linear")
    if level == 0:
        low.add_noise = lambda image, noise, t: image
    theirs, start = preset.oracle(
        StableDiffusionUpscalePipeline, {"low_res_scheduler": low, "max_noise_level": 350},
        image=theirs_of(small_picture) * 2 - 1, noise_level=level, latents=noise(1, 4, 16, 16, seed=8),
    )  # fmt: skip
    made = condition_upscaling(
        images=Image(small_picture), positive=POSITIVE, negative=NEGATIVE, scale_ratio=4.0,
        noise_augmentation=level / 350,
    )  # fmt: skip
    assert made.latent.samples.shape == (1, 4, 16, 16)
    compare(preset.ours(made.positive, made.negative, start, seed=3 + 10), theirs)


@pytest.mark.parametrize("preset", ["instruct-pix2pix"], indirect=True)
def test_editing_by_instruction_equals_diffusers(preset):
    """With image guidance 1 the three-way guidance of InstructPix2Pix is ours with the picture on both sides."""
    theirs, start = preset.oracle(
        StableDiffusionInstructPix2PixPipeline, CHECKERLESS, image=theirs_of(picture()), image_guidance_scale=1.0,
    )  # fmt: skip
    made = condition_editing(
        preset.desk.context, positive=POSITIVE, negative=NEGATIVE, vae=preset.loaded.vae, pixels=Image(picture())
    )
    assert not made.latent.samples.any()
    compare(preset.ours(made.positive, made.negative, start), theirs)


@pytest.mark.parametrize("preset", ["instruct-pix2pix"], indirect=True)
def test_three_way_guidance_of_instructions_equals_diffusers(preset):
    """DualCFGGuider (numerics.md, 5.5) from no picture and no text to the picture, and from that to the text."""
    theirs, start = preset.oracle(
        StableDiffusionInstructPix2PixPipeline, CHECKERLESS, image=theirs_of(picture()), image_guidance_scale=1.7,
    )  # fmt: skip
    made = condition_editing(
        preset.desk.context, positive=POSITIVE, negative=NEGATIVE, vae=preset.loaded.vae, pixels=Image(picture())
    )
    guider = dual_guider(
        model=preset.loaded.model, cond1=made.positive, cond2=made.negative, negative=NEGATIVE, cfg_conds=CFG,
        cfg_cond2_negative=1.7, style="regular",
    )  # fmt: skip
    compare(preset.ours(made.positive, made.negative, start, guiding=guider.guiding), theirs)
