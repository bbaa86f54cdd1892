"""How well a small model does what its prompt says: the model cards' evaluation in miniature.

    python -m engine.training.evaluate --model models/starter/checkpoints/base.safetensors --judges DIR --out docs

For each guidance scale (1.5 to 8) every held-out prompt is drawn once with 50 PLMS steps, and judged three ways: the
small CLIP's score of picture and prompt, the Fréchet distance of its picture features to those of rendered scenes
(Heusel et al., 2017), and whether colours, shapes and relations are right, as `checker` reads them. A UNet file without
the rest is judged with the text encoder and VAE of `--base`. Before the scales come what the judges say of rendered
scenes, of the same scenes when one attribute of what is asked was changed, and of what random weights draw.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.checkpoint import CheckpointError, load_text, load_unet, load_vae, open_checkpoint, open_unet
from engine.diffusion.config import ModelConfig
from engine.diffusion.guidance import Call, Condition, Network
from engine.diffusion.network import unet_network
from engine.diffusion.sampling import Running, Sampled, Sampling, start
from engine.diffusion.schedules import discrete
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from engine.training.captions import INVERSE, WORDS, altered, caption
from engine.training.checker import Reader, Verdict, judge, read_twice, solids_of
from engine.training.contrast import PATCH, Pair, encode_texts, tokenised
from engine.training.data import signed
from engine.training.files import read_model, text_mark
from engine.training.loop import TrainingError
from engine.training.plot import Axis, Line, plot_lines
from engine.training.render import render
from engine.training.scenes import Scene, make_scene

M = TypeVar("M", bound=nn.Module)

SCALES = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
STEPS = 50
AT_ONCE = 16  # pictures
OBJECTS = (1, 2, 2, 3)  # a quarter, half, a quarter


@dataclass(frozen=True, eq=False)
class Judges:
    """Who looks at the pictures: the small CLIP and the reader, frozen."""

    pair: Pair
    reader: Reader

    def features(self, pixels: Tensor) -> Tensor:
        """Unit vectors (n, width) of pictures (n, 3, h, w) in -1..1."""
        with torch.no_grad():
            parts = [self.pair.vision(pixel_values=p).image_embeds for p in torch.split(pixels, 32)]
        return F.normalize(torch.cat(parts), dim=-1)

    def said(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (n, width) of texts."""
        with torch.no_grad():
            _, pooled = self.pair.text(tokenised(texts, self.pair.text.config), 1)
            return F.normalize(self.pair.meeting(pooled), dim=-1)

    def verdicts(self, scenes: Sequence[Scene], pixels: Tensor) -> list[Verdict]:
        """What is right in pictures (n, 3, h, w) of scenes."""
        with torch.no_grad():
            seen = [sights for part in torch.split(pixels, 32) for sights in solids_of(read_twice(self.reader, part))]
        return [judge(scene, sights) for scene, sights in zip(scenes, seen, strict=True)]


def read_judges(folder: Path, text: TextEncoder) -> Judges:
    """The judges from a folder of stages: checker, and the vision tower that was trained beside this text encoder.

    TrainingError if one is missing or the tower is another text encoder's.
    """
    how = "python -m engine.training family --stage {} --out " + str(folder)
    vision = read_model(folder / "vision.safetensors", how.format("vision --from FILE"))
    reader = read_model(folder / "checker.safetensors", how.format("checker"))
    mark = text_mark(text.state_dict())
    if vision.metadata.get("easel.text", mark) != mark:
        raise TrainingError(
            f"{folder / 'vision.safetensors'} was trained beside another text encoder; make one for this model: "
            "python -m engine.training family --stage vision --from FILE --out another-folder"
        )
    width, patches = vision.tensors["vision.vision_model.embeddings.position_embedding.weight"].shape[::-1]
    pair = Pair(text.config, width, round((patches - 1) ** 0.5) * PATCH)
    words = {f"text.{name}": tensor.cpu() for name, tensor in text.state_dict().items()}
    return Judges(_frozen(pair, words | dict(vision.tensors)), _frozen(Reader(), dict(reader.tensors)))


def _frozen(module: M, state: dict[str, Tensor]) -> M:
    missing, unexpected = module.load_state_dict(state, strict=False)
    wrong = [name for name in (*missing, *unexpected) if not name.endswith("position_ids")]
    if wrong:
        raise TrainingError(f"the judges' files do not belong together: {wrong[0]} (and {len(wrong) - 1} more)")
    return module.eval().requires_grad_(False)


@dataclass(frozen=True, eq=False)
class Painter:
    """A model that draws: its networks, ready."""

    config: ModelConfig
    network: Network
    text: TextEncoder
    vae: Vae

    def draw(self, prompts: Sequence[str], scale: float, side: int, *, steps: int = STEPS) -> Tensor:
        """One picture for each prompt (n, 3, side, side) in -1..1: the i-th from seed i, with PLMS."""
        pictures = []
        empty = encode_texts(self.text, [""], self.config.text)
        for first in range(0, len(prompts), AT_ONCE):
            texts = encode_texts(self.text, prompts[first : first + AT_ONCE], self.config.text)
            latent = torch.zeros((1, self.config.vae.embed_dim, *[side // self.config.vae.downscale] * 2))
            samplings = [
                Sampling(
                    self.config, latent, (Condition(states[None]),), (Condition(empty),), seed=first + number,
                    steps=steps, cfg=scale, sampler="plms", scheduler="leading",
                )
                for number, states in enumerate(texts)
            ]  # fmt: skip
            latents = torch.cat([sampled.samples for sampled in sample_together(samplings, self.network)])
            with torch.no_grad():
                pictures.append(self.vae.decode(latents).clamp(-1, 1))
        return torch.cat(pictures)


def read_painter(model: Path, base: Path | None, device: str = "cpu") -> Painter:
    """A checkpoint's networks; a file with a UNet alone takes the rest from `base`."""
    place = torch.device(device)
    if base is None:
        whole = open_checkpoint(model)
        config, unet = whole.config, whole.unet
    else:
        whole, part = open_checkpoint(base), open_unet(model)
        config, unet = part.config, part.weights
    if whole.text is None or whole.vae is None:
        raise TrainingError(f"{whole.path} holds no text encoder or no VAE; name a full checkpoint with --base")
    network = unet_network(load_unet(unet, torch.float32, place), discrete(config.schedule), torch.float32, place)
    vae = load_vae(whole.vae, torch.float32, place)
    return Painter(config, network, load_text(whole.text, torch.float32, place), vae)


def sample_together(samplings: Sequence[Sampling], network: Network) -> list[Sampled]:
    """Walk several runs in step: their calls are answered together, which is what makes small networks fast."""
    runs = [start(sampling) for sampling in samplings]
    results: list[Sampled | None] = [None] * len(runs)
    waiting: dict[int, list[Call]] = {}
    for number, run in enumerate(runs):
        _advance(number, run, None, waiting, results)
    while waiting:
        numbers, asked = list(waiting), [*waiting.values()]
        with torch.no_grad():
            answers = iter(network([call for calls in asked for call in calls]))
        waiting.clear()
        for number, calls in zip(numbers, asked, strict=True):
            _advance(number, runs[number], [next(answers) for _ in calls], waiting, results)
    return [result for result in results if result is not None]


def _advance(
    number: int, run: Running, answers: list[Tensor] | None, waiting: dict[int, list[Call]],
    results: list[Sampled | None],
) -> None:  # fmt: skip
    try:
        waiting[number] = next(run) if answers is None else run.send(answers)
    except StopIteration as stop:
        results[number] = stop.value


def held_out(count: int) -> list[tuple[Scene, str]]:
    """Scenes no model was trained on, with a prompt that says every relation: number i has OBJECTS[i mod 4] solids."""
    return [(scene, prompt_of(scene)) for scene in _scenes(count)]


def _scenes(count: int) -> Iterator[Scene]:
    for index in range(count):
        yield make_scene(index, "test", objects=OBJECTS[index % len(OBJECTS)])


def prompt_of(scene: Scene) -> str:
    """The first wording that says how the solids stand; one caption in twelve only lists them."""
    for seed in range(100):
        text = caption(scene, seed)
        if all(any(f" {words} " in text for words in (*WORDS[r.name], *INVERSE[r.name])) for r in scene.relations):
            return text
    raise AssertionError("a hundred wordings and none names the relations")


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Between Gaussians fitted to features (n, d) and (m, d): |μ₁−μ₂|² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½)."""
    a, b = a.double(), b.double()
    first, second = (torch.cov(each.T).reshape(each.shape[1], -1) for each in (a, b))
    values, vectors = torch.linalg.eigh(first)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ second @ root).clamp(min=0).sqrt().sum()
    distance = (a.mean(0) - b.mean(0)).square().sum() + first.trace() + second.trace() - 2 * cross
    return max(0.0, float(distance))  # rounding can make nothing a little less


@dataclass(frozen=True)
class Score:
    """A row of results; parts are 0 to 1. perfect: everything asked for, and nothing else.

    scale: of guidance, or None where nothing was drawn by the model.
    """

    name: str
    scale: float | None
    clip: float
    frechet: float
    colour: float
    shape: float
    relation: float
    perfect: float
    pictures: int


def score_of(
    name: str, verdicts: Sequence[Verdict], seen: Tensor, said: Tensor, real: Tensor, scale: float | None = None
) -> Score:
    """Sum up the verdicts and features of a row's pictures."""
    solids = sum(v.solids for v in verdicts)
    return Score(
        name=name,
        scale=scale,
        clip=float((seen * said).sum(dim=-1).mean()),
        frechet=frechet_distance(seen, real),
        colour=sum(v.colours for v in verdicts) / solids,
        shape=sum(v.shapes for v in verdicts) / solids,
        relation=sum(v.right_relations for v in verdicts) / max(1, sum(v.relations for v in verdicts)),
        perfect=sum(v.perfect for v in verdicts) / len(verdicts),
        pictures=len(verdicts),
    )


def evaluate(painter: Painter, judges: Judges, side: int, count: int, scales: Sequence[float]) -> list[Score]:
    """Draw `count` held-out prompts at each guidance scale and judge them, after the rows for comparison."""
    asked = held_out(count)
    scenes, prompts = [scene for scene, _ in asked], [prompt for _, prompt in asked]
    rendered = torch.stack([torch.from_numpy(render(scene, side).picture) for scene in scenes]).mul(255).round()
    pixels = signed(rendered.to(torch.uint8))
    real, said = judges.features(pixels), judges.said(prompts)
    false = [altered(scene, 0) for scene in scenes]
    untrue = judges.said([prompt_of(scene) for scene in false])
    scores = [
        score_of("rendered", judges.verdicts(scenes, pixels), real, said, real),
        score_of("rendered, one attribute changed", judges.verdicts(false, pixels), real, untrue, real),
    ]
    rows = [("random weights", RANDOM_SCALE, untrained(painter)), *((f"{scale:g}", scale, painter) for scale in scales)]
    for name, scale, hand in rows:
        drawn = hand.draw(prompts, scale, side)
        drawn_scale = scale if hand is painter else None
        scores.append(score_of(name, judges.verdicts(scenes, drawn), judges.features(drawn), said, real, drawn_scale))
        sys.stderr.write(f"{line_of(scores[-1])}\n")
    return scores


RANDOM_SCALE = 3.0


def untrained(painter: Painter) -> Painter:
    """The same model, but for its UNet's weights: they are drawn as torch draws them, from seed 0."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet(painter.config.unet).eval().requires_grad_(False)
    place = next(painter.vae.parameters()).device
    network = unet_network(unet.to(place), discrete(painter.config.schedule), torch.float32, place)
    return replace(painter, network=network)


def line_of(score: Score) -> str:
    """A row of the table."""
    parts = (score.colour, score.shape, score.relation, score.perfect)
    shares = " | ".join(f"{part:.1%}" for part in parts)
    return f"| {score.name} | {score.clip:.3f} | {score.frechet:.3f} | {shares} |"


HEADER = "| guidance | CLIP score | Fréchet distance | colour | shape | relation | all right |\n|" + "---|" * 7


def main(arguments: Sequence[str]) -> int:
    """Evaluate from the command line; 0, or 2 with a message where a file is missing."""
    parser = argparse.ArgumentParser(prog="python -m engine.training.evaluate", description="Judge a small model.")
    add = parser.add_argument
    add("--model", type=Path, required=True)
    add("--base", type=Path, help="a full checkpoint, if the model is a UNet alone")
    add("--judges", type=Path, required=True, help="the folder with vision and checker")
    add("--out", type=Path, required=True, help="where the table and the plot go")
    add("--name", default="base", help="the results' name")
    add("--count", type=int, default=200, help="prompts")
    add("--side", type=int, default=128, help="pixels")
    add("--scales", type=float, nargs="+", default=SCALES)
    add("--device", default="cpu")
    add("--threads", type=int)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        painter = read_painter(options.model, options.base, options.device)
        judges = read_judges(options.judges, painter.text)
    except (TrainingError, CheckpointError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    scores = evaluate(painter, judges, options.side, options.count, options.scales)
    options.out.mkdir(parents=True, exist_ok=True)
    table = "\n".join([HEADER, *map(line_of, scores)])
    (options.out / f"evaluation-{options.name}.json").write_text(json.dumps([asdict(s) for s in scores], indent=1))
    drawn = [score for score in scores if score.scale is not None]
    line = Line(options.name, [(s.clip, s.frechet) for s in drawn], [s.name for s in drawn])
    plot = plot_lines([line], Axis(f"CLIP score (guidance scales, {STEPS} PLMS steps)"), Axis("Fréchet distance"))
    (options.out / f"evaluation-{options.name}.svg").write_text(plot)
    sys.stdout.write(table + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
