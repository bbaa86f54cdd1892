"""Hooks: adapters on single conditionings and parts of a run. numerics.md names only the weight of default entries
(5.3) and when entries are active (1.3, 5.3); the rest is said here."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.adapters.schedule import INTERPOLATIONS, Keyframe, keyframe_at, spread, stretches
from engine.diffusion.config import config_to_json
from engine.diffusion.guidance import Call, Condition, evaluate, prepare
from engine.diffusion.hooks import Run
from engine.diffusion.schedules import discrete
from engine.diffusion.standin import standin_config
from engine.diffusion.tensorfile import CheckpointError
from engine.graph.types import Conditioning, HookKeyframes, Latent, Mask
from engine.runtime.signature import digest
from nodes import hooks
from nodes.adapters import load_lora, load_lora_for_model
from nodes.conditioning import encode_text
from nodes.loaders import load_checkpoint
from nodes.sampling import sample
from tests.nodes.studio import standin
from tests.parity.small import noise

KEY = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v"
TEXT_KEY = "lora_te_text_model_encoder_layers_0_mlp_fc1"
TABLE = discrete(standin_config().schedule)
PLAIN = {"strength": 1.0, "set_cond_area": "default", "mask": None, "hooks": None, "timesteps": None}


@pytest.fixture
def loaded(desk):
    for name, seed in (("m", 1), ("n", 2)):
        path = desk.model_folder("checkpoints") / f"{name}.safetensors"
        metadata = {"easel.config": config_to_json(standin_config())}
        save_file(standin(seed), path, metadata=metadata)
    state = {
        f"{KEY}.lora_up.weight": noise(64, 4, seed=1), f"{KEY}.lora_down.weight": noise(4, 64, seed=2),
        f"{TEXT_KEY}.lora_up.weight": noise(128, 4, seed=3), f"{TEXT_KEY}.lora_down.weight": noise(4, 64, seed=4),
    }  # fmt: skip
    save_file(state, desk.model_folder("loras") / "l.safetensors")
    return load_checkpoint(desk.context, ckpt_name="m.safetensors")


def lora_hook(desk, strength_model=1.0, strength_clip=0.0, before=None):
    return hooks.create_lora_hook(desk.context, lora_name="l.safetensors", strength_model=strength_model,
                                  strength_clip=strength_clip, prev_hooks=before)  # fmt: skip


def on(desk, conditioning, hook, **more):
    return hooks.set_properties(desk.context, cond=conditioning, **{**PLAIN, "hooks": hook, **more})


def texts(desk, clip):
    return encode_text(desk.context, text="a red cube", clip=clip), encode_text(desk.context, text="", clip=clip)


def picture(desk, model, positive, negative, steps=3, cfg=4.0):
    return sample(
        desk.context, model=model, seed=7, steps=steps, cfg=cfg, sampler_name="euler", scheduler="normal",
        positive=positive, negative=negative, latent_image=Latent(torch.zeros(1, 4, 8, 8)), denoise=1.0,
    ).samples  # fmt: skip


def lora_model(desk, loaded, strength):
    return load_lora_for_model(desk.context, model=loaded.model, lora_name="l.safetensors", strength_model=strength)


def test_a_hook_on_both_sides_is_the_lora_on_the_model_bit_for_bit(desk, loaded):
    positive, negative = texts(desk, loaded.clip)
    plain = picture(desk, loaded.model, positive, negative)
    hook = lora_hook(desk, 0.7)
    hooked = picture(desk, loaded.model, on(desk, positive, hook), on(desk, negative, hook))
    assert torch.equal(hooked, picture(desk, lora_model(desk, loaded, 0.7), positive, negative))
    assert not torch.equal(hooked, plain)
    assert torch.equal(picture(desk, loaded.model, positive, negative), plain), "and off again"


def test_a_hook_on_one_side_changes_the_network_for_that_side_alone(desk, loaded):
    """At cfg 1 only the positive is asked; at others each side is asked of its own network."""
    positive, negative = texts(desk, loaded.clip)
    hook = lora_hook(desk, 1.0)
    lora = lora_model(desk, loaded, 1.0)
    one = picture(desk, loaded.model, on(desk, positive, hook), negative, cfg=1.0)
    assert torch.equal(one, picture(desk, lora, positive, negative, cfg=1.0))
    off = picture(desk, loaded.model, positive, on(desk, negative, hook), cfg=1.0)
    assert torch.equal(off, picture(desk, loaded.model, positive, negative, cfg=1.0))
    both = {name: picture(desk, model, positive, negative) for name, model in (("p", loaded.model), ("l", lora))}
    mixed = picture(desk, loaded.model, on(desk, positive, hook), negative)
    assert not any(torch.equal(mixed, each) for each in both.values())


def test_hooks_add_up_to_those_there_are_and_to_the_models_own(desk, loaded):
    positive, negative = texts(desk, loaded.clip)
    lora = lora_model(desk, loaded, 0.5)
    hook = lora_hook(desk, 0.25)
    twice = [on(desk, on(desk, each, hook), hook) for each in (positive, negative)]
    wanted = load_lora_for_model(desk.context, model=lora, lora_name="l.safetensors", strength_model=0.25)
    wanted = load_lora_for_model(desk.context, model=wanted, lora_name="l.safetensors", strength_model=0.25)
    assert torch.equal(picture(desk, lora, *twice), picture(desk, wanted, positive, negative))


def save_hook(desk, *heads):
    state = {}
    for head in heads:
        into, out = (64, 128) if head == TEXT_KEY else (64, 64)
        state |= {f"{head}.lora_up.weight": noise(out, 4, seed=1), f"{head}.lora_down.weight": noise(4, into, seed=2)}
    save_file(state, desk.model_folder("loras") / "x.safetensors")
    return hooks.create_lora_hook(desk.context, lora_name="x.safetensors", strength_model=1.0, strength_clip=1.0)


STRANGE, STRANGE_TEXT = "lora_unet_double_blocks_0_img_attn_qkv", "lora_te1_text_model_encoder_layers_77_mlp_fc1"


@pytest.mark.parametrize(
    ("heads", "model", "clip"),
    [((KEY, TEXT_KEY), "", ""), ((KEY,), "", ""), ((TEXT_KEY,), "", ""),
     ((KEY, STRANGE), STRANGE, ""), ((TEXT_KEY, STRANGE_TEXT), "", STRANGE_TEXT),
     ((STRANGE,), "refused", ""), ((STRANGE_TEXT,), "", "refused")],
)  # fmt: skip
def test_a_hook_that_fits_partly_is_told_of_and_one_that_fits_nothing_refused(heads, model, clip, desk, loaded):
    """Each network judges the keys that are meant for it."""
    positive, negative = texts(desk, loaded.clip)
    hook = save_hook(desk, *heads)

    def check(wanted, put):
        desk.events.clear()
        if wanted == "refused":
            with pytest.raises(CheckpointError, match=r"x\.safetensors: found no adapter for this model"):
                put()
            return
        put()
        assert [each.split(" (")[0] for each in desk.warnings] == ["x.safetensors: 2 of 4 keys unused"] * bool(wanted)
        assert all(f"{wanted}.lora_up.weight" in each for each in desk.warnings)

    check(model, lambda: picture(desk, loaded.model, on(desk, positive, hook), negative, steps=1))
    check(clip, lambda: hooks.set_clip_hooks(desk.context, clip=loaded.clip, hooks=hook))


def keyframed(desk, hook, *keyframes):
    kf = None
    for strength, percent in keyframes:
        kf = hooks.create_keyframe(strength_mult=strength, start_percent=percent, prev_hook_kf=kf)
    return hooks.set_keyframes(hooks=hook, hook_kf=kf)


def test_keyframes_change_the_strength_in_the_middle_of_a_run(desk, loaded):
    """Off first: until then the run is that of the plain model; a constant keyframe is a constant factor."""
    positive, negative = texts(desk, loaded.clip)
    hook = lora_hook(desk, 1.0)

    def run(*keyframes):
        timed = keyframed(desk, hook, *keyframes)
        return picture(desk, loaded.model, on(desk, positive, timed), on(desk, negative, timed), steps=4)

    plain = picture(desk, loaded.model, positive, negative, steps=4)
    assert torch.equal(run((0.0, 0.0)), plain)
    half = picture(desk, lora_model(desk, loaded, 0.5), positive, negative, steps=4)
    assert torch.equal(run((0.5, 0.0)), half)
    whole = picture(desk, lora_model(desk, loaded, 1.0), positive, negative, steps=4)
    later = run((0.0, 0.0), (1.0, 0.5))
    assert not torch.equal(later, plain)
    assert not torch.equal(later, whole)
    assert torch.equal(run((0.0, 0.0), (1.0, 1.0)), plain), "one that begins at the end does not begin"


def run_at(percents):
    return Run(torch.tensor([TABLE.percent_to_sigma(each) for each in percents]), TABLE, torch.Generator())


def walked(keyframes, percents):
    run = run_at(percents)
    return [keyframe_at(keyframes, TABLE.percent_to_sigma(each) * 0.999, run).strength for each in percents]


def test_the_first_keyframe_counts_until_the_second_begins():
    frames = (Keyframe(1.0, 0.25), Keyframe(2.0, 0.5), Keyframe(3.0, 0.75))
    assert walked(frames, [0.0, 0.25, 0.5, 0.6, 0.75, 0.9]) == [1, 1, 2, 2, 3, 3]
    assert keyframe_at((), 1.0, run_at([0.0])) is None


def test_a_keyframe_is_used_as_often_as_it_guarantees():
    """Two begin between two evaluations: one that guarantees a step gets one, one that does not is passed by."""
    sure = (Keyframe(1.0, 0.0), Keyframe(2.0, 0.3), Keyframe(3.0, 0.4))
    assert walked(sure, [0.0, 0.5, 0.6, 0.7]) == [1, 2, 3, 3]
    passing = (Keyframe(1.0, 0.0), Keyframe(2.0, 0.3, 0), Keyframe(3.0, 0.4, 0))
    assert walked(passing, [0.0, 0.5, 0.6, 0.7]) == [1, 3, 3, 3]


def test_a_keyframe_from_before_the_run_guarantees_nothing():
    """A run from the middle (denoise below 1): what would have begun before it is passed by."""
    frames = (Keyframe(1.0, 0.0), Keyframe(2.0, 0.3), Keyframe(3.0, 0.6))
    run = run_at([0.65, 0.8])
    assert [keyframe_at(frames, float(sigma), run).strength for sigma in run.sigmas] == [3, 3]


def test_asking_twice_at_one_noise_level_is_one_evaluation():
    frames = (Keyframe(1.0, 0.0), Keyframe(2.0, 0.3), Keyframe(3.0, 0.4))
    assert walked(frames, [0.0, 0.0, 0.5, 0.5, 0.6]) == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("way", "middle"), [("linear", 0.5), ("ease_in", 0.25), ("ease_out", 0.75), ("ease_in_out", 0.5)]
)
def test_strengths_are_spread_between_two(way, middle):
    """x, x², 1 - (1 - x)², (1 - cos πx)/2."""
    found = INTERPOLATIONS[way](2.0, 4.0, 5)
    assert math.isclose(found[0], 2.0)
    assert math.isclose(found[2], 2.0 + 2.0 * middle)
    assert math.isclose(found[-1], 4.0)
    quarter = {"linear": 0.25, "ease_in": 0.0625, "ease_out": 0.4375, "ease_in_out": (1 - math.cos(math.pi / 4)) / 2}
    assert math.isclose(found[1], 2.0 + 2.0 * quarter[way])


def test_spread_keyframes_guarantee_only_the_first(desk):
    given = {"print_keyframes": True, "prev_hook_kf": HookKeyframes((Keyframe(9.0, 0.5),))}
    kf = hooks.create_keyframes(desk.context, strength_start=0.0, strength_end=1.0, interpolation="linear",
                                start_percent=0.0, end_percent=1.0, keyframes_count=3, **given)  # fmt: skip
    assert kf.keyframes == (Keyframe(0.0, 0.0, 1), Keyframe(9.0, 0.5), Keyframe(0.5, 0.5, 0), Keyframe(1.0, 1.0, 0))
    assert desk.warnings == ["0.000: 0.000\n0.500: 0.500\n1.000: 1.000"]
    given = {"start_percent": 0.2, "end_percent": 0.6, "print_keyframes": False, "prev_hook_kf": None}
    kf = hooks.create_keyframes_from_numbers(desk.context, floats_strength=[1.0, 0.5, 0.25], **given)
    assert [each.strength for each in kf.keyframes] == [1.0, 0.5, 0.25]
    assert [round(each.start_percent, 6) for each in kf.keyframes] == [0.2, 0.4, 0.6]
    one = hooks.create_keyframes_from_numbers(desk.context, floats_strength=0.3, **given)
    assert one.keyframes == spread([0.3], 0.2, 0.6)


def test_another_model_serves_as_a_lora(desk, loaded):
    """W + s·(W₂ - W): half way at 0.5, the other model at 1, up to rounding."""
    hook = hooks.create_model_hook_for_model(desk.context, ckpt_name="n.safetensors", strength_model=0.5,
                                             prev_hooks=None)  # fmt: skip
    (patch,) = hook.hooks[0].put("unet", hook.hooks[0].strength_model, None)
    have = desk.studio.residency.have
    other = load_checkpoint(desk.context, ckpt_name="n.safetensors").model
    own, theirs = have(loaded.model.weights).state_dict(), have(other.weights).state_dict()
    found = have(loaded.model.weights, (patch,)).state_dict()
    assert all(torch.equal(found[name], own[name] + 0.5 * (theirs[name] - own[name])) for name in own)
    positive, negative = texts(desk, loaded.clip)
    whole = hooks.create_model_hook(desk.context, ckpt_name="n.safetensors", strength_model=1.0, strength_clip=1.0,
                                    prev_hooks=None)  # fmt: skip
    ours = picture(desk, loaded.model, on(desk, positive, whole), on(desk, negative, whole))
    assert torch.allclose(ours, picture(desk, other, positive, negative), rtol=1e-3, atol=1e-3)
    assert hook.hooks[0].put("text", hook.hooks[0].strength_clip, None) == ()
    assert len(whole.hooks[0].put("text", 1.0, None)) == 1


def test_a_text_encoder_with_hooks_encodes_as_one_with_the_lora(desk, loaded):
    hook = keyframed(desk, lora_hook(desk, 0.5, 0.8), (0.5, 0.0), (1.0, 0.5))
    clip = hooks.set_clip_hooks(desk.context, clip=loaded.clip, apply_to_conds=True, schedule_clip=False, hooks=hook)
    (entry,) = encode_text(desk.context, text="a red cube", clip=clip).entries
    _, adapted = load_lora(desk.context, model=loaded.model, clip=loaded.clip, lora_name="l.safetensors",
                           strength_model=1.0, strength_clip=0.8)  # fmt: skip
    (wanted,) = encode_text(desk.context, text="a red cube", clip=adapted).entries
    assert torch.equal(entry.states, wanted.states), "keyframes do not count for the text encoder"
    assert entry.hooks == hook.hooks, "but they travel along for the network"
    bare = hooks.set_clip_hooks(desk.context, clip=loaded.clip, apply_to_conds=False, schedule_clip=False, hooks=hook)
    assert encode_text(desk.context, text="x", clip=bare).entries[0].hooks == ()
    same = hooks.set_clip_hooks(desk.context, clip=loaded.clip, apply_to_conds=True, schedule_clip=True, hooks=None)
    assert same is loaded.clip


def test_a_scheduled_text_encoder_gives_one_entry_for_each_part_of_the_run(desk, loaded):
    hook = keyframed(desk, lora_hook(desk, 0.0, 0.8), (0.5, 0.0), (1.0, 0.5))
    clip = hooks.set_clip_hooks(desk.context, clip=loaded.clip, apply_to_conds=True, schedule_clip=True, hooks=hook)
    entries = encode_text(desk.context, text="a red cube", clip=clip).entries
    assert [(each.extra["clip_start_percent"], each.extra["clip_end_percent"]) for each in entries] == [
        (0.0, 0.5), (0.5, 1.0),
    ]  # fmt: skip
    for entry, strength in zip(entries, (0.4, 0.8), strict=True):
        _, adapted = load_lora(desk.context, model=loaded.model, clip=loaded.clip, lora_name="l.safetensors",
                               strength_model=1.0, strength_clip=strength)  # fmt: skip
        (wanted,) = encode_text(desk.context, text="a red cube", clip=adapted).entries
        assert torch.equal(entry.states, wanted.states)
    inside = Conditioning(tuple(replace(each, start_percent=0.25, end_percent=0.75) for each in entries))
    parts, _ = prepare(inside.entries, (), (1, 4, 8, 8), TABLE)
    limits = [(TABLE.percent_to_sigma(one), TABLE.percent_to_sigma(two)) for one, two in ((0.25, 0.5), (0.5, 0.75))]
    assert [(part.start_sigma, part.end_sigma) for part in parts] == limits


def test_two_hooks_of_a_text_encoder_have_their_own_times(desk, loaded):
    one = keyframed(desk, lora_hook(desk, 0.0, 1.0), (0.0, 0.2), (1.0, 0.5))
    two = keyframed(desk, lora_hook(desk, 0.0, 1.0), (0.5, 0.0), (0.25, 0.7))
    found = stretches(hooks.combine_two(a=one, b=two).hooks)
    assert [(each.start_percent, each.end_percent) for each in found] == [(0.0, 0.5), (0.5, 0.7), (0.7, 1.0)]
    assert [[patch.strength for patch in each.patches] for each in found] == [[0.5], [1.0, 0.5], [1.0, 0.25]]


def test_hooks_are_combined_in_order_and_missing_ones_are_nothing(desk, loaded):
    made = [lora_hook(desk, strength) for strength in (0.1, 0.2, 0.3)]
    four = hooks.combine_four(a=made[0], b=None, c=made[1], d=made[2])
    assert [each.strength_model for each in four.hooks] == [0.1, 0.2, 0.3]
    assert hooks.combine_two(a=None, b=None).hooks == ()
    eight = hooks.combine_eight(a=made[2], b=None, c=None, d=None, e=made[0], f=None, g=None, h=four)
    assert len(eight.hooks) == 5
    assert len(lora_hook(desk, 0.4, before=four).hooks) == 4
    assert lora_hook(desk, 0.0, 0.0, before=four) == four
    assert hooks.set_keyframes(hooks=four, hook_kf=None) is four


def entries(*seeds):
    return Conditioning(tuple(Condition(noise(1, 77, 64, seed=seed)) for seed in seeds))


def test_properties_are_set_on_every_entry(desk, loaded):
    mask = Mask(torch.ones(1, 8, 8))
    hook = lora_hook(desk)
    during, before, after = hooks.timesteps_range(start_percent=0.2, end_percent=0.7)
    assert (before.start_percent, before.end_percent, after.start_percent, after.end_percent) == (0.0, 0.2, 0.7, 1.0)
    found = hooks.set_properties(desk.context, cond=entries(1, 2), strength=0.4, set_cond_area="mask bounds",
                                 mask=mask, hooks=hook, timesteps=during)  # fmt: skip
    for entry in found.entries:
        assert entry.hooks == hook.hooks
        assert (entry.mask_strength, entry.set_area_to_bounds) == (0.4, True)
        assert (entry.start_percent, entry.end_percent) == (0.2, 0.7)
    both = hooks.set_properties_and_combine(desk.context, cond=entries(3), new=entries(1), **{**PLAIN, "hooks": hook})
    assert [entry.hooks for entry in both.entries] == [(), hook.hooks]
    pair = hooks.set_pair_properties(desk.context, positive=entries(1), negative=entries(2), **{**PLAIN, "hooks": hook})
    assert [each.entries[0].hooks for each in pair] == [hook.hooks] * 2
    pair = hooks.set_pair_properties_and_combine(
        desk.context, positive=entries(1), negative=entries(2), new_positive=entries(3), new_negative=entries(4),
        **{**PLAIN, "hooks": hook},
    )  # fmt: skip
    assert [[len(entry.hooks) for entry in each.entries] for each in pair] == [[0, 1], [0, 1]]
    pair = hooks.combine_pairs(positive_a=entries(1), negative_a=entries(2), positive_b=entries(3),
                               negative_b=entries(4, 5))  # fmt: skip
    assert [len(each.entries) for each in pair] == [2, 3]


def test_a_mask_without_pixels_or_with_nan_is_refused_and_an_empty_one_told_of(desk):
    put = (
        lambda given: hooks.set_properties(desk.context, cond=entries(1), **given),
        lambda given: hooks.set_properties_and_combine(desk.context, cond=entries(1), new=entries(2), **given),
        lambda given: hooks.set_pair_properties(desk.context, positive=entries(1), negative=entries(2), **given),
        lambda given: hooks.set_pair_properties_and_combine(
            desk.context, positive=entries(1), negative=entries(2), new_positive=entries(3), new_negative=entries(4),
            **given),
    )  # fmt: skip
    for number, each in enumerate(put):
        with pytest.raises(ValueError, match=r"mask has the shape \(0, 8, 8\)"):
            each({**PLAIN, "mask": Mask(torch.zeros(0, 8, 8))})
        with pytest.raises(ValueError, match="mask holds NaN"):
            each({**PLAIN, "mask": Mask(torch.full((1, 8, 8), torch.nan))})
        each({**PLAIN, "mask": Mask(torch.zeros(1, 8, 8))})
        assert desk.warnings == ["mask is 0 everywhere, so what is set here holds nowhere"] * (number + 1)


def asked(lists, x, answers):
    """The guesses where each text is answered by its number."""
    asking = evaluate(lists, x, torch.tensor(1.0))
    calls = next(asking)
    try:
        asking.send([torch.full(call.x.shape, answers[id(call.context)] if id(call.context) in answers else
                                answers[round(float(call.context[0, 0, 0]), 4)]) for call in calls])
    except StopIteration as stop:
        return stop.value, calls
    raise AssertionError


def numbered(value, **more):
    return Condition(torch.full((1, 77, 64), float(value)), **more)


def test_a_default_entry_holds_where_the_others_leave_something():
    """numerics.md 5.3: its weight is relu(1 - Σ m of the other entries); it is skipped where that is 0 everywhere."""
    mask = torch.zeros(1, 8, 8)
    mask[:, :, :4] = 1.0
    mask[:, :, 4:6] = 0.25
    x = torch.zeros(1, 4, 8, 8)
    rest = hooks.set_default(cond=Conditioning((numbered(1, mask=mask),)), default=Conditioning((numbered(2),)),
                             hooks=None)  # fmt: skip
    parts, _ = prepare(rest.entries, (), x.shape, TABLE)
    guesses, calls = asked({"positive": parts}, x, {1.0: 10.0, 2.0: 20.0})
    assert len(calls) == 2
    row = guesses["positive"][0, 0, 0]
    # left: 1·10; middle: (0.25·10 + 0.75·20)/1; right: 20
    assert torch.allclose(row, torch.tensor([10.0] * 4 + [17.5] * 2 + [20.0] * 2))
    full = hooks.set_default(cond=Conditioning((numbered(1),)), default=Conditioning((numbered(2),)), hooks=None)
    parts, _ = prepare(full.entries, (), x.shape, TABLE)
    guesses, calls = asked({"positive": parts}, x, {1.0: 10.0})
    assert [float(call.context[0, 0, 0]) for call in calls] == [1.0], "it is not even asked"
    assert isinstance(calls[0], Call)


def test_a_default_entry_has_its_hooks_and_pairs_have_two(desk, loaded):
    hook = lora_hook(desk)
    pair = hooks.set_pair_default(positive=entries(1), negative=entries(2), default_positive=entries(3),
                                  default_negative=entries(4), hooks=hook)  # fmt: skip
    for each in pair:
        assert [(entry.default, len(entry.hooks)) for entry in each.entries] == [(False, 0), (True, 1)]


def test_hooks_and_keyframes_are_part_of_the_signature(desk, loaded):
    hook = lora_hook(desk)
    marks = [digest(on(desk, entries(1), each)) for each in (
        None, hook, lora_hook(desk, 0.5), keyframed(desk, hook, (0.5, 0.0)), keyframed(desk, hook, (0.5, 0.1)),
    )]  # fmt: skip
    assert None not in marks
    assert len(set(marks)) == 5


def test_a_file_that_is_no_adapter_is_refused_at_once(desk, loaded):
    save_file({"a": torch.ones(1)}, desk.model_folder("loras") / "x.safetensors")
    with pytest.raises(CheckpointError, match=r"x\.safetensors: found no adapter"):
        hooks.create_lora_hook(desk.context, lora_name="x.safetensors", strength_model=1.0, strength_clip=1.0,
                               prev_hooks=None)  # fmt: skip


def test_one_that_does_not_fit_is_refused_when_it_meets_the_model(desk, loaded):
    state = {f"{KEY}.lora_up.weight": noise(320, 4), f"{KEY}.lora_down.weight": noise(4, 1024)}
    save_file(state, desk.model_folder("loras") / "x.safetensors")
    hook = hooks.create_lora_hook(desk.context, lora_name="x.safetensors", strength_model=1.0, strength_clip=1.0,
                                  prev_hooks=None)  # fmt: skip
    positive, negative = texts(desk, loaded.clip)
    with pytest.raises(CheckpointError, match=r"lora_down\.weight \[4, 1024\].*does not fit"):
        picture(desk, loaded.model, on(desk, positive, hook), negative)
