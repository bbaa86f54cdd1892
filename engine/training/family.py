"""The stages that make Easel's own family of models from nothing, each a file that the next stage reads.

vae → text → unet → v, inpaint, depth; vae4 → x4; checker; text → vision; and the networks of `companions`.

A stage is trained by `run_stage`, may stop and go on at any time, and writes its averaged weights in the published
layout whenever it stops.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import PRESETS, ModelConfig, check_config
from engine.diffusion.depth import DepthConfig
from engine.diffusion.safety import SafetyConfig
from engine.diffusion.text import TextEncoder
from engine.diffusion.tiny import TinyConfig
from engine.diffusion.unet import UNet
from engine.diffusion.upscale import CompactConfig
from engine.diffusion.vae import Vae
from engine.diffusion.vision import VisionConfig
from engine.training import companions, data, processes, upscaler
from engine.training.attention import plain_attention
from engine.training.checker import Answers, Reader, answers_of, mirrored, reading_loss
from engine.training.contrast import Pair, contrastive_loss, encode_texts, naming_loss, shortened, tokenised
from engine.training.files import (
    TEXT,
    UNET,
    VAE,
    Recipe,
    fill,
    half_rounded,
    mark_of,
    read_model,
    text_keys,
    text_mark,
    tower_state,
    unet_keys,
    vae_keys,
    write_model,
)
from engine.training.grounding import Grounder, grounding_loss, standing
from engine.training.loop import Outcome, Run, Settings, TrainingError, same_shapes, train
from engine.training.objectives import Objective, draw, drop_text, initialise, picture_loss, widen_input
from engine.training.stage import PREFERRING, Place, Size, Work

WRONG = 3  # captions beside each picture's own that are false by a word or two
NAMING_WEIGHT = 0.2
KL_WEIGHT = 1e-6  # keeps latents from drifting without blurring them, as for the published VAE


def _model(channels: int, mult: tuple[int, int, int, int], text_width: int, text_layers: int, vae: int) -> ModelConfig:
    """SD 1.x made small. The outermost level has no attention: there it cost two thirds of a step and 256 tokens."""
    sd1 = PRESETS["sd1"]
    return replace(
        sd1,
        unet=replace(
            sd1.unet, model_channels=channels, channel_mult=mult, attention=(False, True, True, False), num_heads=2,
            context_dim=text_width, norm_groups=8,
        ),
        vae=replace(sd1.vae, channels=vae, channel_mult=(1, 1, 2, 2), num_res_blocks=1, norm_groups=8),
        text=replace(sd1.text, width=text_width, layers=text_layers, heads=4, mlp_width=4 * text_width),
    )  # fmt: skip


def _upscaler(base: ModelConfig, channels: int, mult: tuple[int, int, int, int], vae: int) -> ModelConfig:
    """The ×4 upscaler made small. Enlarging is fine work: the starter's outermost level is three times as wide."""
    x4 = PRESETS["sd2-x4"]
    return replace(
        x4,
        unet=replace(
            x4.unet, model_channels=channels, channel_mult=mult, num_heads=2, norm_groups=8,
            context_dim=base.text.width,
        ),
        vae=replace(x4.vae, channels=vae, channel_mult=(1, 1, 2), num_res_blocks=1, norm_groups=8),
        text=base.text,
    )  # fmt: skip


def _estimator(side: int, width: int, layers: int, fusion: int) -> DepthConfig:
    """MiDaS' hybrid network made small; its convolutions' norms want widths that are multiples of 128."""
    return DepthConfig(
        width=width, layers=layers, heads=width // 64, mlp_width=2 * width, image_size=side, embedding_width=32,
        stages=(1, 1, 1), stage_widths=(128, 128, 128), neck_widths=(128, 128, 64, 64), fusion_width=fusion,
    )  # fmt: skip


def _safety(width: int, layers: int, side: int, patch: int) -> SafetyConfig:
    vision = VisionConfig(
        width=width, layers=layers, heads=16, mlp_width=4 * width, patch=patch, positions=(side // patch) ** 2 + 1,
        projection=width, activation="quick_gelu",
    )  # fmt: skip
    return SafetyConfig(vision, concepts=1, special=1)


_tiny = _model(16, (1, 1, 1, 1), 16, 1, 8)
_starter = _model(56, (1, 1, 1, 1), 48, 3, 32)
SIZES: Mapping[str, Size] = {
    # what the tests train: it learns nothing worth seeing
    "tiny": Size(
        _tiny, _upscaler(_tiny, 16, (1, 1, 1, 1), 8), picture=32, crop=32, shard=8, shards=2, vision_width=16,
        enlarger=CompactConfig(8, 1, 2), estimator=_estimator(32, 64, 4, 16), safety=_safety(16, 1, 32, 8),
        taesd=TinyConfig(8, 4),
        settings={name: Settings(steps=4, rate=1e-3, batch=2, warm_up=1, log_every=1)
                  for name in ("vae", "vae4", "text", "vision", "unet", "v", "inpaint", "depth", "x4", "checker",
                               "decoder", "enlarger", "estimator", "safety", "taesd", "edges", "style", "word", "lcm")},
    ),
    # what is shipped: docs/training.md has the measured times
    "starter": Size(
        _starter, _upscaler(_starter, 16, (3, 1, 1, 1), 32), picture=128, crop=64, shard=256, shards=120,
        vision_width=96, enlarger=CompactConfig(32, 8, 2), estimator=_estimator(128, 64, 4, 32),
        safety=_safety(80, 4, 128, 16), taesd=TinyConfig(16, 4),
        settings={
            "vae": Settings(steps=12_000, rate=6e-4, batch=12, warm_up=200, ema_decay=0.999),
            "vae4": Settings(steps=8_000, rate=6e-4, batch=24, warm_up=200, ema_decay=0.999),
            "text": Settings(steps=6_000, rate=1e-3, batch=64, warm_up=200, ema_decay=0.999),
            "vision": Settings(steps=4_000, rate=1e-3, batch=64, warm_up=200, ema_decay=0.999),
            "unet": Settings(steps=40_000, rate=8e-4, batch=32, warm_up=500),
            "v": Settings(steps=8_000, rate=4e-4, batch=32, warm_up=200, ema_decay=0.999),
            "inpaint": Settings(steps=8_000, rate=4e-4, batch=32, warm_up=200, ema_decay=0.999),
            "depth": Settings(steps=6_000, rate=4e-4, batch=32, warm_up=200, ema_decay=0.999),
            "x4": Settings(steps=9_500, rate=8e-4, batch=24, warm_up=200, ema_decay=0.999),
            "checker": Settings(steps=6_000, rate=1e-3, batch=16, warm_up=200, ema_decay=0.999),
            "decoder": Settings(steps=4_000, rate=4e-4, batch=12, warm_up=100, ema_decay=0.998),
            "enlarger": Settings(steps=3_000, rate=1e-3, batch=8, warm_up=100, ema_decay=0.998),
            "estimator": Settings(steps=4_000, rate=8e-4, batch=8, warm_up=200, ema_decay=0.998),
            "safety": Settings(steps=6_000, rate=1e-3, batch=32, warm_up=200, ema_decay=0.998),
            "taesd": Settings(steps=6_000, rate=1e-3, batch=6, warm_up=200, ema_decay=0.998),
            "edges": Settings(steps=4_000, rate=6e-4, batch=16, warm_up=100, ema_decay=0.998),
            "style": Settings(steps=600, rate=2e-3, batch=8, warm_up=50, ema_decay=0.98),
            "lcm": Settings(steps=2_000, rate=1e-3, batch=16, warm_up=50, ema_decay=0.99),
            "word": Settings(steps=300, rate=1e-2, batch=8, warm_up=20, ema_decay=0.95),
        },
    ),
}  # fmt: skip


def reconstruction_loss(vae: Vae, pixels: Tensor, noise: Tensor) -> Tensor:
    """The loss of a picture (b, 3, h, w) in -1..1 decoded from a sample of its latent, and the latent's divergence.

    Kingma and Welling (2014), appendix B, for the divergence; noise is shaped as the latent.
    """
    mean, logvar = vae.moments(pixels)
    made = vae.decode(mean + (0.5 * logvar).exp() * noise)
    divergence = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).sum(dim=(1, 2, 3)).mean()
    return picture_loss(made, pixels) + KL_WEIGHT * divergence


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal to noise ratio of pictures in -1..1 in decibels; 4 is the square of the range."""
    return float(10.0 * torch.log10(4.0 / (a - b).square().mean()))


def scale_factor(vae: Vae, pixels: Tensor) -> float:
    """What brings latents to unit variance: one over their standard deviation (Rombach et al., 2022, appendix G)."""
    with torch.no_grad():
        means = torch.cat([vae.moments(part)[0] for part in torch.split(pixels, 16)])
    return float(1.0 / means.std())


def _vae_stage(place: Place, stage: str) -> Work:
    size = place.size
    model = size.model if stage == "vae" else size.upscaler
    vae = Vae(model.vae).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(vae, place.settings)
    bank = place.bank()
    rows = data.pictures(bank)
    f = model.vae.downscale

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        batch = data.signed(rows[data.choose(bank, step, place.settings.batch, generator)])
        top, left = (int(torch.randint(bank.size - size.crop + 1, (), generator=generator)) for _ in range(2))
        batch = batch[:, :, top : top + size.crop, left : left + size.crop].to(place.device)
        noise = torch.randn((len(batch), model.vae.embed_dim, size.crop // f, size.crop // f), generator=generator)
        return reconstruction_loss(vae, batch, noise.to(place.device))

    def write(outcome: Outcome) -> Path:
        state = half_rounded(run.averaged())
        averaged = Vae(model.vae).to(place.device)
        averaged.load_state_dict(state)
        test = data.signed(data.pictures(replace(bank, split="test", shard=min(bank.shard, 64)))[torch.arange(8)])
        test = test.to(place.device)
        with torch.no_grad():
            score = psnr(averaged.decode(averaged.moments(test)[0]), test)
        factor = scale_factor(averaged, data.signed(rows[torch.arange(min(128, bank.shard))]).to(place.device))
        config = replace(model, vae=replace(model.vae, scale_factor=round(factor, 5)))
        more = {"easel.psnr": f"{score:.2f}"}
        write_model(place.file(stage), vae_keys(state), config, place.recipe, outcome, more)
        return place.file(stage)

    return Work(run, loss_of, write)


def _text_stage(place: Place, _stage: str) -> Work:
    size = place.size
    pair = Pair(size.model.text, size.vision_width, size.picture).to(place.device)
    if place.start is not None:  # the vision tower is the folder's own: checkpoints hold none
        pair.load_state_dict(tower_state(place.read("text"), place.read("vision")))
    grounder = Grounder(size.model.text.width).to(place.device)
    run = Run(nn.ModuleDict({"pair": pair, "grounder": grounder}), place.settings)
    bank = place.bank(whole=place.start is not None)
    rows = data.pictures(bank)

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        indices, right, wrong = _told(place, bank, step, generator)
        again = data.captions_of(bank, indices, generator)
        texts = [*right, *again, *(text for texts in wrong for text in texts)]
        chunks = shortened(tokenised(texts, size.model.text), size.model.text.end_id)
        seen, all_said, scale, states = pair(data.signed(rows[indices]).to(place.device), chunks)
        said, said_again, untrue = all_said.split([len(right), len(again), len(right) * WRONG])
        against = _against(untrue, right, wrong)
        pictures = contrastive_loss(seen, said, scale, against)
        meaning = contrastive_loss(said_again, said, scale, against)  # two ways to say the same are no further apart
        scenes = standing([data.scene_of(index, bank.split) for index in indices.tolist()] * 2, place.device)
        where = grounding_loss(grounder, scenes, states[: len(right) + len(again)])
        return 0.5 * (pictures + meaning) + NAMING_WEIGHT * naming_loss(states, chunks, pair.text) + where

    def write(outcome: Outcome) -> Path:
        state = {name.removeprefix("pair."): t for name, t in run.averaged().items() if name.startswith("pair.")}
        text = {name.removeprefix("text."): t for name, t in state.items() if name.startswith("text.")}
        rest = {name: t for name, t in state.items() if not name.startswith("text.")}
        write_model(place.file("vision"), rest, None, place.recipe, outcome, {"easel.text": text_mark(text)})
        write_model(place.file("text"), text_keys(text), size.model, place.recipe, outcome)
        return place.file("text")

    return Work(run, loss_of, write)


def _vision_stage(place: Place, _stage: str) -> Work:
    """A vision tower from nothing beside a text encoder that stays what it is: the judge of a checkpoint's pictures."""
    size = place.size
    pair = Pair(size.model.text, size.vision_width, size.picture)
    fill(pair.text, place.read("text"), TEXT, "transformer.")
    pair.to(place.device)
    run = Run(pair, place.settings)
    bank = place.bank()
    rows = data.pictures(bank)

    def loss_of(step: int, part: int) -> Tensor:
        indices, right, wrong = _told(place, bank, step, place.generator(step, part))
        texts = [*right, *(text for texts in wrong for text in texts)]
        chunks = shortened(tokenised(texts, size.model.text), size.model.text.end_id)
        seen, all_said, scale, _ = pair(data.signed(rows[indices]).to(place.device), chunks)
        said, untrue = all_said.split([len(right), len(right) * WRONG])
        return contrastive_loss(seen, said, scale, _against(untrue, right, wrong))

    def write(outcome: Outcome) -> Path:
        rest = {name: t for name, t in run.averaged().items() if not name.startswith("text.")}
        beside = {"easel.text": text_mark(pair.text.state_dict())}
        write_model(place.file("vision"), rest, None, place.recipe, outcome, beside)
        return place.file("vision")

    return Work(run, loss_of, write)


def _told(
    place: Place, bank: data.Bank, step: int, generator: torch.Generator
) -> tuple[Tensor, list[str], list[list[str]]]:
    """A batch's pictures, a caption for each, and WRONG that are nearly true."""
    indices = data.choose(bank, step, place.settings.batch, generator)
    return indices, *data.captions_and_wrong(bank, indices, generator, WRONG)


def _against(untrue: Tensor, right: Sequence[str], wrong: Sequence[Sequence[str]]) -> Tensor:
    """What each picture must like less than its own caption (b, n, width): zeros, which do not count, if true."""
    false = torch.tensor([[other != text for other in others] for text, others in zip(right, wrong, strict=True)])
    return untrue.view(*false.shape, -1) * false[..., None].to(untrue.device)


BLUR, NOISE = 0.5, 0.08  # how often a picture is blurred, and the most noise it gets: drawn pictures are not clean


def _checker_stage(place: Place, _stage: str) -> Work:
    """The network that reads pictures back, on rendered ones made as unclean as drawn ones."""
    reader = Reader()
    if place.start is not None:
        made_by = f"python -m engine.training family --stage checker --out {place.folder}"
        weights = read_model(place.start, made_by).tensors
        if not same_shapes(weights, reader.state_dict()):
            raise TrainingError(f"{place.start}: no reader of pictures; give --from a checker's file, or leave it out")
        reader.load_state_dict(weights)
    reader.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(reader, place.settings)
    bank = place.bank(whole=place.start is not None)
    rows, ids = data.pictures(bank), data.places(bank)

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        indices = data.choose(bank, step, place.settings.batch, generator, place.size.preference)
        pixels = data.signed(rows[indices])
        turned = torch.rand(len(pixels), generator=generator) < 0.5
        pixels = torch.where(turned.view(-1, 1, 1, 1), pixels.flip(-1), pixels)
        blurred = F.interpolate(F.avg_pool2d(pixels, 2), scale_factor=2.0, mode="bilinear", align_corners=False)
        chance = torch.rand((2, len(pixels), 1, 1, 1), generator=generator)
        pixels = torch.where(chance[0] < BLUR, blurred, pixels)
        pixels = pixels + NOISE * chance[1] * torch.randn(pixels.shape, generator=generator)
        scenes = [data.scene_of(index, bank.split) for index in indices.tolist()]
        truth = mirrored(answers_of(scenes, ids[indices]), turned)
        truth = Answers(*(each.to(place.device) for each in truth))
        return reading_loss(reader(pixels.to(place.device, memory_format=torch.channels_last)), truth)

    def write(outcome: Outcome) -> Path:
        write_model(place.file("checker"), run.averaged(), None, place.recipe, outcome)
        return place.file("checker")

    return Work(run, loss_of, write)


def float32_norms(network: nn.Module) -> None:
    """Let group norms compute in float32 within bf16 autocast: over channels last, a CPU takes a fifth of the time.

    The network then answers under autocast only.
    """
    for norm in network.modules():
        if isinstance(norm, nn.GroupNorm):
            norm.register_forward_pre_hook(lambda _, given: (given[0].float(),))
            norm.register_forward_hook(lambda _, given, out: out.bfloat16())


VARIANTS: Mapping[str, Callable[[ModelConfig], ModelConfig]] = {
    "unet": lambda model: model,
    "v": lambda model: replace(model, schedule=replace(model.schedule, prediction="v")),
    "inpaint": lambda model: replace(model, unet=replace(model.unet, in_channels=9, concat="inpaint")),
    "depth": lambda model: replace(model, unet=replace(model.unet, in_channels=5, concat="depth")),
}


def _unet_stage(place: Place, stage: str) -> Work:
    """The base from nothing, or a variant from the base."""
    vae_file, text_file = place.read("vae"), place.read("text")
    base = replace(place.size.model, vae=vae_file.config.vae)
    model = VARIANTS[stage](base)
    vae = fill(Vae(base.vae), vae_file, VAE).to(place.device)
    text = fill(TextEncoder(base.text), text_file, TEXT, "transformer.").to(place.device)
    unet = initialise(UNet(model.unet))
    goes_on = stage != "unet" or place.start is not None
    if goes_on:
        weights = place.read("unet").tensors
        state = {name.removeprefix(UNET): t for name, t in weights.items() if name.startswith(UNET)}
        unet.load_state_dict(widen_input(state, model.unet.in_channels))
    unet.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(unet, place.settings)
    bank = place.bank(whole=goes_on)
    rows = data.latents(bank, vae, mark_of(vae_file))
    extra = {
        "inpaint": lambda: data.inpainting(bank, vae, mark_of(vae_file)),
        "depth": lambda: data.depth_maps(bank, base.vae.downscale),
    }.get(stage, lambda: None)()
    objective = Objective(model.schedule, place.size.limits)
    empty = encode_texts(text, [""], base.text)

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        indices = data.choose(bank, step, place.settings.batch, generator, place.size.preference)
        x0 = rows[indices].float().to(place.device)
        context = encode_texts(text, data.captions_of(bank, indices, generator), base.text)
        context = drop_text(context, empty, generator)
        noise, timesteps = draw(x0, model.schedule.steps, generator)
        concat = extra[indices].float().to(place.device) if extra is not None else None

        def predict(x: Tensor, t: Tensor) -> Tensor:
            answer: Tensor = unet(x if concat is None else torch.cat([x, concat], dim=1), t, context)
            return answer

        return objective.loss(predict, x0, noise, timesteps)

    def write(outcome: Outcome) -> Path:
        tensors = unet_keys(run.averaged())
        if stage == "unet":  # the full single file
            tensors |= vae_file.under(VAE) | text_file.under(TEXT)
        write_model(place.file(stage), tensors, model, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write)


STAGES: Mapping[str, Callable[[Place, str], Work]] = {
    "vae": _vae_stage,
    "text": _text_stage,
    "vision": _vision_stage,
    "unet": _unet_stage,
    "v": _unet_stage,
    "inpaint": _unet_stage,
    "depth": _unet_stage,
    "vae4": _vae_stage,
    "x4": upscaler.x4_stage,
    "checker": _checker_stage,
    "decoder": companions.decoder_stage,
    "enlarger": companions.enlarger_stage,
    "estimator": companions.estimator_stage,
    "safety": companions.safety_stage,
    "taesd": companions.taesd_stage,
    "edges": companions.edges_stage,
    "style": companions.style_stage,
    "word": companions.word_stage,
    "lcm": companions.lcm_stage,
}


def _check_preference(stage: str, preference: Sequence[float]) -> None:
    if stage not in PREFERRING:
        raise TrainingError(f"the stage {stage} takes scenes as they come; leave --prefer out")
    if not all(0.0 <= weight < math.inf for weight in preference) or not any(preference):
        said = " ".join(f"{weight:g}" for weight in preference)
        raise TrainingError(f"--prefer {said}: wanted are three numbers of zero or more, not all zero, as in 0.6 1 2.2")


def run_stage(
    stage: str, size: Size, folder: Path, *, minutes: float | None = None, resume: bool = False, seed: int = 0,
    settings: Settings | None = None, device: str = "cpu", command: str = "", quiet: bool = False,
    start: Path | None = None,
) -> tuple[Path, Outcome]:  # fmt: skip
    """Train one stage to its end or for so many minutes, and write its file; returns where, and how far it came.

    settings: instead of the size's own. start: a full checkpoint whose networks serve where the first stages' files are
    missing, and whose text tower or UNet the stages "text" and "unet" go on from; for "checker" it is a checker's file
    to go on from. Raises TrainingError where an earlier stage's file is missing or a state of other settings is to be
    resumed, KeyError for an unknown stage.
    """
    check_config(size.model)
    if processes.count() > 1 and device != "cpu":
        raise TrainingError(f"several processes train together on CPUs only, not on {device}; start one")
    begun = "from a checkpoint" if start is not None else "from the folder's files"
    given = f"{size.shards} shards, SNR of {size.limits.least:g} to {size.limits.most:g}, {begun}"
    if size.preference is not None:
        _check_preference(stage, size.preference)
        given += f", solids preferred {size.preference}"
    chosen = replace(settings or size.settings[stage], seed=seed, given=given)
    with torch.random.fork_rng(devices=[]):  # the first weights; all other random numbers have generators of their own
        torch.manual_seed(seed)
        place = Place(size, folder, chosen, torch.device(device), Recipe(command, seed), start)
        work = STAGES[stage](place, stage)
    if chosen.bf16 and device == "cpu":
        float32_norms(work.run.module)
    with plain_attention(device):
        outcome = train(
            work.run, work.loss_of, folder / "state" / stage, resume=resume, minutes=minutes,
            show=None if quiet else sys.stderr,
        )  # fmt: skip
    return work.write(outcome) if processes.is_first() else place.file(stage), outcome
