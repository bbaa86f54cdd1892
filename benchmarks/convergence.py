"""How fast each deterministic sampler converges, on a model whose answer is known.

If clean data is Gaussian, N(μ, c²) in each channel, the best guess and the whole path of a sample are formulas:

    D(x, σ) = (c²·x + σ²·μ) / (c² + σ²)         x(σ) = μ + (x₀ - μ)·√((c² + σ²)/(c² + σ₀²))

so an error is the sampler's alone. Everything is float64. `python -m benchmarks.convergence` writes
docs/convergence.svg and docs/convergence.md; tests/diffusion/test_convergence.py checks the orders.

Two settings. The *order* is read where it can be seen: over a short stretch, sigma 2 to 0.5, where halving the steps
divides the error by 2^order. The *plot* walks SD's whole range, which is what a user walks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.diffusion.config import PRESETS
from engine.diffusion.samplers import SAMPLERS, Guess, start_sampler
from engine.diffusion.schedules import discrete
from engine.training.plot import Axis, Line, plot_lines

SHORT = (2.0, 0.5)
WHOLE = (14.614642, 0.029167)  # SD's largest and smallest sigma
SPREAD = torch.tensor([0.25, 0.5, 1.0, 2.0], dtype=torch.float64).view(1, 4, 1, 1)
CENTRE = torch.tensor([0.5, -0.3, 1.0, 0.0], dtype=torch.float64).view(1, 4, 1, 1)
DOUBLINGS = (3, 4, 5, 6, 7, 8)  # 8 to 256 steps
FINE = 7  # the order is read from 64 to 128 steps

# What theory says of each. A multistep method of any order begins with a step of the first, whose error is of second
# order and made once: so 2, however many steps it looks back on later (Hairer, Nørsett and Wanner, chapter III).
ORDERS: Mapping[str, tuple[int, str]] = {
    "euler": (1, "Euler's method in sigma"),
    "ddim": (1, "Euler's method in sigma"),
    "ddim_original": (1, "eta 0: Euler's method in sigma"),
    "euler_cfg_pp": (1, "Euler's method, where both sides of guidance agree"),
    "euler_cfg_pp_alternative": (1, "the same"),
    "heunpp2": (1, "weights its slopes by sigma / sigma_max, which add up to 1 but do not centre them"),
    "gradient_estimation": (1, "extrapolates the slope by a whole step where half a step would be second order"),
    "gradient_estimation_cfg_pp": (1, "the same"),
    "heun": (2, "trapezoidal rule"),
    "dpm_2": (2, "midpoint rule in log sigma"),
    "dpmpp_2m": (2, "two-step, exponential integrator"),
    "dpmpp_2m_cfg_pp": (2, "the same"),
    "res_multistep": (2, "two-step, exponential integrator"),
    "res_multistep_cfg_pp": (2, "the same"),
    "lms": (2, "Adams-Bashforth of four steps after a first step of Euler's"),
    "ipndm": (2, "Adams-Bashforth weights for equal steps, on steps that grow"),
    "ipndm_v": (2, "Adams-Bashforth of four steps after a first step of Euler's"),
    "deis": (2, "Adams-Bashforth of three steps in transformed time after a first step of Euler's"),
    "plms": (2, "Adams-Bashforth weights for equal steps, on steps that grow"),
    "uni_pc": (2, "predictor and corrector of three steps, but the last step is one of the first order"),
    "uni_pc_bh2": (2, "the same"),
    "dpm_fast": (3, "single steps of third order, the last of second; other numbers of steps end with one of first"),
}
NO_ORDER = {"dpm_adaptive": "chooses its own steps for a tolerance: the number asked for changes nothing"}


@dataclass(frozen=True)
class Result:
    """One run: how often the model was asked, and the largest error (the data's spread is 0.25 to 2)."""

    calls: int
    error: float


def exact(start: Tensor, sigma_start: float, sigma_end: float) -> Tensor:
    """Where the path through `start` (1, 4, h, w) is at sigma_end."""
    return CENTRE + (start - CENTRE) * ((SPREAD**2 + sigma_end**2) / (SPREAD**2 + sigma_start**2)).sqrt()


def run(name: str, steps: int, ends: tuple[float, float]) -> Result:
    """Walk `steps` steps, even in log sigma, from one end to the other."""
    high, low = ends
    sigmas = torch.linspace(math.log(high), math.log(low), steps + 1, dtype=torch.float64).exp()
    start = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * high
    sampler = start_sampler(SAMPLERS[name], start, sigmas, 0, discrete(PRESETS["sd1"].schedule))
    calls = 0
    try:
        x, sigma = next(sampler)
        while True:
            calls += 1
            clean = (SPREAD**2 * x + sigma.double() ** 2 * CENTRE) / (SPREAD**2 + sigma.double() ** 2)
            x, sigma = sampler.send(Guess(clean, clean))
    except StopIteration as stop:
        return Result(calls, float((stop.value - exact(start, high, low)).abs().max()))


def steps_of(name: str, doubling: int) -> int:
    """2^doubling steps; dpm_fast counts calls: 3·2^k - 1 of them are 2^k - 1 steps of order 3 and one of order 2."""
    return 3 * 2 ** (doubling - 2) - 1 if name == "dpm_fast" else 2**doubling


def measured_order(name: str, doubling: int = FINE) -> float:
    """log2 of the errors' ratio when the steps are doubled up to 2^doubling, over the short stretch."""
    coarse, fine = (run(name, steps_of(name, each), SHORT) for each in (doubling - 1, doubling))
    return math.log2(coarse.error / fine.error)


def curves(names: Sequence[str]) -> dict[str, list[Result]]:
    """Errors over the whole range for ever more steps."""
    return {name: [run(name, steps_of(name, doubling), WHOLE) for doubling in DOUBLINGS] for name in names}


# -- the page -------------------------------------------------------------------------------------------------------

DRAWN = ("euler", "gradient_estimation", "heunpp2", "heun", "dpm_2", "dpmpp_2m", "res_multistep", "lms", "ipndm",
         "ipndm_v", "deis", "plms", "uni_pc_bh2", "dpm_fast")  # fmt: skip
LEAST_ERROR = 1e-6  # float32's rounding


def draw(results: Mapping[str, list[Result]]) -> str:
    """Both axes logarithmic: model calls to the right, error upwards. Straight lines have the order as their slope."""
    lines = [
        Line(name, [(each.calls, max(each.error, LEAST_ERROR)) for each in found]) for name, found in results.items()
    ]
    return plot_lines(lines, Axis("model calls", log=True), Axis("error", log=True))


def page(orders: Mapping[str, float], results: Mapping[str, list[Result]]) -> str:
    """The measured orders as a table, beneath the plot."""
    rows = []
    for name, (order, why) in ORDERS.items():
        line = results[name]
        sizes = " | ".join(f"{each.error:.1e}" for each in (line[1], line[3], line[5]))
        rows.append(f"| `{name}` | {order} | {orders[name]:.2f} | {sizes} | {why} |")
    return "\n".join([
        "# How fast the samplers converge", "",
        "Each deterministic sampler on a model whose answer is known (Gaussian data; `benchmarks/convergence.py`).",
        "`python -m benchmarks.convergence` writes this page; `tests/diffusion/test_convergence.py` measures again.",
        "", "![error against model calls](convergence.svg)", "",
        "The plot and the three errors are over SD's whole range of sigma, evenly in log sigma, for 16, 64 and 256",
        "steps (dpm_fast: 11, 47 and 191 calls). The order is read over sigma 2 to 0.5, from 64 to 128 steps.", "",
        "| sampler | order | measured | error, 16 | 64 | 256 | why |", "|---|---|---|---|---|---|---|", *rows, "",
        *(f"`{name}` {why}." for name, why in NO_ORDER.items()), "",
        "A real model is not Gaussian: the table says what the methods can do, not which pictures look best.", "",
    ])  # fmt: skip


def main() -> None:
    """Measure and write the page."""
    torch.set_num_threads(1)
    docs = Path(__file__).resolve().parents[1] / "docs"
    results = curves(list(ORDERS))
    orders = {name: measured_order(name) for name in ORDERS}
    (docs / "convergence.svg").write_text(draw({name: results[name] for name in DRAWN}), encoding="utf-8")
    (docs / "convergence.md").write_text(page(orders, results), encoding="utf-8")
    for name, order in orders.items():
        print(f"{name:28} {order:.2f}")


if __name__ == "__main__":
    main()
