"""Custom sampling as nodes: put together from parts, it is what KSampler does."""

import pytest
import torch

from engine.diffusion.guidance import Condition
from engine.diffusion.noise import run_generator
from engine.diffusion.standin import write_standin
from engine.graph.registry import scan
from engine.graph.types import Conditioning, Latent, Noise, Sampler, Sigmas
from nodes import custom_sampling, samplers, schedulers
from nodes.loaders import load_checkpoint
from nodes.sampling import sample, sample_part

EMPTY = Latent(torch.zeros(1, 4, 8, 8), extra={"kept": 1})


def text(seed):
    return Conditioning((Condition(torch.randn(1, 77, 64, generator=torch.Generator().manual_seed(seed))),))


@pytest.fixture
def model(desk):
    write_standin(desk.model_folder("checkpoints") / "s.safetensors")
    return load_checkpoint(desk.context, ckpt_name="s.safetensors").model


def of_sampler(desk, model, latent=EMPTY, **changes):
    values = {"model": model, "seed": 5, "steps": 4, "cfg": 3.0, "sampler_name": "euler", "scheduler": "karras",
              "positive": text(1), "negative": text(2), "latent_image": latent}  # fmt: skip
    return sample(desk.context, **(values | changes)).samples


def test_a_custom_run_of_the_same_parts_is_ksamplers(desk, model):
    expected = of_sampler(desk, model)
    sigmas = schedulers.basic(model=model, scheduler="karras", steps=4)
    custom = custom_sampling.sample(
        desk.context, model=model, noise_seed=5, cfg=3.0, positive=text(1), negative=text(2),
        sampler=samplers.select(sampler_name="euler"), sigmas=sigmas, latent_image=EMPTY,
    )  # fmt: skip
    assert torch.equal(custom.output.samples, expected)
    assert torch.allclose(custom.denoised.samples, expected, atol=1e-4)  # the last step to 0 is the guess itself
    assert custom.output.extra == {"kept": 1}
    advanced = custom_sampling.sample_advanced(
        desk.context, noise=custom_sampling.random_noise(noise_seed=5),
        guider=custom_sampling.cfg_guider(model=model, positive=text(1), negative=text(2), cfg=3.0),
        sampler=Sampler("euler"), sigmas=sigmas, latent_image=EMPTY,
    )  # fmt: skip
    assert torch.equal(advanced.output.samples, expected)


def test_part_of_the_noise_is_left_and_the_guess_is_clean(desk, model):
    sigmas = schedulers.split(sigmas=schedulers.basic(model=model, scheduler="karras", steps=4), step=2)
    guider = custom_sampling.cfg_guider(model=model, positive=text(1), negative=text(2), cfg=3.0)
    parts = {"guider": guider, "sampler": Sampler("euler")}
    first = custom_sampling.sample_advanced(
        desk.context, noise=Noise(5), sigmas=sigmas.high, latent_image=EMPTY, **parts
    )
    assert first.output.samples.std() > first.denoised.samples.std()
    second = custom_sampling.sample_advanced(
        desk.context, noise=custom_sampling.no_noise(), sigmas=sigmas.low, latent_image=first.output, **parts
    )
    whole = of_sampler(desk, model)
    assert torch.allclose(second.output.samples, whole, atol=1e-4 * float(whole.abs().max()))


def test_a_run_without_noise_or_without_steps(desk, model):
    latent = Latent(torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3)))
    parts = {
        "model": model, "cfg": 3.0, "positive": text(1), "negative": text(2), "sampler": Sampler("euler"),
        "latent_image": latent,
    }  # fmt: skip
    nothing = custom_sampling.sample(desk.context, **parts, sigmas=Sigmas(torch.empty(0)))
    assert torch.equal(nothing.output.samples, latent.samples)
    one = custom_sampling.sample(desk.context, **parts, add_noise=False, sigmas=Sigmas(torch.tensor([2.0])))
    assert torch.allclose(one.output.samples, latent.samples, atol=1e-6)  # numerics.md, 3.2: no step is taken


@pytest.mark.parametrize("make", [
    lambda model: custom_sampling.basic_guider(model=model, conditioning=text(1)),
    lambda model: custom_sampling.dual_guider(model=model, cond1=text(1), cond2=text(2), negative=text(3),
                                              cfg_conds=3.0, cfg_cond2_negative=2.0, style="nested"),
    lambda model: custom_sampling.perp_neg_guider(model=model, positive=text(1), negative=text(2),
                                                  empty_conditioning=text(3), cfg=3.0),
])  # fmt: skip
def test_other_guiders_make_other_pictures(desk, model, make):
    sigmas = schedulers.karras(steps=3)
    guider = make(model)
    found = custom_sampling.sample_advanced(
        desk.context, noise=Noise(5), guider=guider, sampler=Sampler("euler"), sigmas=sigmas, latent_image=EMPTY
    ).output.samples
    assert torch.isfinite(found).all()
    assert not torch.allclose(found, of_sampler(desk, model, steps=3), atol=1e-3)


def test_noise_is_added_as_a_sampler_adds_it(desk, model):
    # 3.5: scale = |first - last|, x = z + scale·ε with z = latent·k, output = x / k
    latent = Latent(torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3)))
    k = model.config.vae.scale_factor
    noise = torch.randn((2, 4, 8, 8), generator=run_generator(9))
    sigmas = Sigmas(torch.tensor([3.0, 2.0, 1.0]))
    found = custom_sampling.add_noise(model=model, noise=Noise(9), sigmas=sigmas, latent_image=latent).samples
    assert torch.allclose(found, (latent.samples * k + 2.0 * noise) / k, atol=1e-5)
    single = Sigmas(torch.tensor([3.0]))
    found = custom_sampling.add_noise(model=model, noise=Noise(9), sigmas=single, latent_image=latent).samples
    assert torch.allclose(found, latent.samples + 3.0 * noise / k, atol=1e-4)
    empty = Sigmas(torch.empty(0))
    assert custom_sampling.add_noise(model=model, noise=Noise(9), sigmas=empty, latent_image=latent) is latent
    silent = custom_sampling.add_noise(model=model, noise=Noise(silent=True), sigmas=sigmas, latent_image=latent)
    assert torch.allclose(silent.samples, latent.samples, atol=1e-6)
    broken = Latent(torch.full((1, 4, 8, 8), float("nan")))
    assert not custom_sampling.add_noise(model=model, noise=Noise(9), sigmas=single, latent_image=broken).samples.any()


def test_noise_added_by_hand_is_the_noise_of_a_part_of_a_run(desk, model):
    sigmas = schedulers.basic(model=model, scheduler="normal", steps=4)
    late = schedulers.split(sigmas=sigmas, step=2).low
    latent = Latent(torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3)))
    noised = custom_sampling.add_noise(model=model, noise=Noise(5), sigmas=late, latent_image=latent)
    parts = {"model": model, "cfg": 3.0, "positive": text(1), "negative": text(2), "sampler": Sampler("euler"),
             "sigmas": late}  # fmt: skip
    by_hand = custom_sampling.sample(desk.context, **parts, add_noise=False, latent_image=noised)
    at_once = custom_sampling.sample(desk.context, **parts, noise_seed=5, latent_image=latent)
    assert torch.allclose(by_hand.output.samples, at_once.output.samples, atol=1e-4)
    advanced = sample_part(
        desk.context, model=model, add_noise="enable", noise_seed=5, steps=4, cfg=3.0, sampler_name="euler",
        scheduler="normal", positive=text(1), negative=text(2), latent_image=latent, start_at_step=2,
        return_with_leftover_noise="disable",
    )  # fmt: skip
    assert torch.equal(at_once.output.samples, advanced.samples)


def test_sampler_nodes_name_samplers_that_are_there_with_options_that_they_have(model):
    from engine.diffusion.samplers import SAMPLERS

    made = [
        samplers.euler_ancestral(), samplers.euler_ancestral_cfg_pp(), samplers.lms(), samplers.dpmpp_2s_ancestral(),
        samplers.dpmpp_3m_sde(noise_device="gpu"), samplers.dpmpp_3m_sde(noise_device="cpu"),
        *(samplers.dpmpp_2m_sde(solver_type=kind, noise_device=device)
          for kind in ("midpoint", "heun") for device in ("gpu", "cpu")),
        samplers.dpmpp_sde(noise_device="gpu"), samplers.dpm_adaptive(),
        *(samplers.er_sde(solver_type=kind) for kind in ("ER-SDE", "Reverse-time SDE", "ODE")),
        samplers.sa_solver(model=model, use_pece=True, simple_order_2=False),
        samplers.lcm_upscale(upscale_method="bislerp"), samplers.euler_cfg_pp(version="regular"),
        samplers.euler_cfg_pp(version="alternative"), samplers.select(sampler_name="uni_pc"),
    ]  # fmt: skip
    assert len({each.name for each in made}) == 18
    for each in made:
        assert set(each.options) <= set(SAMPLERS[each.name].options), each.name


def test_outputs_are_named_as_in_saved_workflows():
    specs = scan().specs
    names = {name: [each.name for each in specs[name].outputs] for name in
             ("SamplerCustomAdvanced", "SplitSigmas", "SamplingPercentToSigma", "CFGGuider")}  # fmt: skip
    assert names == {
        "SamplerCustomAdvanced": ["output", "denoised_output"], "SplitSigmas": ["high_sigmas", "low_sigmas"],
        "SamplingPercentToSigma": ["sigma_value"], "CFGGuider": ["GUIDER"],
    }  # fmt: skip
