"""Deciding is arithmetic: whatever the sizes, the fastest plan that fits is taken, and what is laid out fits."""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runtime.device.budget import (
    TILES,
    Plan,
    Unit,
    default_budget,
    lay_out,
    least_room,
    lower,
    parts,
    plan_autoencoder,
    plan_sampling,
    read_plan,
    write_plan,
)
from engine.runtime.device.memory import Ledger
from engine.runtime.memory_flags import Memory, add_memory_flags, memory_arguments, read_memory

UNITS = st.lists(st.integers(1, 10_000), min_size=1, max_size=60).map(
    lambda sizes: [Unit((f"w{number}",), size) for number, size in enumerate(sizes)]
)
ORDER = {"resident": 0, "streamed": 1}


@settings(max_examples=40, deadline=None)
@given(UNITS, st.integers(0, 1000), st.integers(0, 700_000), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_a_layout_fits_and_holds_every_weight_once(
    units: list[Unit], fixed: int, room: int, aside: float
) -> None:
    layout = lay_out(units, fixed, room, aside)
    assert layout.nbytes <= max(room, least_room(units, fixed, aside))
    assert layout.nbytes >= layout.ring >= layout.slots * layout.slot
    assert [name for chunk in layout.chunks for name in chunk.names] == [f"w{n}" for n in range(len(units))]
    assert sum(chunk.nbytes for chunk in layout.chunks) == sum(unit.nbytes for unit in units)
    assert all(chunk.nbytes <= layout.slot for index, chunk in enumerate(layout.chunks) if index not in layout.stays)


@settings(max_examples=40, deadline=None)
@given(UNITS, st.integers(0, 300_000), st.integers(0, 100_000))
def test_more_room_never_keeps_less(units: list[Unit], room: int, more: int) -> None:
    def stay(room: int) -> int:
        layout = lay_out(units, 0, room)
        return len(layout.stays)

    assert stay(room) <= stay(room + more)


def test_what_stays_is_evenly_spaced() -> None:
    layout = lay_out([Unit((str(n),), 10) for n in range(40)], 0, 120)
    stays = sorted(layout.stays)
    gaps = [after - before for before, after in pairwise(stays)]
    assert len(stays) == 10 and set(gaps) == {4}


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5000), st.integers(100, 2000), st.integers(1, 12), st.integers(1, 100), st.floats(0.1, 1.0))
def test_the_fastest_plan_that_fits_is_taken(budget: int, weights: int, rows: int, each: int, share: float) -> None:
    least = weights // 5
    plan = plan_sampling(budget, weights=weights, least=least, need=lambda n: n * each, rows=rows, share=share)

    def fits(placement: str, count: int) -> bool:
        taken = weights if placement == "resident" else least
        return taken + count * each <= budget and (placement == "streamed" or weights <= budget * share)

    ladder = [(placement, count) for placement in ("resident", "streamed") for count in parts(rows)]
    wanted = next((step for step in ladder if fits(*step)), ("streamed", 1))
    assert (plan.placement, plan.rows or rows) == wanted


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 2000), st.integers(1, 3000))
def test_tiles_are_taken_only_if_nothing_exact_fits(budget: int, weights: int, need: int) -> None:
    least = weights // 3
    taken: dict[Any, int] = {"strips": need * 2 // 5, 64: need * 64 // 200, 32: need * 32 // 200, 16: need * 16 // 200}
    plan = plan_autoencoder(budget, weights=weights, least=least, need=need, tiled=taken.__getitem__)
    assert (plan.tile is None) == (least + need <= budget)
    if plan.tile is not None:
        better = TILES[: TILES.index(plan.tile)]
        assert all(least + taken[tile] > budget for tile in better)
    if need * 2 // 5 + least <= budget < need + least:
        assert plan.tile == "strips", "what gives the whole picture's bits comes before tiles"


@pytest.mark.parametrize("autoencoder", [True, False])
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 64))
def test_the_ladder_ends(autoencoder: bool, rows: int) -> None:
    plan: Plan | None = Plan()
    seen = []
    while plan is not None:
        seen.append(plan)
        plan = lower(plan, autoencoder=autoencoder, rows=rows)
    assert len(seen) == len(set(seen)) <= 13
    assert seen[-1].placement == "least" and (seen[-1].tile == TILES[-1] if autoencoder else seen[-1].tile is None)
    assert all(read_plan(write_plan(each)) == each for each in seen)


@pytest.mark.parametrize("text", ["rows=0", "rows=-1", "tile=48", "tile=None", "weights=gone", "nonsense", "rows"])
def test_a_plan_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a plan is"):
        read_plan(text)


@pytest.mark.parametrize(("free", "total", "reserved", "budget"), [
    (20_000, 24_000, None, 20_000 - 10_000),  # the margin is 512 MiB at least, but half of what is free at most
    (20 * 2**30, 24 * 2**30, None, 20 * 2**30 - 24 * 2**30 // 10),
    (4 * 2**30, 24 * 2**30, 2**30, 3 * 2**30),
    (5, 9, 9, 0),
])
def test_the_usual_budget_is_what_is_free_less_a_margin(
    free: int, total: int, reserved: int | None, budget: int
) -> None:
    assert default_budget(free, total, reserved) == budget


@pytest.mark.parametrize(("words", "memory"), [
    ([], Memory()),
    (["--vram", "4G", "--ram", "512M"], Memory(4 * 2**30, 512 * 2**20)),
    (["--lowvram", "--reserve-vram", "1.5"], Memory(reserved=3 * 2**29, share=0.25)),
    (["--novram"], Memory(share=0.0)),
    (["--highvram"], Memory()),
    (["--plan", "rows=1,tile=32"], Memory(plan="rows=1,tile=32")),
    (["--plan", "tile=strips"], Memory(plan="tile=strips")),
])
def test_flags_reach_the_worker(words: list[str], memory: Memory) -> None:
    parser = argparse.ArgumentParser()
    add_memory_flags(parser)
    options = parser.parse_args(words)
    assert read_memory(options) == memory
    assert read_memory(parser.parse_args(memory_arguments(options))) == memory


def test_what_is_reserved_and_not_used_yet_hides_nothing() -> None:
    """A process has grown by 150 that nobody knows of; whoever is to begin has reserved 100 and uses none of it."""
    ledger = Ledger(1000, lambda known: max(0, 150 - known))
    ledger.reserve("a run", 100)
    assert ledger.elsewhere() == 50, "once it runs, its part of the growth is what it reserved"
    ledger.asking = "a run"
    assert ledger.elsewhere() == 150
