"""Fine-tuning a checkpoint on pictures of one's own: LoRA, DreamBooth (Ruiz et al., 2022), or every weight.

A picture's caption stands in a text file of its name beside it. Prior-preservation pictures, drawn by the model itself
where there are too few, keep it from forgetting what the class looked like.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn

from engine.diffusion.checkpoint import Checkpoint, load_text, load_unet, load_vae, open_checkpoint
from engine.diffusion.config import ModelConfig
from engine.diffusion.guidance import Condition
from engine.diffusion.network import unet_network
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.tensorfile import open_tensors
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae, decode
from engine.training.contrast import encode_texts, tokenised
from engine.training.files import Recipe, write_model
from engine.training.loop import Outcome, Run, Settings, TrainingError, generator_of, train
from engine.training.lora import Adapted, adapt, lora_tensors
from engine.training.objectives import Objective, SnrLimits, draw, drop_text

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
Method = Literal["lora", "dreambooth", "full"]


@dataclass(frozen=True)
class Prior:
    """Prior preservation: pictures of the class, and how much they count beside the others."""

    prompt: str
    folder: Path
    count: int = 50
    weight: float = 1.0


@dataclass(frozen=True)
class Job:
    """What to fine-tune, on what, and how."""

    method: Method
    model: Path
    images: Path
    out: Path
    settings: Settings
    resolution: int = 512
    caption: str | None = None  # for pictures without a text file
    prior: Prior | None = None
    rank: int = 8
    alpha: float = 8.0
    train_text: bool = False
    dropped_text: float = 0.1
    gamma: float | None = None
    flip: bool = False


@dataclass(frozen=True, eq=False)
class Examples:
    """Scaled latents (n, z, h, w) and their captions."""

    latents: Tensor
    captions: tuple[str, ...]


def read_examples(folder: Path, caption: str | None) -> list[tuple[Path, str]]:
    """The pictures of a folder with their captions, in order of name.

    Raises TrainingError where there is no folder, no picture, or pictures have neither text file nor common caption.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder} is no folder; give one with pictures")
    found: list[tuple[Path, str]] = []
    silent: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES:
            continue
        beside = path.with_suffix(".txt")
        text = beside.read_text(encoding="utf-8").strip() if beside.exists() else caption
        if text is None:
            silent.append(path.name)
        else:
            found.append((path, text))
    if silent:
        names = ", ".join(silent[:5])
        raise TrainingError(f"{folder}: no caption for {names}; put a .txt beside each picture, or give --caption")
    if not found:
        raise TrainingError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return found


def read_square(path: Path, side: int) -> Tensor:
    """A picture's central square, resized (3, side, side) in -1..1. TrainingError if it cannot be read."""
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise TrainingError(f"{path}: cannot be read as a picture ({error}); remove or replace it") from None
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    box = (left, top, left + edge, top + edge)
    square = np.asarray(picture.resize((side, side), Image.Resampling.LANCZOS, box=box), np.float32)
    return torch.from_numpy(square / 127.5 - 1.0).movedim(-1, 0)


def encode_examples(pairs: Sequence[tuple[Path, str]], vae: Vae, side: int, flip: bool) -> Examples:
    """Encode every picture once (twice with its mirror image): the posterior's mean, scaled."""
    device = next(vae.parameters()).device
    latents: list[Tensor] = []
    captions: list[str] = []
    with torch.no_grad():
        for path, text in pairs:
            pixels = read_square(path, side)[None]
            for version in (pixels, pixels.flip(-1)) if flip else (pixels,):
                latents.append(vae.moments(version.to(device))[0].cpu() * vae.config.scale_factor)
                captions.append(text)
    return Examples(torch.cat(latents), tuple(captions))


def draw_prior(
    prior: Prior, config: ModelConfig, unet: UNet, vae: Vae, text: TextEncoder, side: int, seed: int
) -> None:
    """Let the model draw pictures of the class until the folder holds as many as wanted."""
    prior.folder.mkdir(parents=True, exist_ok=True)
    have = sum(path.suffix.lower() in SUFFIXES for path in prior.folder.iterdir())
    if have >= prior.count:
        return
    device = next(unet.parameters()).device
    network = unet_network(unet, discrete(config.schedule), torch.float32, device)
    states = encode_texts(text, [prior.prompt, ""], config.text).cpu()
    side = side // config.vae.downscale
    for number in range(have, prior.count):
        sampling = Sampling(
            config, torch.zeros(1, config.vae.embed_dim, side, side), (Condition(states[:1]),),
            (Condition(states[1:]),), seed=seed + number, steps=25, cfg=7.5, sampler="dpmpp_2m", scheduler="karras",
        )  # fmt: skip
        pixels = decode(vae, sample(sampling, network, device=device).samples)[0]
        Image.fromarray((pixels * 255).round().byte().numpy()).save(prior.folder / f"prior-{number:04}.png")


def fine_tune(
    job: Job, *, command: str = "", resume: bool = False, minutes: float | None = None, device: str = "cpu",
    quiet: bool = False,
) -> Outcome:  # fmt: skip
    """Train as the job says and write `job.out`: a LoRA in the common layout, or a checkpoint that loads.

    The state lies in a folder beside the file, so that a killed run can be resumed.
    Raises TrainingError for what cannot be trained, CheckpointError for a model that cannot be read.
    """
    checkpoint = open_checkpoint(job.model)
    _check(job, checkpoint)
    assert checkpoint.vae is not None and checkpoint.text is not None
    config, place = checkpoint.config, torch.device(device)
    unet = load_unet(checkpoint.unet, torch.float32, place)
    text = load_text(checkpoint.text, torch.float32, place)
    vae = load_vae(checkpoint.vae, torch.float32, place)
    own = encode_examples(read_examples(job.images, job.caption), vae, job.resolution, job.flip)
    kept = None
    if job.prior is not None:
        draw_prior(job.prior, config, unet, vae, text, job.resolution, job.settings.seed)
        kept = encode_examples(read_examples(job.prior.folder, job.prior.prompt), vae, job.resolution, job.flip)
    del vae  # everything is encoded; its memory is better used

    networks, adapters = _trainable(job, unet, text)
    run = Run(networks, job.settings)
    loss_of = _loss_of(job, config, unet, text, own, kept)
    outcome = train(
        run, loss_of, job.out.with_name(job.out.stem + "-training"), resume=resume, minutes=minutes,
        show=None if quiet else sys.stderr,
    )  # fmt: skip
    recipe = Recipe(command, job.settings.seed, f"{len(own.captions)} pictures")
    if job.method == "lora":
        _write_lora(job, config, {"unet": unet, "text": text}, adapters, run, recipe, outcome)
    else:
        _write_checkpoint(job, checkpoint, run, recipe, outcome)
    return outcome


def _check(job: Job, checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    if checkpoint.vae is None or checkpoint.text is None:
        raise TrainingError(f"{job.model} holds a UNet alone; fine-tuning wants a full checkpoint")
    if config.unet.concat != "none" or config.unet.adm_dim is not None:
        raise TrainingError(
            f"{job.model} is of family {config.family}, which reads more than text; choose a text-to-image model"
        )
    if job.resolution % config.vae.downscale:
        raise TrainingError(f"resolution {job.resolution} is no multiple of {config.vae.downscale}")
    if job.method == "dreambooth" and (job.prior is None or job.caption is None):
        raise TrainingError("dreambooth wants --caption (the thing, with a rare word) and --class-prompt (its class)")
    if job.train_text and (job.method != "lora" or config.text.layout != "clip"):
        raise TrainingError("the text encoder can only be trained as a LoRA of an SD 1.x model; leave out --train-text")
    if job.out.exists() and job.out.samefile(job.model):
        raise TrainingError(f"{job.out} is the model itself; write to another file")


Adapters = dict[str, dict[str, Adapted]]


def _trainable(job: Job, unet: UNet, text: TextEncoder) -> tuple[nn.ModuleDict, Adapters]:
    """The networks with what is to be trained, and the adapters if it is a LoRA."""
    networks: dict[str, nn.Module] = {"unet": unet, "text": text}
    if job.method != "lora":
        unet.requires_grad_(True).train()
        return nn.ModuleDict(networks), {}
    generator = generator_of(job.settings.seed, 0, purpose=1)
    adapters = {"unet": adapt(unet, job.rank, job.alpha, generator)}
    if job.train_text:
        adapters["text"] = adapt(text, job.rank, job.alpha, generator)
    return nn.ModuleDict(networks), adapters


def _loss_of(
    job: Job, config: ModelConfig, unet: UNet, text: TextEncoder, own: Examples, kept: Examples | None
) -> Callable[[int, int], Tensor]:
    limits = None if job.gamma is None else SnrLimits(most=job.gamma)
    objective = Objective(config.schedule, limits)
    device = next(unet.parameters()).device
    weight = job.prior.weight if job.prior is not None else 0.0

    def states_of(captions: Sequence[str]) -> Tensor:
        if not job.train_text:
            return encode_texts(text, captions, config.text)
        states: Tensor = text(tokenised(captions, config.text), config.text.clip_skip)[0]
        return states

    def part_loss(examples: Examples, generator: torch.Generator) -> Tensor:
        indices = torch.randint(len(examples.captions), (job.settings.batch,), generator=generator)
        x0 = examples.latents[indices].to(device)
        context = states_of([examples.captions[int(index)] for index in indices])
        context = drop_text(context, states_of([""]), generator, job.dropped_text)
        noise, timesteps = draw(x0, config.schedule.steps, generator)
        return objective.loss(lambda x, t: unet(x, t, context), x0, noise, timesteps)

    def loss_of(step: int, part: int) -> Tensor:
        generator = generator_of(job.settings.seed, step, part)
        loss = part_loss(own, generator)
        return loss if kept is None else loss + weight * part_loss(kept, generator)

    return loss_of


def _write_lora(
    job: Job, config: ModelConfig, networks: dict[str, UNet | TextEncoder], adapters: Adapters, run: Run,
    recipe: Recipe, outcome: Outcome,
) -> None:  # fmt: skip
    tensors: dict[str, Tensor] = {}
    for part, adapted in adapters.items():
        state = {name.removeprefix(part + "."): t for name, t in run.ema.items() if name.startswith(part + ".")}
        tensors |= lora_tensors(networks[part], adapted, state)
    second = config.text.layout == "open_clip"
    more = {
        "ss_network_module": "networks.lora", "ss_network_dim": str(job.rank), "ss_network_alpha": str(job.alpha),
        "ss_base_model_version": "sd_v2" if second else "sd_v1", "ss_v2": str(second),
    }  # fmt: skip
    write_model(job.out, tensors, None, recipe, outcome, more)


def _write_checkpoint(job: Job, checkpoint: Checkpoint, run: Run, recipe: Recipe, outcome: Outcome) -> None:
    """The whole file again, with the trained UNet in it."""
    tensors = _all_tensors(checkpoint)
    for name, source in checkpoint.unet.mapping:  # a UNet's weights are stored one by one, as they are
        tensors[source.key] = run.ema[f"unet.{name}"]
    write_model(job.out, tensors, checkpoint.config, recipe, outcome)


def _all_tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    parts = (checkpoint.unet, checkpoint.vae, checkpoint.text)
    wanted = {source.key for part in parts if part is not None for _, source in part.mapping}
    with open_tensors(checkpoint.path) as get:
        return {key: get(key).float().clone() for key in wanted}  # a copy: the file may be replaced while it is mapped
