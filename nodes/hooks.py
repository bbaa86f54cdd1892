"""Hooks: adapters that hold for single texts, areas and parts of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from engine.diffusion.adapters.load import open_lora_file, unused_of_hooks
from engine.diffusion.adapters.schedule import (
    INTERPOLATIONS,
    Keyframe,
    LoraFile,
    OtherModel,
    WeightHook,
    spread,
    with_keyframe,
    without_keyframes,
)
from engine.diffusion.guidance import Condition
from engine.diffusion.pictures.masks import check_mask, tell_of_empty
from engine.graph.node import Choice, Context, Files, LinkOnly, Name, Range, node
from engine.graph.types import Clip, Conditioning, Floats, HookKeyframes, Hooks, Mask, TimestepsRange

CREATE, TIMING, COMBINE = "advanced/hooks/create", "advanced/hooks/scheduling", "advanced/hooks/combine"
SINGLE, BOTH = "advanced/hooks/cond single", "advanced/hooks/cond pair"
Strength = Annotated[float, Range(-20.0, 20.0, step=0.01)]
Part = Annotated[float, Range(0.0, 1.0, step=0.001)]
CondStrength = Annotated[float, Range(0.0, 10.0, step=0.01)]
Bounds = Annotated[str, Choice(("default", "mask bounds"))]


class Pair(NamedTuple):
    """What guides towards and away."""

    positive: Conditioning
    negative: Conditioning


PAIR = ("positive", "negative")


def _joined(*many: Hooks | None) -> Hooks:
    return Hooks(tuple(hook for hooks in many if hooks is not None for hook in hooks.hooks))


# -- making them ---------------------------------------------------------------------------------------------------


def _lora_hook(
    context: Context, name: str, strength_model: float, strength_clip: float, before: Hooks | None
) -> Hooks:
    if strength_model == 0 and strength_clip == 0:
        return _joined(before)
    path, stamp = open_lora_file(context.file("loras", name))
    return _joined(before, Hooks((WeightHook(LoraFile(path, stamp), strength_model, strength_clip),)))


@node("CreateHookLora", category=CREATE, display_name="Create Hook LoRA", lane="io", experimental=True)
def create_lora_hook(
    context: Context, *, lora_name: Annotated[str, Files("loras")], strength_model: Strength = 1.0,
    strength_clip: Strength = 1.0, prev_hooks: Hooks | None = None,
) -> Hooks:
    """A LoRA to be put on single conditionings instead of on the whole model.

    lora_name: The file, in models/loras.
    strength_model: How strongly it changes the picture's network.
    strength_clip: How strongly it changes the text encoder (Set CLIP Hooks).
    prev_hooks: Hooks that go along.
    """
    return _lora_hook(context, lora_name, strength_model, strength_clip, prev_hooks)


@node("CreateHookLoraModelOnly", category=CREATE, display_name="Create Hook LoRA (MO)", lane="io", experimental=True)
def create_lora_hook_for_model(
    context: Context, *, lora_name: Annotated[str, Files("loras")], strength_model: Strength = 1.0,
    prev_hooks: Hooks | None = None,
) -> Hooks:
    """A LoRA to be put on single conditionings; what it has for a text encoder is left out.

    lora_name: The file, in models/loras.
    strength_model: How strongly it changes the picture's network.
    prev_hooks: Hooks that go along.
    """
    return _lora_hook(context, lora_name, strength_model, 0.0, prev_hooks)


def _model_hook(
    context: Context, name: str, strength_model: float, strength_clip: float, before: Hooks | None
) -> Hooks:
    model, clip, _ = context.open_checkpoint("checkpoints", name)
    source = OtherModel(model.weights, clip.weights if clip is not None else None)
    return _joined(before, Hooks((WeightHook(source, strength_model, strength_clip),)))


@node(
    "CreateHookModelAsLora", category=CREATE, display_name="Create Hook Model as LoRA", lane="io", experimental=True
)
def create_model_hook(
    context: Context, *, ckpt_name: Annotated[str, Files("checkpoints")], strength_model: Strength = 1.0,
    strength_clip: Strength = 1.0, prev_hooks: Hooks | None = None,
) -> Hooks:
    """Another model of the same family, used as a LoRA: at strength 1 single conditionings are painted by it.

    ckpt_name: The file, in models/checkpoints or models/starter.
    strength_model: How far the picture's network goes towards it.
    strength_clip: How far the text encoder does (Set CLIP Hooks).
    prev_hooks: Hooks that go along.
    """
    return _model_hook(context, ckpt_name, strength_model, strength_clip, prev_hooks)


@node(
    "CreateHookModelAsLoraModelOnly", category=CREATE, display_name="Create Hook Model as LoRA (MO)", lane="io",
    experimental=True,
)
def create_model_hook_for_model(
    context: Context, *, ckpt_name: Annotated[str, Files("checkpoints")], strength_model: Strength = 1.0,
    prev_hooks: Hooks | None = None,
) -> Hooks:
    """Another model of the same family, used as a LoRA on the picture's network alone.

    ckpt_name: The file, in models/checkpoints or models/starter.
    strength_model: How far the picture's network goes towards it.
    prev_hooks: Hooks that go along.
    """
    return _model_hook(context, ckpt_name, strength_model, 0.0, prev_hooks)


# -- timing --------------------------------------------------------------------------------------------------------


@node("SetHookKeyframes", category=TIMING, display_name="Set Hook Keyframes", experimental=True)
def set_keyframes(*, hooks: Hooks, hook_kf: HookKeyframes | None = None) -> Hooks:
    """Let hooks change their strength during the run.

    hook_kf: When and how much.
    """
    if hook_kf is None:
        return hooks
    return Hooks(tuple(replace(hook, keyframes=hook_kf.keyframes) for hook in hooks.hooks))


def _added(before: HookKeyframes | None, *more: Keyframe) -> HookKeyframes:
    return HookKeyframes(with_keyframe(before.keyframes if before is not None else (), *more))


@node(
    "CreateHookKeyframe", category=TIMING, display_name="Create Hook Keyframe", experimental=True, returns=("HOOK_KF",)
)
def create_keyframe(
    *, strength_mult: Strength = 1.0, start_percent: Part = 0.0, prev_hook_kf: HookKeyframes | None = None
) -> HookKeyframes:
    """From a part of the run on, hooks are so much as strong.

    strength_mult: Their strength is multiplied by it.
    start_percent: When it begins.
    prev_hook_kf: Further keyframes.
    """
    return _added(prev_hook_kf, Keyframe(strength_mult, start_percent))


Wide = Annotated[float, Range(0.0, 10.0, step=0.001)]


@node(
    "CreateHookKeyframesInterpolated", category=TIMING, display_name="Create Hook Keyframes Interp.",
    experimental=True, returns=("HOOK_KF",),
)
def create_keyframes(
    context: Context, *, strength_start: Wide = 1.0, strength_end: Wide = 1.0,
    interpolation: Annotated[str, Choice(tuple(INTERPOLATIONS))], start_percent: Part = 0.0, end_percent: Part = 1.0,
    keyframes_count: Annotated[int, Range(2, 100, step=1)] = 5, print_keyframes: bool = False,
    prev_hook_kf: HookKeyframes | None = None,
) -> HookKeyframes:
    """Several keyframes from one strength to another.

    strength_start: The strength at the first of them.
    strength_end: The strength at the last.
    interpolation: How it gets from one to the other.
    start_percent: When the first begins.
    end_percent: When the last does.
    keyframes_count: How many there are.
    print_keyframes: Show them.
    prev_hook_kf: Further keyframes.
    """
    strengths = INTERPOLATIONS[interpolation](strength_start, strength_end, keyframes_count)
    return _shown(context, print_keyframes, prev_hook_kf, spread(strengths, start_percent, end_percent))


@node(
    "CreateHookKeyframesFromFloats", category=TIMING, display_name="Create Hook Keyframes From Floats",
    experimental=True, returns=("HOOK_KF",),
)
def create_keyframes_from_numbers(
    context: Context, *, floats_strength: Annotated[Floats, Range(-1, step=0.001), LinkOnly()] = -1,  # type: ignore[assignment]
    start_percent: Part = 0.0, end_percent: Part = 1.0, print_keyframes: bool = False,
    prev_hook_kf: HookKeyframes | None = None,
) -> HookKeyframes:
    """Keyframes with strengths from a list of numbers.

    floats_strength: The strengths, in order.
    start_percent: When the first begins.
    end_percent: When the last does.
    print_keyframes: Show them.
    prev_hook_kf: Further keyframes.
    """
    given: Any = floats_strength
    strengths = [float(each) for each in given] if isinstance(given, Sequence) else [float(given)]
    return _shown(context, print_keyframes, prev_hook_kf, spread(strengths, start_percent, end_percent))


def _shown(
    context: Context, wanted: bool, before: HookKeyframes | None, keyframes: tuple[Keyframe, ...]
) -> HookKeyframes:
    if wanted:
        context.warn("\n".join(f"{each.start_percent:.3f}: {each.strength:.3f}" for each in keyframes))
    return _added(before, *keyframes)


# -- combining -----------------------------------------------------------------------------------------------------

A, B, C, D = (Name(f"hooks_{letter}") for letter in "ABCD")
E, F, G, H = (Name(f"hooks_{letter}") for letter in "EFGH")


@node("CombineHooks2", category=COMBINE, display_name="Combine Hooks [2]", experimental=True)
def combine_two(*, a: Annotated[Hooks | None, A] = None, b: Annotated[Hooks | None, B] = None) -> Hooks:
    """Put hooks together."""
    return _joined(a, b)


@node("CombineHooks4", category=COMBINE, display_name="Combine Hooks [4]", experimental=True)
def combine_four(
    *, a: Annotated[Hooks | None, A] = None, b: Annotated[Hooks | None, B] = None,
    c: Annotated[Hooks | None, C] = None, d: Annotated[Hooks | None, D] = None,
) -> Hooks:
    """Put hooks together."""
    return _joined(a, b, c, d)


@node("CombineHooks8", category=COMBINE, display_name="Combine Hooks [8]", experimental=True)
def combine_eight(
    *, a: Annotated[Hooks | None, A] = None, b: Annotated[Hooks | None, B] = None,
    c: Annotated[Hooks | None, C] = None, d: Annotated[Hooks | None, D] = None,
    e: Annotated[Hooks | None, E] = None, f: Annotated[Hooks | None, F] = None,
    g: Annotated[Hooks | None, G] = None, h: Annotated[Hooks | None, H] = None,
) -> Hooks:
    """Put hooks together."""
    return _joined(a, b, c, d, e, f, g, h)


# -- on conditionings ----------------------------------------------------------------------------------------------


def _hooked(entry: Condition, hooks: Hooks | None) -> Condition:
    return replace(entry, hooks=(*entry.hooks, *hooks.hooks)) if hooks is not None else entry


def _with_properties(
    conditioning: Conditioning, strength: float, set_cond_area: str, mask: Mask | None, hooks: Hooks | None,
    timesteps: TimestepsRange | None,
) -> Conditioning:
    """Hooks are added to those there are; the strength is that of the (checked) mask."""

    def changed(entry: Condition) -> Condition:
        entry = _hooked(entry, hooks)
        if mask is not None:
            entry = replace(
                entry, mask=mask.values, mask_strength=strength, set_area_to_bounds=set_cond_area != "default"
            )
        if timesteps is not None:
            entry = replace(entry, start_percent=timesteps.start_percent, end_percent=timesteps.end_percent)
        return entry

    return Conditioning(tuple(changed(entry) for entry in conditioning.entries))


def _checked(context: Context, mask: Mask | None) -> Mask | None:
    """The mask, if there is one. Raises ValueError for one without pixels or with NaN; an empty one is told of."""
    if mask is not None:
        check_mask(mask.values, "mask")
        tell_of_empty(mask.values, context.warn, "what is set here holds nowhere")
    return mask


def _both(one: Conditioning, two: Conditioning) -> Conditioning:
    return Conditioning(one.entries + two.entries)


@node("ConditioningSetProperties", category=SINGLE, display_name="Cond Set Props", experimental=True)
def set_properties(
    context: Context, *, cond: Annotated[Conditioning, Name("cond_NEW")], strength: CondStrength = 1.0,
    set_cond_area: Bounds, mask: Mask | None = None, hooks: Hooks | None = None,
    timesteps: TimestepsRange | None = None,
) -> Conditioning:
    """Say where, when and with which hooks a conditioning holds.

    strength: How much it counts where the mask is.
    set_cond_area: With mask bounds, only the part of the picture around the mask is painted.
    mask: Where it holds.
    hooks: What is put on the model for it.
    timesteps: When it holds.
    """
    return _with_properties(cond, strength, set_cond_area, _checked(context, mask), hooks, timesteps)


@node("ConditioningSetPropertiesAndCombine", category=SINGLE, display_name="Cond Set Props Combine", experimental=True)
def set_properties_and_combine(
    context: Context, *, cond: Conditioning, new: Annotated[Conditioning, Name("cond_NEW")],
    strength: CondStrength = 1.0, set_cond_area: Bounds, mask: Mask | None = None, hooks: Hooks | None = None,
    timesteps: TimestepsRange | None = None,
) -> Conditioning:
    """Say where, when and with which hooks a new conditioning holds, and add it to another.

    strength: How much it counts where the mask is.
    set_cond_area: With mask bounds, only the part of the picture around the mask is painted.
    mask: Where it holds.
    hooks: What is put on the model for it.
    timesteps: When it holds.
    """
    return _both(cond, _with_properties(new, strength, set_cond_area, _checked(context, mask), hooks, timesteps))


@node(
    "PairConditioningSetProperties", category=BOTH, display_name="Cond Pair Set Props", experimental=True, returns=PAIR
)
def set_pair_properties(
    context: Context, *, positive: Annotated[Conditioning, Name("positive_NEW")],
    negative: Annotated[Conditioning, Name("negative_NEW")], strength: CondStrength = 1.0, set_cond_area: Bounds,
    mask: Mask | None = None, hooks: Hooks | None = None, timesteps: TimestepsRange | None = None,
) -> Pair:
    """Say where, when and with which hooks two conditionings hold.

    strength: How much they count where the mask is.
    set_cond_area: With mask bounds, only the part of the picture around the mask is painted.
    mask: Where they hold.
    hooks: What is put on the model for them.
    timesteps: When they hold.
    """
    given = (strength, set_cond_area, _checked(context, mask), hooks, timesteps)
    return Pair(_with_properties(positive, *given), _with_properties(negative, *given))


@node(
    "PairConditioningSetPropertiesAndCombine", category=BOTH, display_name="Cond Pair Set Props Combine",
    experimental=True, returns=PAIR,
)
def set_pair_properties_and_combine(
    context: Context, *, positive: Conditioning, negative: Conditioning,
    new_positive: Annotated[Conditioning, Name("positive_NEW")],
    new_negative: Annotated[Conditioning, Name("negative_NEW")], strength: CondStrength = 1.0, set_cond_area: Bounds,
    mask: Mask | None = None, hooks: Hooks | None = None, timesteps: TimestepsRange | None = None,
) -> Pair:
    """Say where, when and with which hooks two new conditionings hold, and add them to two others.

    strength: How much they count where the mask is.
    set_cond_area: With mask bounds, only the part of the picture around the mask is painted.
    mask: Where they hold.
    hooks: What is put on the model for them.
    timesteps: When they hold.
    """
    given = (strength, set_cond_area, _checked(context, mask), hooks, timesteps)
    return Pair(
        _both(positive, _with_properties(new_positive, *given)), _both(negative, _with_properties(new_negative, *given))
    )


def _with_default(conditioning: Conditioning, default: Conditioning, hooks: Hooks | None) -> Conditioning:
    rest = tuple(replace(_hooked(entry, hooks), default=True) for entry in default.entries)
    return Conditioning(conditioning.entries + rest)


@node("ConditioningSetDefaultCombine", category=SINGLE, display_name="Cond Set Default Combine", experimental=True)
def set_default(
    *, cond: Conditioning, default: Annotated[Conditioning, Name("cond_DEFAULT")], hooks: Hooks | None = None
) -> Conditioning:
    """Add a conditioning that holds where no other one does.

    hooks: What is put on the model for it.
    """
    return _with_default(cond, default, hooks)


@node(
    "PairConditioningSetDefaultCombine", category=BOTH, display_name="Cond Pair Set Default Combine",
    experimental=True, returns=PAIR,
)
def set_pair_default(
    *, positive: Conditioning, negative: Conditioning,
    default_positive: Annotated[Conditioning, Name("positive_DEFAULT")],
    default_negative: Annotated[Conditioning, Name("negative_DEFAULT")], hooks: Hooks | None = None,
) -> Pair:
    """Add two conditionings that hold where no other ones do.

    hooks: What is put on the model for them.
    """
    return Pair(_with_default(positive, default_positive, hooks), _with_default(negative, default_negative, hooks))


@node("PairConditioningCombine", category=BOTH, display_name="Cond Pair Combine", experimental=True, returns=PAIR)
def combine_pairs(
    *, positive_a: Annotated[Conditioning, Name("positive_A")], negative_a: Annotated[Conditioning, Name("negative_A")],
    positive_b: Annotated[Conditioning, Name("positive_B")], negative_b: Annotated[Conditioning, Name("negative_B")],
) -> Pair:
    """Let two pairs of conditionings guide the picture together."""
    return Pair(_both(positive_a, positive_b), _both(negative_a, negative_b))


@node("SetClipHooks", category="advanced/hooks/clip", display_name="Set CLIP Hooks", experimental=True)
def set_clip_hooks(
    context: Context, *, clip: Clip, apply_to_conds: bool = True, schedule_clip: bool = False,
    hooks: Hooks | None = None,
) -> Clip:
    """Put hooks on a text encoder.

    apply_to_conds: What it encodes carries the hooks for the picture's network along.
    schedule_clip: Texts are encoded anew for each keyframe; otherwise keyframes do not count for the text encoder.
    hooks: What is put on.
    """
    if hooks is None:
        return clip
    for unused in unused_of_hooks(hooks.hooks, clip.weights):
        context.warn(unused)
    carried = hooks.hooks if apply_to_conds else clip.carried
    if schedule_clip:
        return replace(clip, carried=carried, scheduled=hooks.hooks)
    put = [hook.put("text", hook.strength_clip, None) for hook in without_keyframes(hooks.hooks)]
    patches = tuple(patch for each in put for patch in each)
    return replace(clip, carried=carried, scheduled=(), patches=clip.patches + patches)


class Ranges(NamedTuple):
    """A part of a run, what is before it and what is after."""

    during: TimestepsRange
    before: TimestepsRange
    after: TimestepsRange


@node(
    "ConditioningTimestepsRange", category="advanced/hooks", display_name="Timesteps Range", experimental=True,
    returns=("TIMESTEPS_RANGE", "BEFORE_RANGE", "AFTER_RANGE"),
)
def timesteps_range(*, start_percent: Part = 0.0, end_percent: Part = 1.0) -> Ranges:
    """A part of a run.

    start_percent: When it begins.
    end_percent: When it ends.
    """
    return Ranges(
        TimestepsRange(start_percent, end_percent), TimestepsRange(0.0, start_percent), TimestepsRange(end_percent, 1.0)
    )
