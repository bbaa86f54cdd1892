"""The LoRA family: every kind against its formula of numerics.md, 8.2; every spelling of models.md, 7.1."""

import json
import os

import numpy as np
import pytest
import torch

from engine.diffusion.adapters.load import open_lora
from engine.diffusion.adapters.patches import Lora
from engine.diffusion.tensorfile import CheckpointError, read_index
from engine.runtime.device.precision import choose_dtypes
from engine.runtime.device.residency import Residency
from tests.adapters.support import (
    CONV,
    CONV_MODULE,
    KOHYA,
    LINEAR,
    POINTWISE,
    THEIRS,
    changed,
    close,
    draw,
    linear_lora,
    patches,
    save,
    weights_of,
)
from tests.parity.names import unet_name
from tests.parity.small import noise


@pytest.mark.parametrize(("alpha", "scale"), [(None, 1.0), (2.0, 1.0), (1.0, 0.5), (8.0, 4.0)])
def test_a_lora_adds_up_times_down_times_alpha_over_rank(alpha, scale, checkpoint, tmp_path):
    """numerics.md 8.2: s·a·(U·V), a = alpha/rank, 1 without alpha; rank 2 here."""
    state = linear_lora()
    if alpha is not None:
        state[f"{KOHYA}.alpha"] = torch.tensor(alpha)
    found = changed(checkpoint.unet, save(tmp_path, state), strength=0.7)
    assert list(found) == [f"{LINEAR}.weight"]
    before, after = found[f"{LINEAR}.weight"]
    up, down = (state[f"{KOHYA}.lora_{side}.weight"].double().numpy() for side in ("up", "down"))
    wanted = before.double().numpy().copy()
    for row in range(16):
        for column in range(16):
            wanted[row, column] += 0.7 * scale * sum(up[row, r] * down[r, column] for r in range(2))
    close(after, wanted)


def test_a_linear_pair_may_meet_a_convolution_and_the_other_way_round(checkpoint, tmp_path):
    """models.md 7.1: flatten, multiply, reshape to the target."""
    state = {f"{POINTWISE}.lora_up.weight": draw(16, 2), f"{POINTWISE}.lora_down.weight": draw(2, 16)}
    state |= {f"{KOHYA}.lora_up.weight": draw(16, 2, 1, 1), f"{KOHYA}.lora_down.weight": draw(2, 16, 1, 1)}
    found = changed(checkpoint.unet, save(tmp_path, state))
    before, after = found["input_blocks.1.1.proj_in.weight"]
    product = state[f"{POINTWISE}.lora_up.weight"] @ state[f"{POINTWISE}.lora_down.weight"]
    close(after, (before[:, :, 0, 0] + product)[:, :, None, None].numpy())
    before, after = found[f"{LINEAR}.weight"]
    close(after, (before + state[f"{KOHYA}.lora_up.weight"][:, :, 0, 0]
                  @ state[f"{KOHYA}.lora_down.weight"][:, :, 0, 0]).numpy())  # fmt: skip


@pytest.mark.parametrize("cp", [False, True])
def test_a_locon_changes_a_convolution_with_or_without_a_core(cp, checkpoint, tmp_path):
    """numerics.md 8.2: V'[r,in,kh,kw] = Σ_q M[r,q,kh,kw]·V[q,in], then as LoRA."""
    state = {f"{CONV}.lora_up.weight": draw(16, 2, 1, 1)}
    if cp:
        state[f"{CONV}.lora_mid.weight"] = draw(2, 2, 3, 3)
        state[f"{CONV}.lora_down.weight"] = draw(2, 16, 1, 1)
    else:
        state[f"{CONV}.lora_down.weight"] = draw(2, 16, 3, 3)
    before, after = changed(checkpoint.unet, save(tmp_path, state))[f"{CONV_MODULE}.weight"]
    up, down = (state[f"{CONV}.lora_{side}.weight"].double().numpy() for side in ("up", "down"))
    wanted = before.double().numpy().copy()
    mid = state[f"{CONV}.lora_mid.weight"].double().numpy() if cp else None
    for r in range(2):
        if cp:
            kernel = sum(mid[r, q][None] * down[q, :, 0, 0][:, None, None] for q in range(2))
        else:
            kernel = down[r]
        wanted += up[:, r, 0, 0][:, None, None, None] * kernel[None]
    close(after, wanted)


@pytest.mark.parametrize("cp", [False, True])
def test_a_loha_is_the_elementwise_product_of_two_products(cp, checkpoint, tmp_path):
    """numerics.md 8.2: s·a·((A₁B₁)∘(A₂B₂)), rank = B₁.shape[0]; with cores Σ T[i,j,k,l]·B[j,r]·A[i,p] → [p,r,k,l]."""
    head, module = (CONV, CONV_MODULE) if cp else (KOHYA, LINEAR)
    state = {f"{head}.alpha": torch.tensor(1.0)}
    for one in (1, 2):
        state[f"{head}.hada_w{one}_a"] = draw(2, 16) if cp else draw(16, 2)
        state[f"{head}.hada_w{one}_b"] = draw(2, 16)
        if cp:
            state[f"{head}.hada_t{one}"] = draw(2, 2, 3, 3)
    before, after = changed(checkpoint.unet, save(tmp_path, state), 0.5)[f"{module}.weight"]
    factors = []
    for one in (1, 2):
        a, b = (state[f"{head}.hada_w{one}_{side}"].double().numpy() for side in "ab")
        if cp:
            core = state[f"{head}.hada_t{one}"].double().numpy()
            factors.append(sum(
                core[i, j][None, None] * b[j][None, :, None, None] * a[i][:, None, None, None]
                for i in range(2) for j in range(2)
            ))  # fmt: skip
        else:
            factors.append(sum(np.outer(a[:, r], b[r]) for r in range(2)))
    close(after, before.double().numpy() + 0.5 * 0.5 * factors[0] * factors[1])


@pytest.mark.parametrize(
    ("roles", "scale"),
    [({"w1": (4, 4), "w2": (4, 4)}, 1.0),  # nothing factored: alpha has no meaning
     ({"w1": (4, 4), "w2_a": (4, 2), "w2_b": (2, 4)}, 0.5),
     ({"w1_a": (4, 2), "w1_b": (2, 4), "w2": (4, 4)}, 0.5),
     ({"w1_a": (4, 3), "w1_b": (3, 4), "w2_a": (4, 2), "w2_b": (2, 4)}, 0.5)],
)  # fmt: skip
def test_a_lokr_is_a_kronecker_product(roles, scale, checkpoint, tmp_path):
    """numerics.md 8.2: s·a·kron(W₁, W₂); a = 1 if neither is factored, alpha 1 over rank 2 here."""
    state = {f"{KOHYA}.lokr_{role}": draw(*shape) for role, shape in roles.items()}
    state[f"{KOHYA}.alpha"] = torch.tensor(1.0)
    before, after = changed(checkpoint.unet, save(tmp_path, state))[f"{LINEAR}.weight"]
    t = {role: state[f"{KOHYA}.lokr_{role}"].double().numpy() for role in roles}
    one = t["w1"] if "w1" in t else t["w1_a"] @ t["w1_b"]
    two = t["w2"] if "w2" in t else t["w2_a"] @ t["w2_b"]
    close(after, before.double().numpy() + scale * np.kron(one, two))


def test_a_lokr_on_a_convolution_has_a_core(checkpoint, tmp_path):
    """numerics.md 8.2: for a convolution W₁ gets two unit axes; core t2 as in LoHa."""
    state = {
        f"{CONV}.lokr_w1": draw(4, 4), f"{CONV}.lokr_t2": draw(2, 2, 3, 3),
        f"{CONV}.lokr_w2_a": draw(2, 4), f"{CONV}.lokr_w2_b": draw(2, 4),
    }  # fmt: skip
    before, after = changed(checkpoint.unet, save(tmp_path, state))[f"{CONV_MODULE}.weight"]
    one, core, a, b = (state[f"{CONV}.lokr_{role}"].double().numpy() for role in ("w1", "t2", "w2_a", "w2_b"))
    two = np.zeros((4, 4, 3, 3))
    for i in range(2):
        for j in range(2):
            two += core[i, j][None, None] * b[j][None, :, None, None] * a[i][:, None, None, None]
    wanted = before.double().numpy().copy()
    for p in range(16):
        for q in range(16):
            wanted[p, q] += one[p // 4, q // 4] * two[p % 4, q % 4]
    close(after, wanted)


@pytest.mark.parametrize("strength", [1.0, 0.4])
@pytest.mark.parametrize("axis", ["input", "output", "peft"])
def test_a_dora_turns_the_weight_and_sets_its_lengths(axis, strength, checkpoint, tmp_path):
    """numerics.md 8.2: W'' = W'·(g/‖W'‖), then W + s·(W'' − W); W' = W + a·up·down without s.

    With one magnitude per output ComfyUI divides by the norm of W; here it is that of W', as PEFT and LyCORIS define
    DoRA (models.md 7.1 says to follow the definition): pictures of such files differ from ComfyUI's.
    """
    state = {**linear_lora(), f"{KOHYA}.alpha": torch.tensor(1.0)}
    magnitude = draw(16).abs() + 1
    key = "lora_magnitude_vector" if axis == "peft" else "dora_scale"
    state[f"{KOHYA}.{key}"] = {"input": magnitude[None], "output": magnitude[:, None], "peft": magnitude}[axis]
    before, after = changed(checkpoint.unet, save(tmp_path, state), strength)[f"{LINEAR}.weight"]
    w = before.double().numpy()
    up, down = (state[f"{KOHYA}.lora_{side}.weight"].double().numpy() for side in ("up", "down"))
    merged, g, turned = w + 0.5 * up @ down, magnitude.double().numpy(), np.empty_like(w)
    for index in range(16):
        if axis == "input":
            turned[:, index] = merged[:, index] * g[index] / np.sqrt((merged[:, index] ** 2).sum())
        else:
            turned[index] = merged[index] * g[index] / np.sqrt((merged[index] ** 2).sum())
    close(after, w + strength * (turned - w))


def test_pefts_dora_on_a_convolution_has_one_magnitude_per_output(checkpoint, tmp_path):
    """It is stored as (1, out, 1, 1); LyCORIS's `dora_scale` of that shape has one per input."""
    state = {f"{CONV}.lora_up.weight": draw(16, 2, 1, 1), f"{CONV}.lora_down.weight": draw(2, 16, 3, 3)}
    g = draw(1, 16, 1, 1).abs() + 1
    product = (state[f"{CONV}.lora_up.weight"].flatten(1) @ state[f"{CONV}.lora_down.weight"].flatten(1))
    for key, shape, axes in (("lora_magnitude_vector.weight", (16, 1, 1, 1), (1, 2, 3)),
                             ("dora_scale", (1, 16, 1, 1), (0, 2, 3))):  # fmt: skip
        path = save(tmp_path, {**state, f"{CONV}.{key}": g}, f"{key}.safetensors")
        before, after = changed(checkpoint.unet, path)[f"{CONV_MODULE}.weight"]
        merged = (before + product.reshape(before.shape)).double().numpy()
        close(after, merged * g.double().numpy().reshape(shape) / np.sqrt((merged**2).sum(axes, keepdims=True)))


def test_full_differences_change_weights_biases_and_norms(checkpoint, tmp_path):
    """models.md 7.1: .diff, .diff_b, .w_norm and .b_norm are added at strength s; .set_weight replaces."""
    norm = "lora_unet_down_blocks_0_resnets_0_norm1"
    state = {
        f"{CONV}.diff": draw(16, 16, 3, 3), f"{CONV}.diff_b": draw(16), f"{norm}.w_norm": draw(16),
        f"{norm}.b_norm": draw(16), f"{KOHYA}.set_weight": draw(16, 16),
    }  # fmt: skip
    found = changed(checkpoint.unet, save(tmp_path, state), 0.5)
    for name, key in ((f"{CONV_MODULE}.weight", f"{CONV}.diff"), (f"{CONV_MODULE}.bias", f"{CONV}.diff_b"),
                      ("input_blocks.1.0.in_layers.0.weight", f"{norm}.w_norm"),
                      ("input_blocks.1.0.in_layers.0.bias", f"{norm}.b_norm")):  # fmt: skip
        before, after = found.pop(name)
        close(after, (before.double() + 0.5 * state[key].double()).numpy())
    close(found.pop(f"{LINEAR}.weight")[1], state[f"{KOHYA}.set_weight"].numpy())
    assert not found


UNET_SPELLINGS = {
    "kohya": (KOHYA, ".lora_up.weight", ".lora_down.weight"),
    "kohya with published names": ("lora_unet_" + LINEAR.replace(".", "_"), ".lora_up.weight", ".lora_down.weight"),
    "diffusers": (f"unet.{THEIRS}", ".lora_B.weight", ".lora_A.weight"),
    "peft": (f"base_model.model.{THEIRS}", ".lora_B.default.weight", ".lora_A.default.weight"),
    "peft saved": (f"base_model.model.{THEIRS}", ".lora_B.weight", ".lora_A.weight"),
    "old processors": (f"unet.{THEIRS.removesuffix('.to_q')}.processor.to_q_lora", ".up.weight", ".down.weight"),
    "older processors": (f"{THEIRS.removesuffix('.to_q')}.processor.to_q_lora", ".up.weight", ".down.weight"),
    "old modules": (f"unet.{THEIRS}.lora", ".up.weight", ".down.weight"),
    "lycoris": ("lycoris_" + THEIRS.replace(".", "_"), ".lora_up.weight", ".lora_down.weight"),
    "saved by LoraSave": (f"diffusion_model.{LINEAR}", ".lora_up.weight", ".lora_down.weight"),
}


@pytest.mark.parametrize("spelling", list(UNET_SPELLINGS))
def test_every_spelling_of_a_unets_module_means_the_same(spelling, checkpoint, residency, tmp_path):
    up, down = draw(16, 2), draw(2, 16)
    head, up_end, down_end = UNET_SPELLINGS[spelling]
    opened = open_lora(save(tmp_path, {head + up_end: up, head + down_end: down}), checkpoint.unet)
    assert opened.unused is None
    after = weights_of(residency, checkpoint.unet, opened.patches(checkpoint.unet, 1.0))
    close(after[f"{LINEAR}.weight"], (weights_of(residency, checkpoint.unet)[f"{LINEAR}.weight"] + up @ down).numpy())


TEXT_MODULE = "text_model.encoder.layers.1.self_attn.q_proj"
TEXT_SPELLINGS = {
    "kohya": ("lora_te_" + TEXT_MODULE.replace(".", "_"), ".lora_up.weight", ".lora_down.weight"),
    "kohya of SDXL's kind": ("lora_te1_" + TEXT_MODULE.replace(".", "_"), ".lora_up.weight", ".lora_down.weight"),
    "diffusers": (f"text_encoder.{TEXT_MODULE}", ".lora_B.weight", ".lora_A.weight"),
    "peft": (f"base_model.model.{TEXT_MODULE}", ".lora_B.weight", ".lora_A.weight"),
    "old": (f"text_encoder.{TEXT_MODULE}.lora_linear_layer", ".up.weight", ".down.weight"),
    "older": (f"text_encoder.{TEXT_MODULE.replace('q_proj', 'to_q_lora')}", ".up.weight", ".down.weight"),
}


@pytest.mark.parametrize("spelling", list(TEXT_SPELLINGS))
def test_every_spelling_of_a_text_encoders_module_means_the_same(spelling, checkpoint, residency, tmp_path):
    """numerics.md 8.2: float32 from the float16 weight, and cast to float16 again."""
    up, down = draw(64, 2), draw(2, 64)
    head, up_end, down_end = TEXT_SPELLINGS[spelling]
    path = save(tmp_path, {head + up_end: up, head + down_end: down})
    before = weights_of(residency, checkpoint.text)
    after = weights_of(residency, checkpoint.text, patches(path, checkpoint.text))
    name = "transformer.encoder.layers.1.self_attn.q_proj.weight"
    assert torch.equal(after[name], (before[name] + up @ down).half().float())
    assert all(torch.equal(before[each], after[each]) for each in before if each != name)


def test_every_module_of_the_unet_has_its_names(checkpoint):
    """All 282 convolutions and linear layers (models.md 7.1), by diffusers' names, flattened without collisions."""
    from engine.diffusion.adapters.names import spellings
    from engine.diffusion.unet import UNet

    table = spellings(checkpoint.unet)
    with torch.device("meta"):
        unet = UNet(checkpoint.config.unet)
    modules = [name for name, module in unet.named_modules() if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)]
    assert len(modules) == 282
    for name in modules:
        theirs = unet_name(f"{name}.weight", checkpoint.config.unet).removesuffix(".weight")
        assert table["lora_unet_" + theirs.replace(".", "_")] == name
        assert table["lora_unet_" + name.replace(".", "_")] == name


@pytest.mark.parametrize(
    ("more", "scale"), [({}, 3.0), ({"use_rslora": True}, 6 / 2**0.5), ({"alpha_pattern": {"attn1.to_q": 1}}, 0.5)]
)
def test_the_alpha_of_pefts_settings_counts_where_no_tensor_says_one(more, scale, checkpoint, tmp_path):
    """diffusers writes PEFT's settings into the metadata; alpha 6, rank 2; rank-stabilised: alpha/√rank."""
    state = linear_lora(f"unet.{THEIRS}", ".lora_B.weight", ".lora_A.weight")
    told = {"unet.lora_alpha": 6, "unet.r": 2, **{f"unet.{key}": value for key, value in more.items()}}
    path = save(tmp_path, state, lora_adapter_metadata=json.dumps(told))
    before, after = changed(checkpoint.unet, path)[f"{LINEAR}.weight"]
    up, down = state[f"unet.{THEIRS}.lora_B.weight"], state[f"unet.{THEIRS}.lora_A.weight"]
    close(after, (before + scale * up @ down).numpy())


def test_several_adapters_are_applied_in_order(checkpoint, residency, tmp_path):
    """numerics.md 8.2: patches of one weight in the order they were added; a replacement forgets what was before."""
    one, two = linear_lora(), {f"{KOHYA}.set_weight": draw(16, 16)}
    first = patches(save(tmp_path, one, "a.safetensors"), checkpoint.unet)
    second = patches(save(tmp_path, two, "b.safetensors"), checkpoint.unet)
    name = f"{LINEAR}.weight"
    close(weights_of(residency, checkpoint.unet, first + second)[name], two[f"{KOHYA}.set_weight"].numpy())
    product = one[f"{KOHYA}.lora_up.weight"] @ one[f"{KOHYA}.lora_down.weight"]
    close(weights_of(residency, checkpoint.unet, second + first)[name],
          (two[f"{KOHYA}.set_weight"] + product).numpy())  # fmt: skip


def test_an_adapter_that_comes_off_leaves_every_bit(checkpoint, tmp_path):
    """Also where memory is too small for a whole copy, so that every weight is read again in each pass."""
    cpu = torch.device("cpu")
    path = save(tmp_path, linear_lora())
    x, t, text = noise(1, 4, 8, 8), torch.tensor([500]), noise(1, 77, 64, seed=2)
    pictures = []
    for budget in (2**30, 1):
        residency = Residency(cpu, choose_dtypes("fp32", "cpu"), budget)
        before = {name: value.clone() for name, value in weights_of(residency, checkpoint.unet).items()}
        plain = residency.have(checkpoint.unet)(x, t, text)
        adapted = residency.have(checkpoint.unet, patches(path, checkpoint.unet))(x, t, text)
        assert not torch.equal(plain, adapted)
        again = residency.have(checkpoint.unet)
        if not residency.is_streamed(checkpoint.unet):
            assert all(torch.equal(before[name], value) for name, value in again.state_dict().items())
        assert torch.equal(again(x, t, text), plain)
        pictures.append((plain, adapted))
    assert residency.is_streamed(checkpoint.unet)
    for one, other in zip(*pictures, strict=True):
        # what stays lies channels-last, and what is streamed does not: some processors' kernels round them differently
        assert torch.allclose(one, other, rtol=0, atol=1e-6), "streamed or not, the same answer"


def test_copies_share_what_no_patch_changes_and_bytes_count_once(checkpoint, residency, tmp_path):
    patch = patches(save(tmp_path, linear_lora()), checkpoint.unet)
    plain = residency.have(checkpoint.unet)
    size = sum(value.numel() * 4 for value in plain.state_dict().values())
    assert residency.nbytes == size
    adapted = residency.have(checkpoint.unet, patch)
    assert residency.nbytes == size + 16 * 16 * 4, "one weight more"
    assert residency.have(checkpoint.unet, patch) is adapted
    assert residency.have(checkpoint.unet) is plain
    residency.budget = size
    residency.have(checkpoint.vae)
    assert residency.nbytes <= size, "room was made"


def test_a_description_is_equal_if_file_state_and_strength_are(checkpoint, tmp_path):
    from engine.runtime.signature import digest

    path = save(tmp_path, linear_lora())
    (one,), (two,) = patches(path, checkpoint.unet), patches(path, checkpoint.unet)
    assert one == two
    assert digest((one,)) == digest((two,)) is not None
    assert digest((one,)) != digest(patches(path, checkpoint.unet, 0.5))
    os.utime(path, ns=(0, 1))
    (later,) = patches(path, checkpoint.unet)
    assert digest((later,)) != digest((one,)), "the file's state is part of it"


def test_a_file_that_changed_since_is_refused(checkpoint, residency, tmp_path):
    path = save(tmp_path, linear_lora())
    put = patches(path, checkpoint.unet)
    os.utime(path, ns=(0, 1))
    with pytest.raises(CheckpointError, match=r"l\.safetensors: found a file that changed"):
        residency.have(checkpoint.unet, put)
    assert residency.nbytes == 0


def test_an_adapter_for_another_family_is_refused_by_name_key_and_shape(checkpoint, tmp_path):
    head = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    state = {f"{head}.lora_up.weight": draw(320, 4), f"{head}.lora_down.weight": draw(4, 1024)}
    with pytest.raises(CheckpointError) as error:
        open_lora(save(tmp_path, {**state, **linear_lora()}), checkpoint.unet)
    said = str(error.value)
    assert "l.safetensors" in said
    assert f"{head}.lora_down.weight [4, 1024]" in said
    assert "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight [16, 64]" in said
    assert "SD 2.x" in said


@pytest.mark.parametrize(
    ("state", "words"),
    [({"lora_unet_nowhere.lora_up.weight": (4, 4)}, "no adapter for this model"),
     ({f"{KOHYA}.lora_up.weight": (16, 2)}, "without the tensors that belong to it"),
     ({f"{KOHYA}.diff": (16, 16), f"{KOHYA}.diff_b": (16,)}, "does not have"),
     ({f"{KOHYA}.diff": (16, 16), f"{KOHYA}.lora_up.weight": (16, 2), f"{KOHYA}.lora_down.weight": (2, 16)},
      "a LoRA and a difference for one module"),
     ({f"{KOHYA}.hada_w1_a": (2, 16), f"{KOHYA}.hada_w1_b": (2, 16), f"{KOHYA}.hada_w2_a": (2, 16),
       f"{KOHYA}.hada_w2_b": (2, 16), f"{KOHYA}.hada_t1": (2, 2, 3, 3)}, r"hada_t1 \[2, 2, 3, 3\].* does not fit"),
     ({f"{KOHYA}.lora_up.weight": (16, 2), f"{KOHYA}.lora_down.weight": (3, 16)}, r"\[3, 16\].*\[16, 2\] does not fit"),
     ({f"{KOHYA}.lora_up.weight": (16, 2), f"{KOHYA}.lora_down.weight": (2, 16), f"{KOHYA}.alpha": (2,)},
      r"alpha \[2\] is not one number"),
     ({f"{KOHYA}.lora_up.weight": (16, 2), f"{KOHYA}.lora_down.weight": (2, 16), f"{KOHYA}.dora_scale": (4, 5)},
      r"dora_scale \[4, 5\].* does not fit")],
)  # fmt: skip
def test_what_cannot_be_applied_is_refused_with_what_was_found(state, words, checkpoint, tmp_path):
    path = save(tmp_path, {key: draw(*shape) for key, shape in state.items()})
    with pytest.raises(CheckpointError, match=words):
        open_lora(path, checkpoint.unet)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_file_that_holds_what_is_no_number_is_refused_and_nothing_is_applied(wrong, checkpoint, residency, tmp_path):
    state = {**linear_lora(), f"{CONV}.diff": draw(16, 16, 3, 3)}
    state[f"{KOHYA}.lora_up.weight"][3, 1] = wrong
    put = patches(save(tmp_path, state), checkpoint.unet)
    with pytest.raises(CheckpointError, match=rf"l\.safetensors: found {KOHYA}.lora_up.weight \[16, 2\] with NaN or"):
        residency.have(checkpoint.unet, put)
    assert residency.nbytes == 0


def test_unused_keys_are_counted_and_the_first_are_named(checkpoint, tmp_path):
    state = {**linear_lora(), "lora_te_text_model_x.alpha": torch.ones(()), "surprise.alpha": torch.ones(()),
             "bundle_emb.cat.string_to_param.*": draw(1, 64)}  # fmt: skip
    path = save(tmp_path, state)
    assert open_lora(path, checkpoint.unet, checkpoint.text).unused == (
        "l.safetensors: 2 of 5 keys unused (lora_te_text_model_x.alpha, surprise.alpha)"
    )
    assert open_lora(path, checkpoint.unet).unused == "l.safetensors: 1 of 5 keys unused (surprise.alpha)"


def test_a_pickled_adapter_is_read_without_running_it(checkpoint, residency, tmp_path):
    state = linear_lora()
    torch.save(state, tmp_path / "l.pt")
    save(tmp_path, state)
    one = weights_of(residency, checkpoint.unet, patches(tmp_path / "l.pt", checkpoint.unet))
    two = weights_of(residency, checkpoint.unet, patches(tmp_path / "l.safetensors", checkpoint.unet))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_file_that_training_wrote_gives_what_training_had(checkpoint, residency, tmp_path):
    """engine/training/lora.py writes it: the same outputs as the adapted networks it was written from."""
    from engine.training.lora import adapt, lora_tensors

    x, t, text = noise(1, 4, 8, 8), torch.tensor([500]), noise(1, 77, 64, seed=2)
    state = {}
    outputs = {}
    for name, weights in (("unet", checkpoint.unet), ("text", checkpoint.text)):
        network = residency.have(weights)
        adapted = adapt(network, 4, 2.0, torch.Generator().manual_seed(1))
        for module in adapted.values():
            module.up.weight.data = draw(*module.up.weight.shape)
        outputs[name] = run(network, x, t, text).detach()
        state |= lora_tensors(network, adapted, network.state_dict())
        residency.clear()
    path = save(tmp_path, {key: value.contiguous() for key, value in state.items()})
    opened = open_lora(path, checkpoint.unet, checkpoint.text)
    assert opened.unused is None
    for name, weights in (("unet", checkpoint.unet), ("text", checkpoint.text)):
        plain = run(residency.have(weights), x, t, text)
        ours = run(residency.have(weights, opened.patches(weights, 1.0)), x, t, text)
        assert not torch.allclose(plain, ours, atol=1e-2)
        # float32 of both orders of multiplication; the text encoder's weights are rounded to float16 besides
        assert float((ours - outputs[name]).abs().max()) < (1e-4 if name == "unet" else 0.05)


def run(network, x, t, text):
    from engine.diffusion.text import TextEncoder

    if isinstance(network, TextEncoder):
        return network([[(token, 1.0) for token in (49406, 320, 1125, 49407, *[49407] * 73)]], 1)[0]
    return network(x, t, text)


def test_a_stamp_tells_which_state_of_the_file_was_read(checkpoint, tmp_path):
    path = save(tmp_path, linear_lora())
    assert patches(path, checkpoint.unet) == (Lora(path, read_index(path).stamp, 1.0),)
