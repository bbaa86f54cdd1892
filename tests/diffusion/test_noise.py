"""Noise against numerics.md, 3: values printed by ComfyUI 0.3.64 and torchsde 0.2.6."""

import ast
from pathlib import Path

import pytest
import torch

import engine
import nodes
from engine.diffusion.noise import SeedError, brownian_noise, default_noise, initial_noise, run_generator

SHAPE = (1, 4, 64, 64)


def test_the_first_values_of_two_seeds():
    zero = initial_noise(run_generator(0), SHAPE).flatten()[:4].tolist()
    assert zero == pytest.approx([-1.1258398, -1.1523602, -0.2505786, -0.4338788], abs=1e-7)
    answer = initial_noise(run_generator(42), SHAPE).flatten()[:4].tolist()
    assert answer == pytest.approx([1.9269153, 1.4872841, 0.9007172, -2.1055210], abs=1e-7)


def test_seeds_go_to_2_to_the_64_and_no_further():
    assert initial_noise(run_generator(2**64 - 1), SHAPE).isfinite().all()
    for seed in (-1, 2**64):
        with pytest.raises(SeedError, match=f"seed {seed} is out of range"):
            run_generator(seed)


def test_only_the_low_32_bits_of_a_seed_count():
    """3.1 [V]: seeds k and k + 2³² give the same noise."""
    assert torch.equal(initial_noise(run_generator(7), SHAPE), initial_noise(run_generator(7 + 2**32), SHAPE))


def test_batch_index_picks_single_draws():
    """3.1: max(b)+1 single draws; not slices of a batch where 4·h·w is no multiple of 16 [V]."""
    generator = run_generator(1)
    singles = [torch.randn((1, 4, 9, 9), generator=generator) for _ in range(4)]
    drawn = initial_noise(run_generator(1), (3, 4, 9, 9), (3, 0, 3))
    assert torch.equal(drawn, torch.cat([singles[3], singles[0], singles[3]]))
    whole = initial_noise(run_generator(1), (4, 4, 9, 9))
    assert not torch.equal(whole[3:], singles[3])  # 4·9·9 is no multiple of 16
    with pytest.raises(ValueError, match="does not fit a batch of 2"):
        initial_noise(run_generator(1), (2, 4, 8, 8), (0,))


def test_the_first_ancestral_draw_equals_the_initial_noise():
    initial = initial_noise(run_generator(5), SHAPE)
    draw = default_noise(torch.zeros(SHAPE), 5)
    one, two = draw(torch.tensor(2.0), torch.tensor(1.0)), draw(torch.tensor(1.0), torch.tensor(0.5))
    assert torch.equal(one, initial)
    assert not torch.equal(one, two)


def test_the_brownian_tree():
    """3.4: N(a,b) = ±(W(b) − W(a))/√|b − a|; the values are torchsde 0.2.6's [V]."""
    sigmas = torch.tensor([14.614642, 1.0, 0.5, 0.0291675, 0.0])
    noise = brownian_noise(torch.zeros(1, 4, 8, 8), sigmas, 42)
    downwards = noise(torch.tensor(1.0), torch.tensor(0.5))
    # (W(1.0) − W(0.5))/√0.5; going down in sigma the sign is −1
    expected = [1.2111140, -1.6032360, -0.9454073, 0.9071568]
    assert (-downwards).flatten()[:4].tolist() == pytest.approx(expected, abs=1e-6)
    assert torch.equal(noise(torch.tensor(0.5), torch.tensor(1.0)), -downwards)


def test_nothing_in_the_engine_or_its_nodes_draws_without_a_generator():
    """torch's global generator would make a run depend on what ran before it."""
    drawing = {"randn", "rand", "randint", "randperm", "normal", "bernoulli", "multinomial"}
    forbidden = {"randn_like", "rand_like", "randint_like", "manual_seed_all", "seed"}
    for_packs = Path(engine.__file__).parent / "comfy" / "samplers.py"  # sets it to the run's around what a pack draws
    found = []
    for path in (*Path(engine.__file__).parent.rglob("*.py"), *Path(nodes.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())) if path != for_packs else ():
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            of_torch = isinstance(node.func.value, ast.Name) and node.func.value.id == "torch"
            name = node.func.attr
            if of_torch and (
                name in forbidden
                or (name == "manual_seed" and path.parent.name != "training")  # new weights: torch's initialisers
                or (name in drawing and not any(keyword.arg == "generator" for keyword in node.keywords))
            ):  # fmt: skip
                found.append(f"{path.name}:{node.lineno} torch.{name}")
    assert found == []


def test_a_run_leaves_torchs_global_generator_alone():
    from engine.diffusion.samplers import SAMPLER_NAMES, SAMPLERS
    from engine.diffusion.sampling import sample
    from tests.diffusion.synthetic import Synthetic, synthetic_run

    before = torch.get_rng_state()
    for name in SAMPLER_NAMES:
        sample(synthetic_run(name, steps=3, scheduler=(SAMPLERS[name].schedules or ("karras",))[0]), Synthetic())
    assert torch.equal(torch.get_rng_state(), before)
