"""The disk tier: what it keeps, what it refuses, what it does with damaged files and a full disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.diffusion.guidance import Area, AreaPart, Condition
from engine.graph.types import Conditioning, Image, Latent, Mask, Sigmas
from engine.runtime.cache import ValueCache, size_of
from engine.runtime.disk import DiskTier, NotPlainError, pack, unpack
from engine.runtime.signature import digest, join
from engine.runtime.traces import Trace, Traces
from tests.runtime.toolbox import make_machine, run, runs

DEAR = 1e6  # seconds: worth keeping whatever its size
VALUES: dict[str, Any] = {
    "plain": {"a": [1, 2.5, None, True, "x"], "b": ("c", [])},
    "numbers": 2**63 - 1,
    "tensor": torch.arange(6, dtype=torch.float16).reshape(2, 3),
    "scalar": torch.tensor(3.5),
    "view": torch.arange(100.0).reshape(10, 10)[:, 3:5],
    "empty": torch.zeros(0, 4),
    "image": Image(torch.rand(1, 2, 2, 3)),
    "mask": Mask(torch.rand(1, 2, 2)),
    "latent": Latent(torch.rand(1, 4, 2, 2), torch.ones(1, 1, 4, 4), (1, 2), {"mine": [1]}),
    "sigmas": Sigmas(torch.linspace(1, 0, 3)),
    "conditioning": Conditioning((
        Condition(torch.rand(1, 77, 8), torch.rand(1, 8), area=Area(1, 2, 3, 4), extra={"x": torch.ones(2)}),
        Condition(torch.rand(1, 77, 8), area=AreaPart(0.1, 0.2, 0.3, 0.4), mask=torch.ones(1, 2, 2), strength=0.5),
    )),
}


def wire(*items: Any) -> bytes:
    found = [digest(each) for each in items]
    assert None not in found
    return join([each for each in found if each is not None])


@pytest.fixture
def tier(tmp_path: Path) -> Any:
    made = DiskTier(tmp_path / "values", 10**7)
    yield made
    made.close()


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_value_comes_back_as_it_was(tier: DiskTier, tmp_path: Path, name: str) -> None:
    items = (VALUES[name], VALUES["plain"])
    tier.put(wire(*items), items, DEAR)
    tier.flush()
    later = DiskTier(tmp_path / "values", 10**7)
    back = later.get(wire(*items))
    later.close()
    assert back is not None
    assert wire(*back) == wire(*items) and type(back[0]) is type(items[0])


def test_what_is_not_plain_is_not_kept(tier: DiskTier) -> None:
    for value in (object(), {1: 2}, torch.ones(2).to_sparse()):
        with pytest.raises(NotPlainError):
            pack((value,))
    tier.put(b"x" * 16, (object(),), DEAR)
    tier.flush()
    assert len(tier) == 0


def test_what_is_quicker_made_than_read_is_not_kept(tier: DiskTier) -> None:
    items = (torch.rand(1000, 1000),)
    tier.put(wire(*items), items, 0.001)
    tier.flush()
    assert len(tier) == 0


def test_a_damaged_file_is_dropped(tier: DiskTier, tmp_path: Path) -> None:
    for damage in (lambda data: data[:-7], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: b""):
        items = (torch.rand(64),)
        name = wire(*items)
        tier.put(name, items, DEAR)
        tier.flush()
        path = tmp_path / "values" / f"{name.hex()}.value"
        path.write_bytes(damage(path.read_bytes()))
        assert tier.get(name) is None and name not in tier and not path.exists()
    assert tier.nbytes == 0


def test_the_budget_holds_and_what_was_used_last_stays(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path, 50_000)
    values = [(torch.rand(2500),) for _ in range(6)]  # 10 kB each
    for items in values[:4]:
        tier.put(wire(*items), items, DEAR)
        tier.flush()
    assert tier.get(wire(*values[0])) is not None
    for items in values[4:]:
        tier.put(wire(*items), items, DEAR)
        tier.flush()
    assert tier.nbytes <= 50_000 and sum(each.stat().st_size for each in tmp_path.iterdir()) == tier.nbytes
    assert wire(*values[0]) in tier and wire(*values[1]) not in tier and wire(*values[5]) in tier
    tier.put(b"y" * 16, (torch.rand(10_000),), DEAR)
    tier.flush()
    assert b"y" * 16 not in tier, "one value may not take most of the budget"
    tier.close()


def test_a_full_disk_costs_the_value_and_nothing_else(
    tier: DiskTier, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    items = (torch.rand(64),)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        tier.put(wire(*items), items, DEAR)
        tier.put(wire(*items, 1), (*items, 1), DEAR)
        tier.flush()
    assert len(tier) == 0 and not list((tmp_path / "values").iterdir())
    assert caplog.text.count("No space left") == 1
    tier.put(wire(*items), items, DEAR)
    tier.flush()
    assert tier.get(wire(*items)) is not None


def test_half_a_file_of_a_worker_that_died_is_removed(tmp_path: Path) -> None:
    (tmp_path / "0011.part").write_bytes(b"half")
    (tmp_path / "nonsense.value").write_bytes(b"")
    tier = DiskTier(tmp_path, 1000)
    assert len(tier) == 0 and not (tmp_path / "0011.part").exists()
    tier.close()


def test_a_value_on_disk_need_not_be_made_again_after_a_restart(tmp_path: Path) -> None:
    """a → b → c: c changes, so b's value is wanted, and it is on disk."""

    def begin() -> tuple[Any, DiskTier]:
        tier = DiskTier(tmp_path / "values", 10**6)
        tier.put = lambda wire, items, seconds: DiskTier.put(tier, wire, items, DEAR)  # type: ignore[method-assign]
        machine = make_machine(traces=Traces(tmp_path / "traces.db"))
        return replace(machine, cache=ValueCache(10**6, tier)), tier

    def workflow(last: int) -> dict[str, Any]:
        return {
            "a": ("Number", {"value": 3}), "b": ("Add", {"a": ["a", 0], "b": 1}),
            "c": ("Add", {"a": ["b", 0], "b": last}), "o": ("Show", {"value": ["c", 0]}),
        }

    machine, tier = begin()
    run(machine, workflow(1))
    tier.flush()
    machine.traces.close()
    machine.lanes.close()
    tier.close()
    runs.clear()
    machine, tier = begin()
    ending, _ = run(machine, workflow(2))
    assert ending.outputs == {"o": {"text": [6]}}
    assert runs == {"Add": 1, "Show": 1}
    found = {each.node: (each.state, each.cause) for each in ending.reports}
    assert found["b"] == ("reused", "disk") and found["a"] == ("reused", "disk")
    machine.traces.close()
    machine.lanes.close()
    tier.close()


def test_views_count_as_what_they_keep_in_memory() -> None:
    whole = torch.zeros(1000, 1000)
    assert size_of(whole[0]) == size_of(whole) == 4_000_000
    assert size_of(whole.expand(50, 1000, 1000)) == 200_000_000, "as large as it is when somebody writes it out"
    array = np.zeros((1000, 1000))
    assert size_of(array[:1]) == size_of(array) == 8_000_000
    assert size_of({"a": [array]}) >= 8_000_000
    assert unpack(pack(([], ()))) == ([], ())


def test_traces_that_are_used_stay_in_memory_and_others_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runtime.traces.MAX_KNOWN", 10)
    traces, asked = Traces(tmp_path / "traces.db"), []
    assert traces._database is not None
    traces._database.set_trace_callback(lambda text: asked.append(text) if text.startswith("SELECT") else None)
    keys = [bytes([number]) for number in range(50)]
    for key in keys:
        traces.put(key, Trace((key,)))
        assert traces.get(keys[0]) == Trace((keys[0],))
    assert asked == [], "what is asked for again and again was never let go of"
    assert all(traces.get(key) == Trace((key,)) for key in keys)
    assert asked, "the others were let go of, and are on disk"
    traces.close()
