"""Patches inside the network: FreeU, HyperTile, ToMe, Deep Shrink. Formulas: numerics.md, 5.6, written out again."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from engine.diffusion.hooks import NO_HOOKS, Hooks, Place, Site, join
from engine.diffusion.noise import run_generator
from engine.diffusion.patches.freeu import FreeU, louder, with_low_frequencies
from engine.diffusion.patches.shrink import DeepShrink
from engine.diffusion.patches.tokens import (
    HyperTile,
    TokenMerging,
    Windows,
    destinations,
    from_windows,
    into_windows,
    merge_tokens,
    pick_count,
)
from engine.diffusion.resize import common_upscale
from tests.parity.small import noise
from tests.patches.support import a_pass, forward, picture, run_of, unet


def close(a, b, atol=1e-5):
    assert torch.allclose(a, b, atol=atol), float((a - b).abs().max())


# -- FreeU -----------------------------------------------------------------------------------------------------------


def direct_low_frequencies(x, scale):
    """The 2×2 block H//2-1..H//2, W//2-1..W//2 of the shifted spectrum, by the sum that the transform is."""
    height, width = x.shape[-2:]

    def numbers(size):  # the frequencies at the places size//2 - 1 and size//2 of a shifted spectrum: -1 and 0
        return [(place - size // 2) % size for place in (size // 2 - 1, size // 2)]

    out = x.double().clone()
    rows, columns = torch.arange(height).double(), torch.arange(width).double()
    for row in numbers(height):
        for column in numbers(width):
            angle = 2 * math.pi * (row * rows[:, None] / height + column * columns[None] / width)
            wave = torch.polar(torch.ones_like(angle), angle)
            amount = (x.double() * wave.conj()).sum(dim=(-2, -1), keepdim=True) / (height * width)
            out = out + (scale - 1.0) * (amount * wave).real
    return out.float()


@pytest.mark.parametrize("size", [(8, 8), (5, 6), (7, 3), (2, 2)])
def test_the_lowest_frequencies_of_a_skip_are_scaled(size):
    x = noise(2, 3, *size, seed=1)
    close(with_low_frequencies(x, 0.2), direct_low_frequencies(x, 0.2))
    close(with_low_frequencies(x, 1.0), x)


def test_half_of_the_channels_are_scaled():
    h = noise(2, 6, 4, 5, seed=1)
    close(louder(h, 1.3, False), torch.cat([h[:, :3] * 1.3, h[:, 3:]], dim=1))
    # v2: (b-1)·u + 1, u the channel mean, min-max normalised per item over H×W
    found = louder(h, 1.3, True)
    for item, made in zip(h, found, strict=True):
        mean = item.mean(dim=0)
        u = (mean - mean.min()) / (mean.max() - mean.min())
        close(made[:3], item[:3] * (0.3 * u + 1.0))
        close(made[3:], item[3:])
    flat = torch.ones(1, 4, 1, 1)
    assert torch.equal(louder(flat, 1.3, True), flat)


def test_free_u_acts_where_the_width_is_four_or_two_times_the_base():
    config, _ = unet()
    base = config.unet.model_channels
    hook = FreeU(1.1, 1.2, 0.9, 0.2, base).hooks(a_pass()).output_block[0]
    site = Site(a_pass(), Place("output", 0), (4, 4))
    for multiple, b, s in ((4, 1.1, 0.9), (2, 1.2, 0.2), (1, 1.0, 1.0)):
        h, skip = noise(1, multiple * base, 4, 4, seed=1), noise(1, 3, 4, 4, seed=2)
        made, made_skip = hook(h, skip, site)
        close(made, louder(h, b, False))
        close(made_skip, with_low_frequencies(skip, s))


# -- HyperTile -------------------------------------------------------------------------------------------------------


def test_windows_are_cut_and_put_together_again():
    x = torch.arange(2 * 24 * 3).reshape(2, 24, 3).float()
    windows = Windows(2, 3, 2, 2)  # 4 × 6 tokens in 2 × 3 windows of 2 × 2
    cut = into_windows(x, windows)
    grid = x.reshape(2, 4, 6, 3)
    for item in range(2):
        for row in range(2):
            for column in range(3):
                window = grid[item, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].reshape(4, 3)
                assert torch.equal(cut[item * 6 + row * 3 + column], window)
    assert torch.equal(from_windows(cut, windows), x)


def test_the_last_size_is_never_drawn():
    generator = run_generator(0)
    # divisors of 64 from 16 on: 16, 32, 64 → counts 4, 2, 1; of the first two only 4, of three 4 or 2
    assert {pick_count(64, 16, 2, generator) for _ in range(40)} == {4}
    assert {pick_count(64, 16, 3, generator) for _ in range(40)} == {4, 2}
    assert pick_count(8, 32, 2, generator) == 1
    state = generator.get_state()
    pick_count(64, 16, 1, generator)
    assert torch.equal(state, generator.get_state()), "one candidate draws nothing"
    pick_count(64, 16, 2, generator)
    assert not torch.equal(state, generator.get_state()), "two draw a number that is always the first"


def tiled_attention(q, k, v, heads, windows):
    """Window j of an item attends to the j-th run of consecutive keys."""
    batch, tokens, width = q.shape
    count = windows.down * windows.across
    cut = into_windows(q, windows)
    out = torch.empty_like(cut)
    run = tokens // count
    for item in range(batch):
        for window in range(count):
            keys, values = (t[item, window * run : (window + 1) * run].view(run, heads, -1) for t in (k, v))
            queries = cut[item * count + window].view(-1, heads, width // heads)
            logits = torch.einsum("qhd,khd->hqk", queries, keys) / math.sqrt(width // heads)
            mixed = torch.einsum("hqk,khd->qhd", logits.softmax(-1), values)
            out[item * count + window] = mixed.reshape(-1, width)
    return from_windows(out, windows)


def test_hyper_tile_attends_in_windows():
    _, net = unet()
    moment = a_pass((8, 16), run=run_of())
    seen = {}

    def watch(n, context, value, site):
        if site.place == Place("input", 1, 0):
            seen["n"] = n
        return n, context, value

    def result(out, site):
        if site.place == Place("input", 1, 0):
            seen["out"] = out
        return out

    tiles = HyperTile(tile=32, swap=1).hooks(moment)  # windows of 4 tokens or more
    hooks = join([Hooks(attn1_input=(watch,)), tiles, Hooks(attn1_output=(result,))])
    out = forward(net, moment, hooks)
    layer = net.input_blocks[1][1].transformer_blocks[0].attn1
    with torch.no_grad():
        q, k, v = layer.to_q(seen["n"]), layer.to_k(seen["n"]), layer.to_v(seen["n"])
        # for an 8×16 latent what is called height is 16 and width 8: 4 × 2 windows of 4 × 4
        expected = layer.to_out(tiled_attention(q, k, v, layer.heads, Windows(4, 2, 4, 4)))
    close(seen["out"], expected, atol=1e-4)
    assert not torch.allclose(out, forward(net, moment), atol=1e-3)


@pytest.mark.parametrize(("depth", "places"), [(0, 5), (1, 10), (9, 15)])
def test_hyper_tile_goes_as_deep_as_it_is_told(depth, places):
    moment = a_pass((32, 32), run=run_of())
    count = [0]

    def watch(n, context, value, site):
        count[0] += n.shape[1] != site.size[0] * site.size[1]
        return n, context, value

    _, net = unet()
    forward(net, moment, join([HyperTile(1, 1, depth).hooks(moment), Hooks(attn1_input=(watch,))]))
    # windows are 4 tokens or more: levels of 32, 16 and 8 tokens a side can be divided, the middle's 4 cannot
    assert count[0] == places


def test_scaled_depth_makes_windows_of_inner_levels_larger():
    sizes = {}
    for scaled in (False, True):
        moment = a_pass((32, 32), run=run_of())
        shapes = sizes[scaled] = {}

        def watch(n, context, value, site, shapes=shapes):
            shapes[site.size] = n.shape[1]
            return n, context, value

        _, net = unet()
        tiles = HyperTile(32, 1, 1, scaled).hooks(moment)
        forward(net, moment, join([tiles, Hooks(attn1_input=(watch,))]))
    assert sizes[False] == {(32, 32): 16, (16, 16): 16, (8, 8): 64, (4, 4): 16}
    assert sizes[True] == {(32, 32): 16, (16, 16): 64, (8, 8): 64, (4, 4): 16}


# -- ToMe ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (6, 10), (5, 7)])
def test_each_whole_cell_has_one_destination(rows, columns):
    grid = destinations(rows, columns, run_generator(3)).reshape(rows, columns)
    for row in range(0, rows // 2 * 2, 2):
        for column in range(0, columns // 2 * 2, 2):
            assert grid[row : row + 2, column : column + 2].sum() == 1
    assert grid.sum() == (rows // 2) * (columns // 2)


def test_the_most_similar_sources_are_averaged_into_their_destination():
    x = noise(2, 16, 5, seed=1)
    chosen = destinations(4, 4, run_generator(0))
    merged, undo = merge_tokens(x, chosen, 7)
    assert merged.shape == (2, 9, 5)
    targets, sources = [int(i) for i in chosen.nonzero()], [int(i) for i in (~chosen).nonzero()]
    for item in range(2):
        unit = x[item] / x[item].norm(dim=-1, keepdim=True)
        best = {s: max(targets, key=lambda t, s=s: float(unit[s] @ unit[t])) for s in sources}
        order = sorted(sources, key=lambda s: -float(unit[s] @ unit[best[s]]))
        gone, kept = order[:7], order[7:]
        for place, target in enumerate(targets):
            group = [target, *(s for s in gone if best[s] == target)]
            close(merged[item, len(kept) + place], x[item, group].mean(dim=0))
        close(merged[item, : len(kept)].sum(dim=0), x[item, kept].sum(dim=0))
        # undone, a merged token has what its destination has, and the others keep what they had
        back = undo(merged)[item]
        for s in gone:
            close(back[s], merged[item, len(kept) + targets.index(best[s])])
        for s in kept:
            close(back[s], x[item, s])


def test_merging_asks_for_fewer_queries_at_the_latents_own_size_only():
    moment = a_pass((8, 8), run=run_of())
    seen = {}

    def watch(n, context, value, site):
        seen.setdefault(site.size, set()).add((n.shape[1], context.shape[1]))
        return n, context, value

    _, net = unet()
    out = forward(net, moment, join([TokenMerging(0.3).hooks(moment), Hooks(attn1_input=(watch,))]))
    assert seen == {(8, 8): {(64 - 19, 64)}, (4, 4): {(16, 16)}, (2, 2): {(4, 4)}, (1, 1): {(1, 1)}}
    assert torch.isfinite(out).all()
    assert torch.equal(forward(net, moment, TokenMerging(0.0).hooks(moment)), forward(net, moment))


@pytest.mark.parametrize(("ratio", "left"), [(0.016, 63), (0.0157, 63), (0.0156, 64)])
def test_one_token_can_be_merged(ratio, left):
    """r = int(N·ratio): of 64 tokens int(1.02), int(1.005) and int(0.998)."""
    moment = a_pass((8, 8), run=run_of())
    n = noise(2, 64, 16, seed=1)
    hooks = TokenMerging(ratio).hooks(moment)
    merged, _, _ = hooks.attn1_input[0](n, n, n, Site(moment, Place("input", 1, 0), (8, 8)))
    assert merged.shape == (2, left, 16)


def test_merging_everything_leaves_the_destinations():
    x = noise(1, 16, 5, seed=1)
    merged, undo = merge_tokens(x, destinations(4, 4, run_generator(0)), 999)
    assert merged.shape == (1, 4, 5)
    assert undo(merged).shape == x.shape


# -- Deep Shrink -----------------------------------------------------------------------------------------------------


def sizes_inside(patch, moment, net):
    seen = {}

    def note(h, site):
        seen["in", site.place.number] = tuple(h.shape[-2:])
        return h

    def look(h, skip, site):
        seen["out", site.place.number] = (tuple(h.shape[-2:]), tuple(skip.shape[-2:]))
        return h, skip

    before = Hooks(input_block=(note,))
    after = Hooks(input_block_after_skip=(note,), output_block=(look,))
    forward(net, moment, join([before, patch.hooks(moment), after]))
    return seen


@pytest.mark.parametrize("after_skip", [True, False])
def test_the_inner_part_works_on_a_smaller_picture(after_skip):
    _, net = unet()
    seen = sizes_inside(DeepShrink(3, 2.0, 0.0, 1.0, after_skip), a_pass((32, 48), run=run_of()), net)
    assert seen["in", 2] == (32, 48)
    assert seen["in", 3] == (8, 12)  # 16 × 24, halved
    assert seen["in", 4] == (8, 12)
    assert seen["out", 8] == (((16, 24), (16, 24)) if after_skip else ((8, 12), (8, 12)))
    assert seen["out", 11] == ((32, 48), (32, 48))


def test_it_is_off_outside_its_part_of_the_way():
    run = run_of()
    patch = DeepShrink(3, 2.0, 0.2, 0.5)
    # 1.3: sigma at 20 percent is 5.0924, at 50 percent 1.6155803
    for sigma, on in ((5.2, False), (5.0, True), (1.7, True), (1.5, False)):
        assert (patch.hooks(a_pass(sigma=sigma, run=run)) is not NO_HOOKS) == on


def test_it_resizes_as_told():
    h = noise(1, 4, 8, 12, seed=1)
    hooks = DeepShrink(3, 1.5, down="bilinear", up="nearest-exact").hooks(a_pass())
    site = Site(a_pass(), Place("input", 3), (8, 12))
    small = hooks.input_block_after_skip[0](h, site)
    assert torch.equal(small, common_upscale(h, 8, 5, "bilinear"))  # round(12 / 1.5), round(8 / 1.5)
    assert hooks.input_block_after_skip[0](h, site._replace(place=Place("input", 4))) is h
    made, skip = hooks.output_block[0](small, h, site)
    assert torch.equal(made, common_upscale(small, 12, 8, "nearest-exact"))
    assert skip is h
    lower = noise(1, 4, 4, 12, seed=2)  # as wide as the skip, and lower
    assert torch.equal(hooks.output_block[0](lower, h, site)[0], common_upscale(lower, 12, 8, "nearest-exact"))


def test_nothing_is_shrunk_away():
    """round(1 / 9) and round(3 / 9) are 0: a side keeps one."""
    hooks = DeepShrink(3, 9.0).hooks(a_pass())
    site = Site(a_pass(), Place("input", 3), (1, 3))
    for rows, columns in ((1, 3), (3, 1)):
        assert hooks.input_block_after_skip[0](noise(1, 4, rows, columns), site).shape == (1, 4, 1, 1)


# -- all of them -----------------------------------------------------------------------------------------------------

PATCHES = [
    FreeU(1.1, 1.2, 0.9, 0.2, 32), FreeU(1.3, 1.4, 0.9, 0.2, 32, by_structure=True), HyperTile(1, 2, 2),
    TokenMerging(0.5), DeepShrink(1, 2.0, 0.0, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: f"{type(patch).__name__}")
def test_on_then_off_is_bit_identical(patch):
    config, net = unet()
    if isinstance(patch, FreeU):
        patch = replace(patch, model_channels=config.unet.model_channels)
    before = picture(config, net)
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    on = picture(config, net, (patch,))
    assert torch.isfinite(on).all()
    assert not torch.allclose(on, before, rtol=1e-4)
    assert torch.equal(on, picture(config, net, (patch,))), "draws come from the run's generator"
    assert torch.equal(picture(config, net), before)
    assert all(torch.equal(weights[name], value) for name, value in net.state_dict().items())


def test_patches_work_together_and_on_odd_sizes():
    config, net = unet()
    everything = (
        FreeU(1.3, 1.4, 0.9, 0.2, config.unet.model_channels, True), HyperTile(1, 2, 2), TokenMerging(0.5),
        DeepShrink(1, 2.0, 0.0, 1.0),
    )  # fmt: skip
    for size in ((9, 13), (12, 20), (1, 5)):
        found = picture(config, net, everything, latent=torch.zeros(2, 4, *size), steps=2)
        assert found.shape == (2, 4, *size)
        assert torch.isfinite(found).all()
