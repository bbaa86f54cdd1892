"""GLoRA, OFT and BOFT against their formulas (numerics.md, 8.2), written out with whole matrices in float64."""

import numpy as np
import pytest
import torch

from engine.diffusion.adapters.load import open_lora
from engine.diffusion.tensorfile import CheckpointError
from tests.adapters.support import (
    CONV,
    CONV_MODULE,
    KOHYA,
    LINEAR,
    after_patches,
    changed,
    close,
    draw,
    linear_lora,
    patches,
    save,
    weights_of,
)

PLACES = [(KOHYA, LINEAR, ()), (CONV, CONV_MODULE, (3, 3))]  # both are of 16 inputs and 16 outputs


def part_of(state, head, role):
    return state[f"{head}.{role}"].double().numpy()


def last(weights, put):
    ((_, _, after),) = after_patches(weights, put)
    return after


# -- GLoRA ---------------------------------------------------------------------------------------------------------


def glora(head, taps=(), rank=2, old=False):
    """A file's tensors, as LyCORIS names them: what acts on the channels of a convolution has 1×1 taps."""
    ones = (1,) * len(taps)
    pairs = {"a1": (16, rank, *ones), "a2": (rank, 16, *ones), "b1": (16, rank, *ones), "b2": (rank, 16, *taps)}
    if old:
        pairs = {"a2": pairs["a1"], "a1": pairs["a2"], "b2": pairs["b1"], "b1": pairs["b2"]}
    return {f"{head}.{role}.weight": draw(*shape) for role, shape in pairs.items()}


@pytest.mark.parametrize(("alpha", "scale"), [(None, 1.0), (1.0, 0.5)])
@pytest.mark.parametrize(("head", "module", "taps"), PLACES)
def test_a_glora_mixes_the_weights_inputs_and_adds(head, module, taps, alpha, scale, checkpoint, tmp_path):
    """numerics.md 8.2: s·a·(W·A₁·A₂ + B₁·B₂), a = alpha/rank; rank 2 here, s = 0.7. Chavan et al. (2306.07967)."""
    state = glora(head, taps)
    if alpha is not None:
        state[f"{head}.alpha"] = torch.tensor(alpha)
    before, after = changed(checkpoint.unet, save(tmp_path, state), 0.7)[f"{module}.weight"]
    w = before.double().numpy().reshape(16, 16, -1)
    a1, b1 = (part_of(state, head, f"{role}.weight").reshape(16, 2) for role in ("a1", "b1"))
    a2 = part_of(state, head, "a2.weight").reshape(2, 16)
    b2 = part_of(state, head, "b2.weight").reshape(2, 16, -1)
    wanted = w.copy()
    for tap in range(w.shape[2]):
        wanted[:, :, tap] += 0.7 * scale * (w[:, :, tap] @ (a1 @ a2) + b1 @ b2[:, :, tap])
    close(after, wanted.reshape(before.shape))


def test_a_glora_on_a_convolution_may_have_a_core(checkpoint, tmp_path):
    """`bm`, which LyCORIS writes between B's two: B₂'[r,in,kh,kw] = Σ_q M[r,q,kh,kw]·B₂[q,in], as a LoCon's."""
    state = {**glora(CONV, (1, 1)), f"{CONV}.bm.weight": draw(2, 2, 3, 3)}
    before, after = changed(checkpoint.unet, save(tmp_path, state))[f"{CONV_MODULE}.weight"]
    a1, a2, b1, b2 = (part_of(state, CONV, f"{role}.weight")[:, :, 0, 0] for role in ("a1", "a2", "b1", "b2"))
    core, w = part_of(state, CONV, "bm.weight"), before.double().numpy()
    wanted = w.copy()
    for y in range(3):
        for x in range(3):
            wanted[:, :, y, x] += w[:, :, y, x] @ (a1 @ a2) + b1 @ core[:, :, y, x] @ b2
    close(after, wanted)


@pytest.mark.parametrize("square", [False, True])
def test_old_gloras_have_their_matrices_the_other_way_round(square, checkpoint, tmp_path):
    """numerics.md 8.2: s·a·(B₂·B₁ + W·A₂·A₁), the old layout; which one it is, only shapes tell.

    Of square matrices they do not: ComfyUI takes those for the old one.
    """
    state = {**glora(KOHYA, rank=16 if square else 4, old=True), f"{KOHYA}.alpha": torch.tensor(2.0)}
    before, after = changed(checkpoint.unet, save(tmp_path, state))[f"{LINEAR}.weight"]
    a1, a2, b1, b2 = (part_of(state, KOHYA, f"{role}.weight") for role in ("a1", "a2", "b1", "b2"))
    w = before.double().numpy()
    close(after, w + 2 / (16 if square else 4) * (b2 @ b1 + w @ a2 @ a1))


def test_a_glora_reads_the_weight_that_others_left(checkpoint, tmp_path):
    """numerics.md 8.2: W = weight before this patch, so that order matters."""
    lora = patches(save(tmp_path, linear_lora(), "lora.safetensors"), checkpoint.unet)
    with_a = glora(KOHYA)
    both = patches(save(tmp_path, with_a), checkpoint.unet)
    w = last(checkpoint.unet, lora).double().numpy()
    a1, a2, b1, b2 = (part_of(with_a, KOHYA, f"{role}.weight") for role in ("a1", "a2", "b1", "b2"))
    close(last(checkpoint.unet, lora + both), w + w @ a1 @ a2 + b1 @ b2)
    other = last(checkpoint.unet, both + lora)
    assert not np.allclose(other.numpy(), w + w @ a1 @ a2 + b1 @ b2, atol=1e-3)


# -- OFT and BOFT ----------------------------------------------------------------------------------------------------


def rotations(blocks, limit=0.0):
    """numerics.md 8.2: Q = blocks - blocksᵀ, limited to alpha as a whole; R = (I+Q)(I-Q)⁻¹. blocks (…, n, n)."""
    skew = blocks - np.swapaxes(blocks, -1, -2)
    norm = np.sqrt((skew**2).sum())
    if 0 < limit < norm:
        skew = skew * limit / norm
    one = np.eye(blocks.shape[-1])
    made = (one + skew) @ np.linalg.inv(one - skew)
    np.testing.assert_allclose(made @ np.swapaxes(made, -1, -2), np.broadcast_to(one, made.shape), atol=1e-12)
    return made


def along_the_diagonal(blocks):
    size = blocks.shape[-1]
    made = np.zeros((16, 16))
    for index, block in enumerate(blocks):
        made[index * size : (index + 1) * size, index * size : (index + 1) * size] = block
    return made


@pytest.mark.parametrize("strength", [1.0, 0.4])
@pytest.mark.parametrize("alpha", [None, 0.0, 0.5, 100.0])
@pytest.mark.parametrize(("head", "module", "taps"), PLACES)
def test_an_oft_rotates_blocks_of_outputs(head, module, taps, alpha, strength, checkpoint, tmp_path):
    """numerics.md 8.2: Δ = s·[(s·R - s·I)ᵀ·W], block by block: s counts twice. Qiu et al. (arXiv:2306.07280)."""
    state = {f"{head}.oft_blocks": draw(4, 4, 4)}
    if alpha is not None:
        state[f"{head}.alpha"] = torch.tensor(alpha)
    before, after = changed(checkpoint.unet, save(tmp_path, state), strength)[f"{module}.weight"]
    turned = along_the_diagonal(rotations(part_of(state, head, "oft_blocks"), alpha or 0.0)) - np.eye(16)
    w = before.double().numpy().reshape(16, -1)
    close(after, (w + strength * (strength * turned).T @ w).reshape(before.shape))
    if strength == 1.0:
        lengths = [np.sqrt((each.reshape(4, 4, -1) ** 2).sum((1, 2))) for each in (before.numpy(), after.numpy())]
        np.testing.assert_allclose(*lengths, rtol=1e-5)


def butterfly(level, size):
    """Where a step of BOFT takes each output from, as a matrix: rows that lie size/2·2^level apart come together."""
    reach = size // 2 * 2**level
    order = [group * 2 * reach + half * reach + place
             for group in range(16 // (2 * reach)) for place in range(reach) for half in range(2)]  # fmt: skip
    return np.eye(16)[order]


@pytest.mark.parametrize("strength", [1.0, 0.4])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("rescaled", [False, True])
@pytest.mark.parametrize(("head", "module", "taps"), PLACES)
def test_a_boft_is_a_butterfly_of_rotations(
    head, module, taps, rescaled, alpha, strength, checkpoint, tmp_path
):  # fmt: skip
    """numerics.md 8.2: Δ = s·(result·rescale - W), each factor s·R + (1-s)·I. Liu et al. (arXiv:2311.06243), eq. 5:
    every factor is Pᵀ · block diagonal · P with P a permutation."""
    state = {f"{head}.oft_blocks": draw(3, 4, 4, 4), f"{head}.alpha": torch.tensor(alpha)}
    if rescaled:
        state[f"{head}.rescale"] = draw(16, *[1] * (1 + len(taps))).abs() + 0.5
    before, after = changed(checkpoint.unet, save(tmp_path, state), strength)[f"{module}.weight"]
    w = before.double().numpy().reshape(16, -1)
    result = w
    for level, blocks in enumerate(rotations(part_of(state, head, "oft_blocks"), alpha)):
        blended = strength * along_the_diagonal(blocks) + (1 - strength) * np.eye(16)
        result = butterfly(level, 4).T @ blended @ butterfly(level, 4) @ result
    if rescaled:
        result = result * part_of(state, head, "rescale").reshape(16, 1)
    close(after, (w + strength * (result - w)).reshape(before.shape))


def test_a_boft_of_three_levels_mixes_every_output_with_every_other(checkpoint, tmp_path):
    """What a butterfly is for: three factors of blocks of 4 reach all of 16 outputs, where OFT reaches blocks."""
    one = torch.zeros(16, 16)
    one[0] = 1.0
    state = {f"{KOHYA}.set_weight": one}
    only_one = patches(save(tmp_path, state, "one.safetensors"), checkpoint.unet)
    for blocks, reached in ((draw(4, 4, 4), 4), (draw(3, 4, 4, 4), 16)):
        turn = patches(save(tmp_path, {f"{KOHYA}.oft_blocks": blocks}), checkpoint.unet)
        rows = last(checkpoint.unet, only_one + turn)
        assert int((rows.abs().amax(1) > 1e-6).sum()) == reached


def test_an_ofts_rescale_counts(checkpoint, tmp_path):
    """LyCORIS writes it where it was trained; numerics.md's formula, which is ComfyUI's, has none for OFT."""
    state = {f"{KOHYA}.oft_blocks": draw(2, 8, 8), f"{KOHYA}.rescale": draw(16, 1).abs() + 0.5}
    before, after = changed(checkpoint.unet, save(tmp_path, state))[f"{LINEAR}.weight"]
    turned = along_the_diagonal(rotations(part_of(state, KOHYA, "oft_blocks"))).T @ before.double().numpy()
    close(after, part_of(state, KOHYA, "rescale") * turned)


def test_taken_off_each_of_them_leaves_every_bit_as_it_was(checkpoint, residency, tmp_path):
    kinds = {"glora": glora(KOHYA), "oft": {f"{CONV}.oft_blocks": draw(4, 4, 4)},
             "boft": {f"{KOHYA}.oft_blocks": draw(3, 4, 4, 4), f"{KOHYA}.rescale": draw(16, 1)}}  # fmt: skip
    before = {name: value.clone() for name, value in weights_of(residency, checkpoint.unet).items()}
    for kind, state in kinds.items():
        put = patches(save(tmp_path, state, f"{kind}.safetensors"), checkpoint.unet)
        on = weights_of(residency, checkpoint.unet, put)
        changed_names = [name for name in before if not torch.equal(before[name], on[name])]
        assert changed_names == [f"{CONV_MODULE if kind == 'oft' else LINEAR}.weight"]
        off = weights_of(residency, checkpoint.unet)
        assert all(torch.equal(before[name], off[name]) for name in before)


# -- what does not fit -----------------------------------------------------------------------------------------------


def shapes_of(**shapes):
    return {f"{KOHYA}.{role.replace('__', '.')}": shape for role, shape in shapes.items()}


@pytest.mark.parametrize(
    ("shapes", "words"),
    [(shapes_of(a1__weight=(16, 2), a2__weight=(2, 16), b1__weight=(16, 2)),
      "a1.weight without the tensors that belong"),
     (shapes_of(a1__weight=(8, 2), a2__weight=(2, 8), b1__weight=(16, 2), b2__weight=(2, 16)),
      rf"a1.weight \[8, 2\].* does not fit {LINEAR}.weight \[16, 16\]"),
     (shapes_of(a1__weight=(16, 2), a2__weight=(2, 16), b1__weight=(16, 3), b2__weight=(2, 16)),
      r"b1.weight \[16, 3\].* does not fit"),
     (shapes_of(a1__weight=(16, 2, 1, 1), a2__weight=(2, 16, 1, 1), b1__weight=(16, 2, 1, 1), b2__weight=(2, 16, 3, 3)),
      r"b2.weight \[2, 16, 3, 3\] does not fit"),
     (shapes_of(oft_blocks=(2, 4, 4)), rf"oft_blocks \[2, 4, 4\] does not fit {LINEAR}.weight \[16, 16\]"),
     (shapes_of(oft_blocks=(4, 4)), r"oft_blocks \[4, 4\] does not fit"),
     (shapes_of(oft_blocks=(4, 4, 2)), r"oft_blocks \[4, 4, 2\] does not fit"),
     (shapes_of(oft_blocks=(2, 4, 4, 4, 4)), r"oft_blocks \[2, 4, 4, 4, 4\] does not fit"),
     (shapes_of(oft_blocks=(5, 4, 4, 4)), r"oft_blocks \[5, 4, 4, 4\] does not fit"),  # level 4 would reach 32 outputs
     (shapes_of(oft_blocks=(1, 16, 1, 1)), r"oft_blocks \[1, 16, 1, 1\] does not fit"),
     (shapes_of(oft_blocks=(4, 4, 4), rescale=(8, 1)), r"rescale \[8, 1\] does not fit"),
     (shapes_of(oft_blocks=(4, 4, 4), alpha=(2,)), r"alpha \[2\] is not one number"),
     (shapes_of(rescale=(16, 1)), "rescale without the tensors that belong"),
     (shapes_of(oft_blocks=(4, 4, 4), a1__weight=(16, 2), a2__weight=(2, 16), b1__weight=(16, 2), b2__weight=(2, 16)),
      "a GLoRA and a OFT for one module")],
)  # fmt: skip
def test_tensors_that_do_not_fit_are_named_with_their_shapes(shapes, words, checkpoint, tmp_path):
    path = save(tmp_path, {key: draw(*shape) for key, shape in shapes.items()})
    with pytest.raises(CheckpointError, match=words) as error:
        open_lora(path, checkpoint.unet)
    assert "l.safetensors" in str(error.value)


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [("on_input", r"\(IA\)³"), ("oft_diag", "OFT with oft_diag"), ("oft_R.weight", "PEFT's OFT"),
     ("boft_R", "PEFT's BOFT")],
)  # fmt: skip
def test_kinds_that_are_not_applied_are_named(suffix, kind, checkpoint, tmp_path):
    """Alone they are refused, beside others the warning says which kind is left out."""
    with pytest.raises(CheckpointError, match=f"found an adapter of kind {kind}"):
        open_lora(save(tmp_path, {f"{KOHYA}.{suffix}": draw(16)}), checkpoint.unet)
    unused = open_lora(save(tmp_path, {f"{KOHYA}.{suffix}": draw(16), **linear_lora()}), checkpoint.unet).unused
    assert unused is not None
    assert f"1 of 3 keys unused ({KOHYA}.{suffix})" in unused
    assert unused.endswith("is not applied")
