"""Rules of numerics.md that live in a node itself: sizes, what it hands to a schedule or sampler, what a file holds."""

import math

import pytest
import torch
import torch.nn.functional as F

from engine.diffusion.config import PRESETS
from engine.diffusion.guidance import Area, Condition
from engine.graph.types import Conditioning, Image, Latent, Model, Sampler
from nodes import conditioning, image, latent, samplers, schedulers, upscaling
from tests.parity.small import noise

# -- sizes: numerics.md, 7.2 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ((0, 0), (10, 6)),  # both 0: unchanged
        ((0, 400), (400 // 8, 240 // 8)),  # missing = round(latent_size·given/other): 6·400/10 = 240
        ((400, 0), (664 // 8, 400 // 8)),  # round(10·400/6) = round(666.67) = 667, and 667//8 = 83
        ((0, 8), (64 // 8, 64 // 8)),  # at least 64: height 64, width max(64, round(6·64/10) = 38)
        ((8, 16), (8, 8)),  # max(64, ·) of both
        ((100, 203), (25, 12)),  # cut to whole eights
    ],
)
def test_a_latent_is_scaled_to_a_size_in_pixels(asked, size):
    """7.2, LatentUpscale: one 0 keeps the latent's proportions, sides are at least 64 pixels, target = w//8, h//8."""
    width, height = asked
    made = latent.upscale(samples=Latent(noise(1, 4, 10, 6)), upscale_method="bilinear", width=width, height=height,
                          crop="disabled")  # fmt: skip
    assert tuple(made.samples.shape[2:]) == size


def test_a_latent_is_cut_in_the_middle_only_if_asked_and_keeps_its_mask():
    """7.2: crop center cuts 16×8 to the aspect of 1:1 first; masks in the latent are kept as they are."""
    x, mask = noise(1, 4, 8, 16), torch.rand(1, 1, 64, 128)
    made = latent.upscale(samples=Latent(x, noise_mask=mask), upscale_method="bilinear", width=128, height=128,
                          crop="center")  # fmt: skip
    assert torch.equal(made.samples, F.interpolate(x[..., 4:12], size=(16, 16), mode="bilinear"))
    assert made.noise_mask is mask
    by = latent.upscale_by(samples=Latent(x, noise_mask=mask), upscale_method="area", scale_by=0.5)
    assert torch.equal(by.samples, F.interpolate(x, size=(4, 8), mode="area"))
    assert by.noise_mask is mask


@pytest.mark.parametrize(
    ("asked", "size"),
    [((0, 0), (6, 10)), ((25, 0), (15, 25)), ((0, 25), (25, 42)), ((1, 0), (1, 1)), ((7, 5), (5, 7))],
)
def test_a_picture_is_scaled_to_a_size(asked, size):
    """7.2, ImageScale: one 0 → max(1, round(other·ratio)): 25·6/10 = 15; 25·10/6 = 41.67; 1·0.6; both 0 → unchanged."""
    width, height = asked
    made = image.scale_image(image=Image(noise(1, 6, 10, 3)), upscale_method="area", width=width, height=height,
                             crop="disabled")  # fmt: skip
    assert tuple(made.pixels.shape) == (1, *size, 3)


def test_a_picture_is_scaled_by_a_factor_rounded_half_to_even():
    """7.2, ImageScaleBy: round(size·f); 5·0.5 = 2.5 → 2 and 7·0.5 = 3.5 → 4."""
    made = image.scale_image_by(image=Image(noise(1, 5, 7, 3)), upscale_method="bilinear", scale_by=0.5)
    assert tuple(made.pixels.shape) == (1, 2, 4, 3)


def test_a_second_picture_is_brought_to_the_first_by_cutting_and_a_bilinear_resize():
    """7.2, ImageBatch: bilinear, centre; 4×8 is cut to 4×4 and stretched to 6×6."""
    first, second = noise(1, 6, 6, 3), noise(2, 4, 8, 3, seed=1)
    made = image.batch_images(image1=Image(first), image2=Image(second)).pixels
    middle = second[:, :, 2:6].movedim(-1, 1)
    expected = F.interpolate(middle, size=(6, 6), mode="bilinear").movedim(1, -1)
    assert torch.equal(made, torch.cat([first, expected]))


def test_empty_and_inverted_pictures_and_empty_latents():
    """7.1: EmptyImage is the colour's bytes /255, ImageInvert 1 − v. 3.1: EmptyLatentImage is [B, 4, h//8, w//8]."""
    made = image.empty_image(width=3, height=2, batch_size=2, color=0x1080FF).pixels
    assert made.shape == (2, 2, 3, 3)
    assert made[1, 1, 2].tolist() == pytest.approx([0x10 / 255, 0x80 / 255, 1.0])
    assert torch.allclose(image.invert_image(image=Image(made)).pixels, 1.0 - made)
    empty = latent.empty_latent(width=83, height=41, batch_size=3).samples
    assert (tuple(empty.shape), bool(empty.any())) == ((3, 4, 5, 10), False)


@pytest.mark.parametrize(("save", "second_byte"), [(image.save_image, 0x5E), (image.preview_image, 0x01)])
def test_saved_pictures_are_packed_by_level_4_and_previews_by_level_1(save, second_byte, desk):
    """7.1. A zlib stream's second byte holds the level's class (RFC 1950, FLEVEL): 0x5E for 2 to 5, 0x01 below."""
    shown = save(desk.context, images=Image(torch.rand(1, 16, 16, 3)), prompt=None, extra_pnginfo=None)
    data = shown.files[0].read_bytes()
    start = data.index(b"IDAT") + 4
    assert (data[start], data[start + 1]) == (0x78, second_byte)


TEXT = Conditioning((Condition(torch.zeros(1, 77, 8)),))


def test_an_area_in_pixels_is_cut_to_whole_latent_pixels():
    """5.4, SetArea: (height//8, width//8, y//8, x//8)."""
    made = conditioning.set_area(conditioning=TEXT, width=79, height=127, x=15, y=31)
    assert made.entries[0].area == Area(15, 9, 3, 1)


def test_the_upscalers_small_picture_goes_from_minus_one_to_one():
    """9.5: resized bilinear to (W'//4, H'//4), then 2v − 1."""
    pixels = noise(1, 8, 8, 3).sigmoid()
    made = upscaling.condition_upscaling(positive=TEXT, negative=TEXT, images=Image(pixels), scale_ratio=4.0)
    assert torch.allclose(made.positive.entries[0].extra["concat_image"], 2 * pixels.movedim(-1, 1) - 1, atol=1e-6)


# -- schedulers: numerics.md, 2.7 --------------------------------------------------------------------------------

SD1 = Model(config=PRESETS["sd1"], weights=None)


def listed(sigmas):
    return sigmas.values.tolist()


def test_each_scheduler_node_hands_its_numbers_to_the_right_places():
    """2.7, with three or four steps and no two numbers alike, by the formula in Python's float64."""
    low, high, rho = 0.5, 8.0, 3.0
    ramp = [0.0, 0.5, 1.0]
    karras = [(high ** (1 / rho) + r * (low ** (1 / rho) - high ** (1 / rho))) ** rho for r in ramp]
    ends = {"steps": 3, "sigma_max": high, "sigma_min": low}
    assert listed(schedulers.karras(**ends, rho=rho)) == pytest.approx([*karras, 0.0], rel=1e-6)
    assert listed(schedulers.exponential(**ends)) == pytest.approx([8.0, 2.0, 0.5, 0.0], rel=1e-6)
    poly = [math.exp((1 - r) ** rho * math.log(high / low) + math.log(low)) for r in ramp]
    assert listed(schedulers.polyexponential(**ends, rho=rho)) == pytest.approx([*poly, 0.0], rel=1e-6)

    def log_level(u, mu, b):
        return mu - b * math.copysign(1, 0.5 - u) * math.log(1 - 2 * abs(0.5 - u) + 1e-5)

    laplace = [min(max(math.exp(log_level(u, 0.3, 0.2)), low), high) for u in (0.0, 1 / 3, 2 / 3, 1.0)]
    made = schedulers.laplace(steps=4, sigma_max=high, sigma_min=low, mu=0.3, beta=0.2)
    assert listed(made) == pytest.approx(laplace, rel=1e-5)
    times = [1.0, (1.0 + 0.2) / 2, 0.2]
    vp = [math.sqrt(math.expm1(5.0 * t * t / 2 + 0.3 * t)) for t in times]
    made = schedulers.variance_preserving(steps=3, beta_d=5.0, beta_min=0.3, eps_s=0.2)
    assert listed(made) == pytest.approx([*vp, 0.0], rel=1e-5)


def table_sigma(k):
    """1.1: σ_k of the SD table, by its definition."""
    product = 1.0
    for j in range(k + 1):
        product *= 1.0 - (math.sqrt(0.00085) + (math.sqrt(0.012) - math.sqrt(0.00085)) * j / 999) ** 2
    return math.sqrt((1 - product) / product)


def test_the_schedulers_that_read_the_models_table():
    """2.2 with the node's a and b, 2.7 for SDTurbo: [999, 899, …, 99] from 10 − int(10·d)."""
    from scipy.stats import beta as distribution

    places = [round(float(distribution.ppf(1 - j / 3, 0.4, 1.5)) * 999) for j in range(3)]
    made = schedulers.beta(model=SD1, steps=3, alpha=0.4, beta=1.5)
    assert listed(made) == pytest.approx([*map(table_sigma, places), 0.0], rel=1e-5)
    made = schedulers.sd_turbo(model=SD1, steps=2, denoise=0.35)  # 10 − int(3.5) = 7: 299 and 199
    assert listed(made) == pytest.approx([table_sigma(299), table_sigma(199), 0.0], rel=1e-5)


# -- samplers: numerics.md, 4.5 and 4.9 --------------------------------------------------------------------------

STRENGTHS = {"eta": 0.3, "s_noise": 0.7}


@pytest.mark.parametrize(
    ("made", "name", "options"),
    [
        (samplers.euler_ancestral(**STRENGTHS), "euler_ancestral", STRENGTHS),
        (samplers.euler_ancestral_cfg_pp(**STRENGTHS), "euler_ancestral_cfg_pp", STRENGTHS),
        (samplers.lms(order=2), "lms", {"order": 2}),
        (samplers.dpmpp_2s_ancestral(**STRENGTHS), "dpmpp_2s_ancestral", STRENGTHS),
        (samplers.dpmpp_3m_sde(**STRENGTHS, noise_device="gpu"), "dpmpp_3m_sde_gpu", STRENGTHS),
        (samplers.dpmpp_3m_sde(**STRENGTHS, noise_device="cpu"), "dpmpp_3m_sde", STRENGTHS),
        (samplers.dpmpp_2m_sde(solver_type="midpoint", **STRENGTHS, noise_device="gpu"), "dpmpp_2m_sde_gpu", STRENGTHS),
        (samplers.dpmpp_2m_sde(solver_type="heun", **STRENGTHS, noise_device="cpu"), "dpmpp_2m_sde_heun", STRENGTHS),
        (samplers.dpmpp_sde(**STRENGTHS, r=0.6, noise_device="cpu"), "dpmpp_sde", {**STRENGTHS, "r": 0.6}),
        # 4.5: κ(v) = v^{η+1}; "ODE" and η = 0 use η = 0 and no noise; ER-SDE keeps its own κ
        (samplers.er_sde(solver_type="ER-SDE", max_stage=2, **STRENGTHS), "er_sde", {"max_stage": 2, "s_noise": 0.7}),
        (samplers.er_sde(solver_type="Reverse-time SDE", max_stage=2, **STRENGTHS), "er_sde",
         {"max_stage": 2, "s_noise": 0.7, "power": 1.3}),
        (samplers.er_sde(solver_type="Reverse-time SDE", eta=0.0), "er_sde",
         {"max_stage": 3, "s_noise": 0.0, "power": 1.0}),
        (samplers.er_sde(solver_type="ODE", **STRENGTHS), "er_sde", {"max_stage": 3, "s_noise": 0.0, "power": 1.0}),
    ],
)  # fmt: skip
def test_a_sampler_node_names_its_sampler_and_hands_its_numbers_on(made, name, options):
    """4.9: noise_device "gpu" selects the _gpu name; solver "heun" the _heun one."""
    assert (made.name, made.options) == (name, pytest.approx(options))


def test_the_samplers_with_many_numbers_hand_each_to_its_place():
    """4.6, 4.8 and 4.9; no two numbers alike."""
    many = {"order": 2, "rtol": 0.1, "atol": 0.2, "h_init": 0.3, "pcoeff": 0.4, "icoeff": 0.5, "dcoeff": 0.6,
            "accept_safety": 0.7, "eta": 0.8, "s_noise": 0.9}  # fmt: skip
    assert samplers.dpm_adaptive(**many) == Sampler("dpm_adaptive", many)
    many = {"eta": 0.1, "sde_start_percent": 0.2, "sde_end_percent": 0.3, "s_noise": 0.4, "predictor_order": 5,
            "corrector_order": 6, "use_pece": True, "simple_order_2": False}  # fmt: skip
    assert samplers.sa_solver(model=SD1, **many) == Sampler("sa_solver", many)
    many = {"scale_ratio": 1.5, "scale_steps": 3, "upscale_method": "area"}
    assert samplers.lcm_upscale(**many) == Sampler("lcm_upscale", many)
