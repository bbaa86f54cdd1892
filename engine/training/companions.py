"""The networks that stand beside the base: what reads depth, steers by edges, enlarges, warns, and small additions.

Each is a stage like those of `family`, and its file opens through the ordinary loader of its kind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.diffusion.config import TextConfig
from engine.diffusion.control import ControlConfig, ControlNet
from engine.diffusion.hooks import Control
from engine.diffusion.pictures.edges import canny
from engine.diffusion.prompt import Chunk, WeightedToken, chunks
from engine.diffusion.safety import SafetyConfig, SafetyNet
from engine.diffusion.text import TextEncoder, tokenizer
from engine.diffusion.tiny import LATENT_SCALE as TAESD_SCALE
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from engine.diffusion.vision import preprocess
from engine.training import data
from engine.training.captions import caption
from engine.training.checker import answers_of
from engine.training.contrast import encode_texts
from engine.training.files import TEXT, UNET, VAE, Trained, fill, mark_of, vae_keys, write_model
from engine.training.loop import Outcome, Run, generator_of
from engine.training.lora import Adapted, adapt, lora_tensors
from engine.training.objectives import Objective, alphas_bar, draw, drop_text, noised, picture_loss
from engine.training.scenes import COLOURS, SHAPES, Scene
from engine.training.stage import Place, Work

Write = Callable[[Outcome], Path]


# -- a network that reads or makes pictures ----------------------------------------------------------------------


PRELU = 0.25  # the slope that PReLU begins with


def enlarger_stage(place: Place, stage: str) -> Work:
    """×2 upscaling: a compact network (SRVGGNetCompact) that begins as the nearest neighbour, trained with L1."""
    network = place.size.enlarger.build().to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    convolutions = [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
    for layer in convolutions:  # torch's own start lets eight layers fade to nothing
        nn.init.kaiming_normal_(layer.weight, a=PRELU)
    nn.init.zeros_(convolutions[-1].weight)
    run = Run(network, place.settings)
    bank, crop = place.bank(), place.size.crop
    rows = data.pictures(bank)

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        large = data.signed(rows[data.choose(bank, step, place.settings.batch, generator)]) * 0.5 + 0.5
        top, left = (int(torch.randint(bank.size - crop + 1, (), generator=generator)) for _ in range(2))
        large = large[:, :, top : top + crop, left : left + crop].to(place.device)
        error: Tensor = network(halved(large)) - large
        return error.abs().mean()

    def write(outcome: Outcome) -> Path:
        write_model(place.file(stage), run.averaged(), place.size.enlarger, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write)


def halved(pixels: Tensor) -> Tensor:
    """Pictures (b, 3, h, w) in 0..1 at half their size, bicubic with antialiasing, as bytes would hold them."""
    small = F.interpolate(pixels, scale_factor=0.5, mode="bicubic", antialias=True).clamp(0, 1)
    return (small * 255).round() / 255


NEARNESS = 10.0  # what disparity is multiplied by: of the order of one


def estimator_stage(place: Place, stage: str) -> Work:
    """Depth from one picture: MiDaS' hybrid network made small, which learns the scenes' disparity with L1."""
    network = place.size.estimator.build().to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(network, place.settings)
    bank = place.bank()
    rows, truth = data.pictures(bank), data.disparities(bank)

    def loss_of(step: int, part: int) -> Tensor:
        indices = data.choose(bank, step, place.settings.batch, place.generator(step, part))
        seen = network(data.signed(rows[indices]).to(place.device)).predicted_depth
        error: Tensor = (seen - NEARNESS * truth[indices].float().to(place.device)).abs()
        return error.mean()

    def write(outcome: Outcome) -> Path:
        write_model(place.file(stage), run.averaged(), place.size.estimator, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write)


# the stand-in concept is a solid's colour: shapes are hard for so small a transformer (docs/training.md)
UNSAFE, SPECIAL_SHAPE = "purple", "torus"  # what is found, and what lowers its threshold
SHARPNESS = 20.0  # of the logistic loss, per unit of cosine
FALSE_ALARMS = 0.005  # the part of unseen pictures without the concept that may be taken for it
UNSEEN = 6  # shards of pictures that are not trained on, by which the thresholds are set


class Watched(nn.Module):
    """The safety checker with heads that are thrown away: naming what is where teaches it to see."""

    def __init__(self, config: SafetyConfig) -> None:
        super().__init__()
        self.checker = SafetyNet(config)
        self.names = nn.Linear(config.vision.projection, len(SHAPES) + len(COLOURS))
        self.places = nn.Linear(config.vision.width, len(SHAPES) + 1)
        for name, parameter in self.checker.named_parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02 if "embedding" in name else parameter[0].numel() ** -0.5)
            elif "embed" in name:
                nn.init.constant_(parameter, 0.0)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits for pictures (b, h, w, 3) in 0..1.

        Special and concept (b, 2), shapes and colours (b, 15), and the shape seen in each patch, or none, (b, 6, n).
        """
        net = self.checker
        tokens, _, pooled = net.vision_model(preprocess(pixels, net.config.vision.size))
        embeds = F.normalize(net.visual_projection(pooled))
        special = embeds @ F.normalize(net.special_care_embeds).T - net.special_care_embeds_weights
        concepts = embeds @ F.normalize(net.concept_embeds).T - net.concept_embeds_weights
        said = SHARPNESS * torch.cat([special, concepts], dim=1)
        return said, self.names(SHARPNESS * embeds), self.places(tokens[:, 1:]).movedim(1, 2)


def shown(scenes: Sequence[Scene]) -> tuple[Tensor, Tensor]:
    """What `Watched` should say of scenes, 0 or 1: (b, 2) and (b, 15)."""
    concept = torch.zeros(len(scenes), 2)
    names = torch.zeros(len(scenes), len(SHAPES) + len(COLOURS))
    shapes, colours = list(SHAPES), list(COLOURS)
    for row, scene in enumerate(scenes):
        for solid in scene.solids:
            names[row, shapes.index(solid.shape)] = names[row, len(shapes) + colours.index(solid.colour)] = 1.0
            if solid.colour == UNSAFE:
                concept[row, 1] = 1.0
                concept[row, 0] = max(float(concept[row, 0]), float(solid.shape == SPECIAL_SHAPE))
    return concept, names


def safety_stage(place: Place, stage: str) -> Work:
    """The safety checker in its published layout; the concept it finds is a stand-in (`UNSAFE`)."""
    network = Watched(place.size.safety).to(place.device)
    run = Run(network, place.settings)
    bank = place.bank()
    rows, ids = data.pictures(bank), data.places(bank)
    vision = place.size.safety.vision
    side = vision.size // vision.patch

    def seen(indices: Tensor) -> Tensor:
        return rows[indices].float().to(place.device) / 255.0

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        indices = data.choose(bank, step, place.settings.batch, generator)
        scenes = [data.scene_of(index, bank.split) for index in indices.tolist()]
        concept, names = shown(scenes)
        where = F.interpolate(ids[indices][:, None].float(), size=(side, side), mode="nearest-exact")[:, 0]
        turned = torch.rand(len(indices), generator=generator) < 0.5  # half of the pictures are mirrored
        where = torch.where(turned.view(-1, 1, 1), where.flip(-1), where)
        truth = answers_of(scenes, where.to(torch.int8)).shape.flatten(1)
        pixels = seen(indices)
        said, named, placed = network(torch.where(turned.view(-1, 1, 1, 1).to(pixels.device), pixels.flip(-2), pixels))
        with_logits = F.binary_cross_entropy_with_logits
        whole = with_logits(said, concept.to(place.device)) + with_logits(named, names.to(place.device))
        return whole + F.cross_entropy(placed, truth.to(place.device))

    def write(outcome: Outcome) -> Path:
        averaged = Watched(place.size.safety).to(place.device)
        averaged.load_state_dict(run.averaged())
        # what was trained on raises fewer false alarms than what was not
        indices = torch.arange(bank.shards * bank.shard, (bank.shards + UNSEEN) * bank.shard)
        concept, _ = shown([data.scene_of(index, bank.split) for index in indices.tolist()])
        with torch.no_grad():
            said = torch.cat([averaged(part)[0] for part in torch.split(seen(indices), 32)]).cpu() / SHARPNESS
        for column, limits in enumerate((averaged.checker.special_care_embeds_weights,
                                         averaged.checker.concept_embeds_weights)):  # fmt: skip
            without = said[concept[:, column] == 0, column]
            if len(without):
                with torch.no_grad():
                    limits.add_(torch.quantile(without, 1.0 - FALSE_ALARMS).clamp(min=0.0).to(limits.device))
        more = {"easel.concept": f"{UNSAFE} (a stand-in); special care: {UNSAFE} {SPECIAL_SHAPE}"}
        write_model(place.file(stage), averaged.checker.state_dict(), place.size.safety, place.recipe, outcome, more)
        return place.file(stage)

    return Work(run, loss_of, write)


def decoder_stage(place: Place, stage: str) -> Work:
    """The VAE's decoder further, its encoder as it is: latents stay what UNets know (so vae-ft-mse was made)."""
    file = place.read("vae")
    vae = fill(Vae(file.config.vae), file, VAE).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for part in (vae.decoder, vae.post_quant_conv):
        part.requires_grad_(True)
    run = Run(vae, place.settings)
    bank, f = place.bank(whole=True), file.config.vae.downscale
    rows = data.pictures(bank)
    crop = place.size.crop // f
    encoder = fill(Vae(file.config.vae), file, VAE).to(place.device)  # not what is trained, in whatever precision
    latents = data.latents(bank, encoder, mark_of(file))
    scale = file.config.vae.scale_factor

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        indices = data.choose(bank, step, place.settings.batch, generator)
        top, left = (int(torch.randint(bank.size // f - crop + 1, (), generator=generator)) for _ in range(2))
        pixels = data.signed(rows[indices])[:, :, f * top : f * (top + crop), f * left : f * (left + crop)]
        hidden = latents[indices][:, :, top : top + crop, left : left + crop].float() / scale
        return picture_loss(vae.decode(hidden.to(place.device)), pixels.to(place.device))

    def write(outcome: Outcome) -> Path:
        write_model(place.file(stage), vae_keys(run.averaged()), file.config, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write)


def taesd_stage(place: Place, stage: str) -> Work:
    """TAESD's two small halves: the encoder learns the VAE's latents, the decoder the pictures behind them."""
    file, sizes = place.read("vae"), place.size.taesd
    scale = file.config.vae.scale_factor
    vae = fill(Vae(file.config.vae), file, VAE).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    halves = nn.ModuleDict({"encoder": replace(sizes, half="encoder").build(), "decoder": sizes.build()})
    halves.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(halves, place.settings)
    bank = place.bank()
    rows, latents = data.pictures(bank), data.latents(bank, vae, mark_of(file))

    def loss_of(step: int, part: int) -> Tensor:
        indices = data.choose(bank, step, place.settings.batch, place.generator(step, part))
        pixels = (data.signed(rows[indices]) * 0.5 + 0.5).to(place.device)
        hidden = latents[indices].float().to(place.device)
        missed = halves["decoder"](hidden * (TAESD_SCALE / scale)) - pixels
        strayed = halves["encoder"](pixels) * (scale / TAESD_SCALE) - hidden
        error: Tensor = missed.abs().mean() + 4.0 * missed.square().mean() + TAESD_LATENT_WEIGHT * strayed.abs().mean()
        return error

    def write(outcome: Outcome) -> Path:
        tensors = {f"taesd_{name.replace('.layers.', '.', 1)}": each for name, each in run.averaged().items()}
        write_model(place.file(stage), tensors, sizes, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write)


TAESD_LATENT_WEIGHT = 0.1  # latents, of unit variance, beside pixels in 0..1


# -- additions to the base ---------------------------------------------------------------------------------------


class Base:
    """The base's frozen networks and what an addition is trained with."""

    def __init__(self, place: Place) -> None:
        vae_file, text_file, unet_file = place.read("vae"), place.read("text"), place.read("unet")
        self.config = unet_file.config
        self.vae = fill(Vae(vae_file.config.vae), vae_file, VAE).to(place.device)
        self.text = fill(TextEncoder(self.config.text), text_file, TEXT, "transformer.").to(place.device)
        self.unet = fill(UNet(self.config.unet), unet_file, UNET)
        self.unet.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.unet_file: Trained = unet_file
        self.mark = mark_of(vae_file)
        self.objective = Objective(self.config.schedule, place.size.limits)
        self.empty = encode_texts(self.text, [""], self.config.text)


def edges_stage(place: Place, stage: str) -> Work:
    """A ControlNet that reads edges: a copy of the base's encoder, its ties at zero (Zhang et al., 2023)."""
    base = Base(place)
    network = ControlNet(ControlConfig(base.config.unet, 3))
    own = {name.removeprefix(UNET): tensor for name, tensor in base.unet_file.under(UNET).items()}
    known = network.state_dict()
    network.load_state_dict({name: own.get(name, tensor) for name, tensor in known.items()})
    ties = ("zero_convs.", "middle_block_out.", f"input_hint_block.{len(network.input_hint_block) - 1}.")
    for name, parameter in network.named_parameters():
        if name.startswith(ties):
            nn.init.zeros_(parameter)
    network.requires_grad_(True).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(network, place.settings)
    bank = place.bank()
    rows, hidden = data.pictures(bank), data.latents(bank, base.vae, base.mark)

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        indices = data.choose(bank, step, place.settings.batch, generator)
        low = LEAST_EDGE + float(torch.rand((), generator=generator)) * (MOST_EDGE - LEAST_EDGE)
        hint = canny(rows[indices].float() / 255.0, low, 2.0 * low)[:, None].expand(-1, 3, -1, -1).to(place.device)
        x0 = hidden[indices].float().to(place.device)
        context = encode_texts(base.text, data.captions_of(bank, indices, generator), base.config.text)
        context = drop_text(context, base.empty, generator, EDGES_WITHOUT_TEXT)
        noise, timesteps = draw(x0, base.config.schedule.steps, generator)

        def predict(x: Tensor, t: Tensor) -> Tensor:
            skips, middle = network(x, hint, t, context)
            answer: Tensor = base.unet(x, t, context, control=Control(middle=middle, output=dict(enumerate(skips))))
            return answer

        return base.objective.loss(predict, x0, noise, timesteps)

    def write(outcome: Outcome) -> Path:
        write_model(place.file(stage), run.averaged(), base.config, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write)


LEAST_EDGE, MOST_EDGE = 0.1, 0.45  # Canny's low threshold; the high one is twice as high
EDGES_WITHOUT_TEXT = 0.5  # half of the captions are left out, as Zhang et al. did: the edges must say more


STYLE_RANK, LCM_RANK = 4, 16
BRIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


def colourless(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures (n, h, w, 3) in shades of grey."""
    grey = np.rint(pixels.astype(np.float32) @ np.array(BRIGHTNESS, np.float32)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def _lora_writer(place: Place, stage: str, base: Base, adapted: Mapping[str, Adapted], run: Run, rank: int) -> Write:
    """What writes adapters of the base's UNet in the common layout."""
    more = {
        "ss_network_module": "networks.lora", "ss_network_dim": str(rank), "ss_network_alpha": str(float(rank)),
        "ss_base_model_version": "sd_v1", "ss_v2": "False",
    }  # fmt: skip

    def write(outcome: Outcome) -> Path:
        tensors = lora_tensors(base.unet, adapted, run.ema)
        write_model(place.file(stage), tensors, base.config, place.recipe, outcome, more)
        return place.file(stage)

    return write


def style_stage(place: Place, stage: str) -> Work:
    """A LoRA that draws in shades of grey. Captions go on naming colours, so the adapter alone must do it."""
    base = Base(place)
    adapted = adapt(base.unet, STYLE_RANK, float(STYLE_RANK), generator_of(place.settings.seed, 0, purpose=1))
    run = Run(base.unet, place.settings)
    bank = replace(place.bank(), shards=min(STYLE_SHARDS, place.size.shards), first=1)
    rows = data.changed_latents(bank, base.vae, base.mark, "colourless", colourless)

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        indices = data.choose(bank, step, place.settings.batch, generator)
        x0 = rows[indices].float().to(place.device)
        context = encode_texts(base.text, data.captions_of(bank, indices, generator), base.config.text)
        context = drop_text(context, base.empty, generator)
        noise, timesteps = draw(x0, base.config.schedule.steps, generator)
        return base.objective.loss(lambda x, t: base.unet(x, t, context), x0, noise, timesteps)

    return Work(run, loss_of, _lora_writer(place, stage, base, adapted, run, STYLE_RANK))


LCM_LEVELS = 50  # noise levels that are told apart: Luo et al. (arXiv:2310.04378), section 4.3
LCM_LEAST, LCM_MOST = 2.0, 5.0  # guidance that is taken into the network
HUBER = 0.001  # Luo et al. (arXiv:2311.05556), as their trainer has it


def lcm_stage(place: Place, stage: str) -> Work:
    """A LoRA that draws in four steps without guidance: consistency distillation (arXiv:2310.04378, algorithm 1).

    x at t ─ base, guided: one DDIM step ─▶ x at s < t ─ with LoRA ─▶ picture ┐ no gradient
         └── with LoRA ─▶ picture ────────────────────────────────────────────┴ the same, please
    """
    base = Base(place)
    teacher = fill(UNet(base.config.unet), base.unet_file, UNET)
    teacher.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    adapted = adapt(base.unet, LCM_RANK, float(LCM_RANK), generator_of(place.settings.seed, 0, purpose=1))
    run = Run(base.unet, place.settings)
    bank = place.bank()
    rows = data.latents(bank, base.vae, base.mark)
    stride = base.config.schedule.steps // LCM_LEVELS
    alphas = alphas_bar(base.config.schedule).to(place.device)
    alphas = torch.cat([alphas[stride - 1 :: stride], alphas.new_ones(1)])  # the last, also at -1: no noise

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        indices = data.choose(bank, step, place.settings.batch, generator)
        x0 = rows[indices].float().to(place.device)
        context = encode_texts(base.text, data.captions_of(bank, indices, generator), base.config.text)
        noise, levels = draw(x0, LCM_LEVELS, generator)
        guidance = torch.rand((len(x0), 1, 1, 1), generator=generator).to(place.device)
        guidance = LCM_LEAST + (LCM_MOST - LCM_LEAST) * guidance
        now, then = (alphas[each].view(-1, 1, 1, 1) for each in (levels, levels - 1))

        def times(at: Tensor) -> Tensor:
            return (stride * (at + 1) - 1).clamp(min=0)

        def clean(x: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
            return (x - (1.0 - alpha_bar).sqrt() * eps) / alpha_bar.sqrt()

        x = noised(x0, noise, now)
        with torch.no_grad():
            said = teacher(x, times(levels), context)
            unsaid = teacher(x, times(levels), base.empty.expand_as(context))
            eps = unsaid + guidance * (said - unsaid)
            wanted = clean(x, eps, now)
            nearer = noised(wanted, eps, then)
            later = clean(nearer, base.unet(nearer, times(levels - 1), context), then)
            wanted = torch.where(levels.view(-1, 1, 1, 1) > 0, later, wanted)
        guess = clean(x, base.unet(x, times(levels), context), now)
        error: Tensor = ((guess - wanted).square() + HUBER**2).sqrt() - HUBER
        return error.mean()

    return Work(run, loss_of, _lora_writer(place, stage, base, adapted, run, LCM_RANK))


STYLE_SHARDS = 2
TEAL = (0.05, 0.50, 0.48)  # sRGB; the scenes have no such colour
NEAREST = "cyan"  # the word that the new one starts as


class Word(nn.Module):
    """One learned row of the token embedding."""

    def __init__(self, row: Tensor) -> None:
        super().__init__()
        self.row = nn.Parameter(row.clone())


def with_word(text: str, row: Tensor, config: TextConfig) -> Chunk:
    """A caption as tokens, the learned row where the first colour `white` stands."""
    before, after = text.split("white", 1)
    ids = tokenizer().ids
    tokens: list[int | Tensor] = [*ids(before), row, *ids(after)]
    return chunks([[WeightedToken(token, 1.0) for token in tokens]], config)[0]


def word_stage(place: Place, stage: str) -> Work:
    """A textual inversion (Gal et al., 2022): a word for a colour that no caption names; all else is frozen."""
    base = Base(place)
    table = base.text.transformer.embeddings.token_embedding.weight
    word = Word(table[tokenizer().ids(NEAREST)[0]]).to(place.device)
    run = Run(word, place.settings)
    bank = replace(place.bank(), shards=1, first=1)
    hidden = data.recoloured_latents(bank, base.vae, base.mark, "teal", TEAL)

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        indices = data.choose(bank, step, place.settings.batch, generator)
        x0 = hidden[indices].float().to(place.device)
        said = [caption(data.plain_scene(index), step) for index in indices.tolist()]
        worded = [with_word(text, word.row, base.config.text) for text in said]
        context = base.text(worded, base.config.text.clip_skip)[0]
        noise, timesteps = draw(x0, base.config.schedule.steps, generator)
        return base.objective.loss(lambda x, t: base.unet(x, t, context), x0, noise, timesteps)

    def write(outcome: Outcome) -> Path:
        rows = {"emb_params": run.averaged()["row"][None]}
        write_model(place.file(stage), rows, base.config, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write)
