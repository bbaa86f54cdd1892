"""Places for patches in the UNet: what they are told, when they are called, and that they cost nothing when unused.

Where the hooks sit: numerics.md, the end of 5.6, 8.1 (control) and protocol.md (what packs expect).
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from engine.diffusion.guidance import Call
from engine.diffusion.hooks import NO_HOOKS, Control, Hooks, NetworkPatch, Pass, Place, Site, Span, join
from engine.diffusion.network import batches, unet_network
from engine.diffusion.schedules import discrete
from engine.diffusion.unet import UNet
from tests.parity.small import noise, randomise, small

FAMILIES = ["sd1", "sd2-base", "sd2-x4", "sd2-unclip-l"]


def network(family="sd1"):
    config = small(family)
    return config, randomise(UNet(config.unet))


def arguments(config, size=(8, 8)):
    y = None
    if config.unet.num_classes:
        y = torch.tensor([1, 2])
    elif config.unet.adm_dim:
        y = noise(2, config.unet.adm_dim, seed=3)
    x = noise(2, config.unet.in_channels, *size, seed=1)
    return x, torch.tensor([10.0, 500.0]), noise(2, 77, config.unet.context_dim, seed=2), y


def same(*values):
    return values[0] if len(values) == 2 else values[:-1]


DOING_NOTHING = Hooks(
    attn1_input=(same,), attn1_output=(same,), between=(same,), attn2_input=(same,), attn2_output=(same,),
    embedding=(same,), input_block=(same,), input_block_after_skip=(same,), middle_block=(same,), output_block=(same,),
    attn1_replace={Place("middle", 0): lambda q, k, v, site: site.attend(q, k, v)},
)  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(8, 8), (9, 13)])
def test_hooks_that_change_nothing_leave_the_result_bit_identical(family, size):
    config, unet = network(family)
    x, timestep, context, y = arguments(config, size)
    with torch.no_grad():
        plain = unet(x, timestep, context, y)
        assert torch.equal(unet(x, timestep, context, y, hooks=DOING_NOTHING), plain)
        assert torch.equal(unet(x, timestep, context, y, control=Control()), plain)


def test_a_pass_without_hooks_does_not_take_the_hooked_way(monkeypatch):
    config, unet = network()
    monkeypatch.setattr("engine.diffusion.unet.run_hooked", lambda *_: pytest.fail("hooked"))
    unet(*arguments(config)[:3], hooks=NO_HOOKS)


def test_hooks_are_told_where_they_are():
    config, unet = network()
    seen: dict[str, list[Site]] = {"attn1": [], "attn2": [], "input": [], "middle": [], "output": []}

    def note(name):
        def hook(*values):
            seen[name].append(values[-1])
            return same(*values)

        return hook

    hooks = Hooks(
        attn1_input=(note("attn1"),), attn2_output=(note("attn2"),), input_block=(note("input"),),
        middle_block=(note("middle"),), output_block=(note("output"),),
    )  # fmt: skip
    with torch.no_grad():
        unet(*arguments(config, (8, 16))[:3], hooks=hooks)
    places = [site.place for site in seen["attn1"]]
    # SD 1.x attends in input blocks 1, 2, 4, 5, 7, 8, the middle one and output blocks 3 to 11 (models.md, 2.2)
    expected = [("input", n) for n in (1, 2, 4, 5, 7, 8)] + [("middle", 0)] + [("output", n) for n in range(3, 12)]
    assert places == [Place(block, number, 0) for block, number in expected]
    assert [site.transformer for site in seen["attn1"]] == list(range(16))
    assert [site.place for site in seen["attn2"]] == places
    assert seen["attn1"][0].size == (8, 16)
    assert seen["attn1"][6].size == (1, 2)
    assert [site.place.number for site in seen["input"]] == list(range(12))
    assert [site.place.number for site in seen["output"]] == list(range(12))
    assert len(seen["middle"]) == 1


def test_inputs_are_changed_before_the_projections_and_outputs_after_the_last_one():
    config, unet = network()
    layer = unet.middle_block[1].transformer_blocks[0].attn1
    seen = {}

    def before(n, context, value, site):
        if site.place.block == "middle":
            seen["n"], value = n, value * 2.0
        return n, context, value

    def after(out, site):
        if site.place.block == "middle":
            seen["out"] = out
        return out

    with torch.no_grad():
        unet(*arguments(config)[:3], hooks=Hooks(attn1_input=(before,), attn1_output=(after,)))
        n = seen["n"]
        attended = layer.attend(layer.to_q(n), layer.to_k(n), layer.to_v(n * 2.0))
        assert torch.allclose(seen["out"], layer.to_out(attended), atol=1e-6)


def test_a_replacement_stands_for_a_stage_or_for_one_of_its_transformers():
    table = {Place("middle", 0): "stage", Place("middle", 0, 1): "second"}
    from engine.diffusion.hooks import replacement

    assert replacement(table, Place("middle", 0, 0)) == "stage"
    assert replacement(table, Place("middle", 0, 1)) == "second"
    assert replacement(table, Place("input", 0, 0)) is None


def test_control_is_added_to_skips_to_the_middle_and_to_inputs():
    config, unet = network()
    x, timestep, context, _ = arguments(config)
    seen = {}

    def look(h, skip, site):
        seen[site.place.number] = (h, skip)
        return h, skip

    hooks = Hooks(output_block=(look,))
    with torch.no_grad():
        unet(x, timestep, context, hooks=hooks)
        plain = dict(seen)
        for number in range(12):
            residual = noise(*plain[11 - number][1].shape, seed=number)
            unet(x, timestep, context, hooks=hooks, control=Control(output={number: residual}))
            assert torch.equal(seen[11 - number][1], plain[11 - number][1] + residual)
            if number > 0:
                assert torch.equal(seen[12 - number][1], plain[12 - number][1])
        middle = noise(*plain[0][0].shape, seed=20)
        unet(x, timestep, context, hooks=hooks, control=Control(middle=middle))
        assert torch.equal(seen[0][0], plain[0][0] + middle)
        residual = noise(1, *plain[9][1].shape[1:], seed=21)  # one row for all of the batch
        unet(x, timestep, context, hooks=hooks, control=Control(input={2: residual}))
        assert torch.equal(seen[9][1], plain[9][1] + residual)
        assert not torch.equal(seen[8][1], plain[8][1]), "later blocks read the changed one"


def test_a_residual_of_another_size_is_refused_by_name():
    config, unet = network()
    with pytest.raises(ValueError, match=r"output block 3 has the shape \(2, 7, 7, 7\)"):
        unet(*arguments(config)[:3], control=Control(output={3: torch.zeros(2, 7, 7, 7)}))


def test_hooks_are_joined_in_order_and_the_later_replacement_is_taken():
    place = Place("middle", 0)
    first = Hooks(between=(1,), attn1_replace={place: 1})  # type: ignore[arg-type, dict-item]
    second = Hooks(between=(2,), attn1_replace={place: 2})  # type: ignore[arg-type, dict-item]
    joined = join([first, NO_HOOKS, second])
    assert (joined.between, joined.attn1_replace) == ((1, 2), {place: 2})
    assert join([NO_HOOKS, first]) is first


@dataclass(frozen=True)
class Louder(NetworkPatch):
    """Scales what the middle block makes; writes down what it is told."""

    factor: float
    seen: tuple[list[Pass], ...] = ([],)

    def hooks(self, moment: Pass) -> Hooks:
        self.seen[0].append(moment)
        return Hooks(middle_block=(lambda h, site: h * self.factor,))

    def __hash__(self) -> int:
        return hash(self.factor)


@dataclass(frozen=True)
class Doubled(NetworkPatch):
    """Answers twice what it was going to be."""

    def hooks(self, moment: Pass) -> Hooks:
        return NO_HOOKS

    def around(self, ask, x, sigma, inputs, run):
        return 2.0 * ask(x, sigma, inputs)


def calls(**changes):
    return [
        Call(noise(2, 4, 8, 8, seed=seed), torch.tensor(2.0), noise(2, 77, 64, seed=seed), role=role, **changes)
        for seed, role in ((1, "positive"), (2, "negative"))
    ]


def test_patches_reach_the_network_and_are_told_which_rows_are_whose():
    config, unet = network()
    asking = unet_network(unet, discrete(config.schedule), torch.float32, "cpu")
    seen: list[Pass] = []
    plain = asking(calls())
    patched = asking(calls(patches=(Louder(3.0, (seen,)),)))
    assert seen[0].spans == (Span("positive", 0, 2), Span("negative", 2, 4))
    assert seen[0].x.shape == (4, 4, 8, 8)
    assert not torch.allclose(patched[0], plain[0])
    assert torch.equal(asking(calls(patches=(Louder(1.0),)))[1], plain[1])
    assert torch.equal(asking(calls())[0], plain[0]), "off again"


def test_a_patch_may_answer_in_the_place_of_the_network():
    config, unet = network()
    asking = unet_network(unet, discrete(config.schedule), torch.float32, "cpu")
    plain = asking(calls())
    assert torch.equal(asking(calls(patches=(Doubled(), Doubled())))[1], 4.0 * plain[1])


def test_only_calls_with_equal_patches_and_one_run_share_a_batch():
    plus, minus = calls(patches=(Louder(2.0),))
    assert batches([plus, minus]) == [[0, 1]]
    assert batches([plus, calls(patches=(Louder(3.0),))[1], calls()[1]]) == [[0], [1], [2]]
    later = Call(plus.x, torch.tensor(1.0), plus.context, patches=plus.patches)
    assert batches([plus, later]) == [[0], [1]], "a patch is told of one noise level"
    assert batches([Call(plus.x, torch.tensor(2.0), plus.context), Call(plus.x, torch.tensor(1.0), plus.context)]) == [
        [0, 1]
    ]
