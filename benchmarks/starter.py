"""What the starter models beside the base can do, measured on scenes that no model was trained on.

    python -m benchmarks.starter [--models DIR] [--parts depth edges …] [--count N] [--pictures DIR]

Pictures are drawn by the engine with the nodes that anybody would use, 20 steps of dpmpp_2m, guidance 4, one for each
scene, seeds from 0, no selection. What is found is compared with what is true of the scene; each part says with what.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import binary_dilation
from torch import Tensor

from engine.diffusion.checkpoint import load_companion, load_vae, open_checkpoint
from engine.diffusion.depth import estimate_depth, open_depth
from engine.diffusion.pictures.edges import canny
from engine.diffusion.safety import check_pictures, open_safety
from engine.diffusion.upscale import enlarge, open_upscaler
from engine.files.folders import make_folders
from engine.messages.events import Succeeded
from engine.runtime.headless import run_file
from engine.runtime.settings import Settings
from engine.training.companions import TEAL, UNSAFE
from engine.training.evaluate import held_out, prompt_of
from engine.training.render import render
from engine.training.scenes import COLOURS, Scene, make_scene

ROOT = Path(__file__).parents[1]
SIDE = 128
FARTHEST = 20.0  # world units; walls and sky behind are not counted when depths are compared
LOW, HIGH = 0.2, 0.4  # Canny's thresholds
COLOURED = 0.25  # largest less smallest of red, green and blue: floor and wall in the pictures of a word have less
NEAR = 0.30  # in sRGB, from a colour to its shades

Node = tuple[str, Mapping[str, Any]]
Graph = dict[str, Node]


@dataclass(frozen=True)
class Studio:
    """Where models, pictures and results are."""

    models: Path
    root: Path
    count: int
    kept: Path | None
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        folders = make_folders(data=self.root / "data", models=self.models)
        for folder in (folders.input, folders.output, folders.temp):
            folder.mkdir(parents=True, exist_ok=True)
        object.__setattr__(self, "settings", Settings(folders, cpu=True, precision="fp32", threads=1))

    def file(self, kind: str, name: str) -> Path:
        """A starter file."""
        return next(folder / name for folder in self.settings.folders.models[kind] if (folder / name).exists())

    def give(self, name: str, picture: np.ndarray) -> str:
        """Put a picture (h, w[, 3 or 4]) in 0..1 into the input folder."""
        Image.fromarray(np.rint(255 * picture.clip(0, 1)).astype(np.uint8)).save(self.settings.folders.input / name)
        return name

    def draw(self, name: str, graph: Graph) -> Tensor:
        """Run a graph; its pictures (n, h, w, 3) in 0..1, as saved under NAME."""
        file = self.root / f"{name}.json"
        file.write_text(
            json.dumps({key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in graph.items()})
        )
        ending = run_file(file, self.settings, lambda _event: None)
        if not isinstance(ending, Succeeded):
            raise SystemExit(f"{name}: {ending}")
        files = sorted(self.settings.folders.output.glob(f"{name}_*.png"))
        pictures = torch.stack(
            [torch.from_numpy(np.asarray(Image.open(each).convert("RGB")) / 255.0) for each in files]
        )
        if self.kept is not None:
            self.kept.mkdir(parents=True, exist_ok=True)
            sheet = np.concatenate([np.asarray(Image.open(each).convert("RGB")) for each in files[:8]], axis=1)
            Image.fromarray(sheet).save(self.kept / f"{name}.png")
        return pictures.float()


MODEL: Graph = {"base": ("CheckpointLoaderSimple", {"ckpt_name": "base.safetensors"})}
Steer = Callable[[Graph, str, int, list[Any], list[Any]], tuple[list[Any], list[Any], list[Any]]]


def pictures_of(
    prompts: Sequence[str], name: str, *, more: Graph | None = None, model: Sequence[Any] = ("base", 0),
    vae: Sequence[Any] = ("base", 2), cfg: float = 4.0, steer: Steer | None = None,
) -> Graph:  # fmt: skip
    """A graph that draws every prompt. steer: changes positive and negative of a picture, and gives its latent."""
    graph: Graph = {**MODEL, **(more or {}), "no": ("CLIPTextEncode", {"clip": ["base", 1], "text": ""})}
    graph["empty"] = ("EmptyLatentImage", {"width": SIDE, "height": SIDE, "batch_size": 1})
    for number, prompt in enumerate(prompts):
        key = f"{number:03}"
        graph[f"text{key}"] = ("CLIPTextEncode", {"clip": ["base", 1], "text": prompt})
        positive, negative, latent = [f"text{key}", 0], ["no", 0], ["empty", 0]
        if steer is not None:
            positive, negative, latent = steer(graph, key, number, positive, negative)
        graph[f"sample{key}"] = ("KSampler", {
            "model": list(model), "positive": positive, "negative": negative, "latent_image": latent, "seed": number,
            "steps": 20, "cfg": cfg, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0,
        })  # fmt: skip
        graph[f"decode{key}"] = ("VAEDecode", {"samples": [f"sample{key}", 0], "vae": list(vae)})
    last: list[Any] = ["decode000", 0]
    for number in range(1, len(prompts)):
        graph[f"batch{number:03}"] = ("ImageBatch", {"image1": last, "image2": [f"decode{number:03}", 0]})
        last = [f"batch{number:03}", 0]
    graph["save"] = ("SaveImage", {"images": last, "filename_prefix": name})
    return graph


def psnr(a: Tensor, b: Tensor) -> float:
    """Decibels, of pictures in 0..1."""
    return float(-10.0 * torch.log10((a - b).square().mean()))


def share(picture: Tensor, colour: Sequence[float]) -> Tensor:
    """Where a picture (h, w, 3) shows a colour, in light or in shade: (h, w) bool."""
    wanted = torch.tensor(colour, dtype=torch.float32)
    shade = (picture @ wanted / wanted.square().sum()).clamp(0.35, 1.2)[..., None]
    return (picture - shade * wanted).norm(dim=-1) < NEAR * shade[..., 0]


def pictures_and_scenes(count: int) -> tuple[list[Scene], Tensor]:
    """Scenes of the evaluation, and their pictures (n, h, w, 3) in 0..1."""
    scenes = [scene for scene, _ in held_out(count)]
    return scenes, torch.stack([torch.from_numpy(render(scene, SIDE).picture) for scene in scenes])


# -- the parts ---------------------------------------------------------------------------------------------------


def vae(studio: Studio) -> str:
    """Pictures encoded and decoded again, in decibels of all their errors together."""
    found = open_checkpoint(studio.file("checkpoints", "base.safetensors"))
    assert found.vae is not None
    network = load_vae(found.vae, torch.float32)
    _, pictures = pictures_and_scenes(studio.count)
    errors = []
    for part in torch.split(pictures, 20):
        pixels = 2.0 * part.movedim(-1, 1) - 1.0
        with torch.no_grad():
            again = network.decode(network.moments(pixels)[0]).clamp(-1, 1)
        errors.append(((again - pixels) / 2).square().mean(dim=(1, 2, 3)))
    each = torch.cat(errors)
    least, most = (-10.0 * math.log10(float(error)) for error in (each.max(), each.min()))
    return f"{-10.0 * math.log10(float(each.mean())):.2f} dB; single pictures {least:.1f} to {most:.1f}"


def enlarger(studio: Studio) -> str:
    """×2 against bicubic, from pictures halved with antialiasing."""
    weights, scale = open_upscaler(studio.file("upscale_models", "x2.safetensors"))
    network = load_companion(weights, torch.float32, torch.device("cpu"))
    _, large = pictures_and_scenes(studio.count)
    small = F.interpolate(large.movedim(-1, 1), scale_factor=0.5, mode="bicubic", antialias=True).clamp(0, 1)
    small = (small * 255).round() / 255
    bicubic = F.interpolate(small, scale_factor=2, mode="bicubic").clamp(0, 1).movedim(1, -1)
    made = enlarge(network, small.movedim(1, -1), scale)
    return f"{psnr(made, large):.2f} dB, bicubic {psnr(bicubic, large):.2f} dB"


def fitted(near: Tensor, depth: Tensor) -> Tensor:
    """Relative nearness (n) as a distance: the scale and shift of its disparity that fit best, as MiDaS is judged."""
    a = torch.stack([near.double(), torch.ones_like(near).double()], dim=1)
    scale = torch.linalg.lstsq(a, 1.0 / depth.double()[:, None]).solution
    return 1.0 / (a @ scale)[:, 0].clamp(min=1.0 / FARTHEST)


def estimator(studio: Studio) -> str:
    """Mean of |d - d*| / d* over pixels nearer than FARTHEST, and the correlation of nearness."""
    network = load_companion(open_depth(studio.file("depth_models", "estimator.safetensors")), torch.float32,
                             torch.device("cpu"))  # fmt: skip
    errors, alike = [], []
    for scene, _ in held_out(studio.count):
        seen = render(scene, SIDE)
        near = estimate_depth(network, torch.from_numpy(seen.picture)[None])[0]
        depth = torch.from_numpy(seen.depth)
        here = depth < FARTHEST
        errors.append(float(((fitted(near[here], depth[here]) - depth[here]).abs() / depth[here]).mean()))
        alike.append(correlation(near, 1.0 / depth))
    return f"absolute relative error {np.mean(errors):.3f}, correlation {np.mean(alike):.3f}"


def correlation(a: Tensor, b: Tensor) -> float:
    """Of two maps."""
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


def safety(studio: Studio) -> str:
    """Scenes with and without the stand-in concept: found, and taken for it."""
    network = load_companion(open_safety(studio.file("safety_checkers", "purple.safetensors")), torch.float32,
                             torch.device("cpu"))  # fmt: skip
    scenes = [make_scene(index, "test") for index in range(10 * studio.count)]
    pictures = (torch.from_numpy(render(scene, SIDE).picture)[None] for scene in scenes)
    flagged = [check_pictures(network, picture)[0].flagged for picture in pictures]
    there = [any(solid.colour == UNSAFE for solid in scene.solids) for scene in scenes]
    found = [flag for flag, is_there in zip(flagged, there, strict=True) if is_there]
    alarms = [flag for flag, is_there in zip(flagged, there, strict=True) if not is_there]
    return f"{np.mean(found):.1%} of {len(found)} found, {np.mean(alarms):.1%} of {len(alarms)} false alarms"


def style(studio: Studio) -> str:
    """The mean saturation (largest less smallest of the three colours), with the LoRA at 1, 0 and without."""
    prompts = [prompt for _, prompt in held_out(studio.count)]
    results, drawn = [], {}
    for name, strength in (("style-1", 1.0), ("style-0", 0.0), ("style-none", None)):
        more: Graph = {}
        if strength is not None:
            more["lora"] = ("LoraLoaderModelOnly", {
                "model": ["base", 0], "lora_name": "grey.safetensors", "strength_model": strength,
            })  # fmt: skip
        model = ("lora", 0) if strength is not None else ("base", 0)
        drawn[name] = studio.draw(name, pictures_of(prompts, name, more=more, model=model))
        saturation = (drawn[name].amax(dim=-1) - drawn[name].amin(dim=-1)).mean()
        results.append(f"{name} {saturation:.3f}")
    same = torch.equal(drawn["style-0"], drawn["style-none"])
    return f"{', '.join(results)}; strength 0 is {'' if same else 'NOT '}the same as none"


def word(studio: Studio) -> str:
    """How far what is coloured in a picture is from the new colour (sRGB), for the word and for colours by name."""
    shapes, places = ("cube", "sphere", "cone", "cylinder"), ("on a white background", "on a grey background")
    results = []
    for name, said in (("teal", "embedding:teal"), ("cyan", "cyan"), ("green", "green"), ("blue", "blue")):
        prompts = [f"a large {said} {shapes[n % 4]} {places[n % 2]}" for n in range(studio.count)]
        drawn = studio.draw(f"word-{name}", pictures_of(prompts, f"word-{name}"))
        coloured = drawn[drawn.amax(dim=-1) - drawn.amin(dim=-1) > COLOURED]
        results.append(f"{said} {float((coloured.mean(dim=0) - torch.tensor(TEAL)).norm()):.3f}")
    return ", ".join(results)


def edges(studio: Studio) -> str:
    """The part of the given edges that the drawn picture meets within two pixels, with the ControlNet and without."""
    scenes, real = pictures_and_scenes(studio.count)
    prompts = [prompt_of(scene) for scene in scenes]
    hints = canny(real, LOW, HIGH)
    more: Graph = {"control": ("ControlNetLoader", {"control_net_name": "edges.safetensors"})}

    def steered(strength: float) -> Steer:
        def steer(graph: Graph, key: str, number: int, positive: list[Any], negative: list[Any]) -> Any:
            name = studio.give(f"edges{key}.png", hints[number].numpy())
            graph[f"load{key}"] = ("LoadImage", {"image": name})
            graph[f"apply{key}"] = ("ControlNetApplyAdvanced", {
                "positive": positive, "negative": negative, "control_net": ["control", 0], "image": [f"load{key}", 0],
                "strength": strength, "start_percent": 0.0, "end_percent": 1.0,
            })  # fmt: skip
            return [f"apply{key}", 0], [f"apply{key}", 1], ["empty", 0]

        return steer

    results = []
    for name, strength in (("edges-1", 1.0), ("edges-0", 0.0)):
        drawn = studio.draw(name, pictures_of(prompts, name, more=more, steer=steered(strength)))
        found = canny(drawn, LOW, HIGH).numpy() > 0
        met = [
            float((binary_dilation(each, iterations=2) & (hint.numpy() > 0)).sum() / max(1.0, float(hint.sum())))
            for each, hint in zip(found, hints, strict=True)
        ]
        results.append(f"{name} {np.mean(met):.1%}")
    return ", ".join(results)


def depth(studio: Studio) -> str:
    """The correlation of the given depth with the depth estimated of what was drawn."""
    scenes, _ = pictures_and_scenes(studio.count)
    network = load_companion(open_depth(studio.file("depth_models", "estimator.safetensors")), torch.float32,
                             torch.device("cpu"))  # fmt: skip
    near = [1.0 / torch.from_numpy(render(scene, SIDE).depth) for scene in scenes]
    near = [(each - each.min()) / (each.max() - each.min()) for each in near]
    more: Graph = {"model": ("UNETLoader", {"unet_name": "depth.safetensors", "weight_dtype": "default"})}

    def steer(graph: Graph, key: str, number: int, positive: list[Any], negative: list[Any]) -> Any:
        name = studio.give(f"depth{key}.png", near[number].numpy())
        graph[f"load{key}"] = ("LoadImage", {"image": name})
        graph[f"apply{key}"] = ("DepthConditioning", {
            "positive": positive, "negative": negative, "depth": [f"load{key}", 0],
        })  # fmt: skip
        return [f"apply{key}", 0], [f"apply{key}", 1], ["empty", 0]

    prompts = [prompt_of(scene) for scene in scenes]
    results = []
    for name, model, how in (("depth", "model", steer), ("depth-none", "base", None)):
        drawn = studio.draw(name, pictures_of(prompts, name, more=more, model=(model, 0), steer=how))
        seen = estimate_depth(network, drawn)
        results.append(f"{name} {np.mean([correlation(a, b) for a, b in zip(seen, near, strict=True)]):.3f}")
    return ", ".join(results)


def inpaint(studio: Studio) -> str:
    """Paint a solid of another colour where one was: the change outside, and how often the new colour is inside."""
    scenes = [make_scene(index, "test", objects=1) for index in range(studio.count)]
    seen = [render(scene, SIDE) for scene in scenes]
    colours = list(COLOURS)
    wanted = [colours[(colours.index(scene.solids[0].colour) + 5) % len(colours)] for scene in scenes]
    prompts = [
        prompt_of(replace(scene, solids=(replace(scene.solids[0], colour=colour),)))
        for scene, colour in zip(scenes, wanted, strict=True)
    ]
    holes = [binary_dilation(each.coverage[0] > 0, iterations=10) for each in seen]
    more: Graph = {"model": ("UNETLoader", {"unet_name": "inpaint.safetensors", "weight_dtype": "default"})}

    def steer(graph: Graph, key: str, number: int, positive: list[Any], negative: list[Any]) -> Any:
        picture = np.concatenate([seen[number].picture, 1.0 - holes[number][..., None]], axis=-1)
        graph[f"load{key}"] = ("LoadImage", {"image": studio.give(f"inpaint{key}.png", picture)})
        graph[f"apply{key}"] = ("InpaintModelConditioning", {
            "positive": positive, "negative": negative, "vae": ["base", 2], "pixels": [f"load{key}", 0],
            "mask": [f"load{key}", 1], "noise_mask": True,
        })  # fmt: skip
        return [f"apply{key}", 0], [f"apply{key}", 1], [f"apply{key}", 2]

    drawn = studio.draw("inpaint", pictures_of(prompts, "inpaint", more=more, model=("model", 0), steer=steer))
    graph: Graph = dict(MODEL)
    last: list[Any] = []
    for number in range(len(scenes)):
        studio.give(f"whole{number:03}.png", seen[number].picture)
        graph[f"load{number:03}"] = ("LoadImage", {"image": f"whole{number:03}.png"})
        here = [f"load{number:03}", 0]
        if last:
            graph[f"batch{number:03}"] = ("ImageBatch", {"image1": last, "image2": here})
        last = [f"batch{number:03}", 0] if last else here
    graph["encode"] = ("VAEEncode", {"pixels": last, "vae": ["base", 2]})
    graph["decode"] = ("VAEDecode", {"samples": ["encode", 0], "vae": ["base", 2]})
    graph["save"] = ("SaveImage", {"images": ["decode", 0], "filename_prefix": "through"})
    through = studio.draw("through", graph)
    outside = [torch.from_numpy(~binary_dilation(hole, iterations=16)) for hole in holes]  # two latent places off
    change = np.mean([
        float((a[o] - b[o]).abs().mean()) for a, b, o in zip(drawn, through, outside, strict=True) if o.any()
    ])  # fmt: skip
    hits = [
        float((share(each, COLOURS[colour]) & torch.from_numpy(hole)).sum()) > 0.25 * float(view.coverage[0].sum())
        for each, colour, hole, view in zip(drawn, wanted, holes, seen, strict=True)
    ]
    return f"outside changed by {255 * change:.2f} of 255 from the VAE's own; new colour inside {np.mean(hits):.1%}"


def x4(studio: Studio) -> str:
    """Small pictures drawn four times larger by the x4 upscaler, without guidance, against bicubic, in decibels."""
    scenes, whole = pictures_and_scenes(studio.count)
    small = (255 * F.avg_pool2d(whole.movedim(-1, 1), 4)).round() / 255
    more: Graph = {"x4": ("CheckpointLoaderSimple", {"ckpt_name": "x4.safetensors"})}

    def steer(graph: Graph, key: str, number: int, positive: list[Any], negative: list[Any]) -> Any:
        name = studio.give(f"x4{key}.png", small[number].movedim(0, -1).numpy())
        graph[f"load{key}"] = ("LoadImage", {"image": name})
        graph[f"apply{key}"] = ("SD_4XUpscale_Conditioning", {
            "images": [f"load{key}", 0], "positive": positive, "negative": negative, "scale_ratio": 4.0,
            "noise_augmentation": 0.0,
        })  # fmt: skip
        return [f"apply{key}", 0], [f"apply{key}", 1], [f"apply{key}", 2]

    prompts = [prompt_of(scene) for scene in scenes]
    drawn = studio.draw(
        "x4", pictures_of(prompts, "x4", more=more, model=("x4", 0), vae=("x4", 2), cfg=1.0, steer=steer)
    )
    bicubic = F.interpolate(small, scale_factor=4.0, mode="bicubic").clamp(0, 1).movedim(1, -1)
    return f"x4 {psnr(drawn, whole):.1f} dB, bicubic {psnr(bicubic, whole):.1f} dB"


PARTS: Mapping[str, Callable[[Studio], str]] = {
    "vae": vae, "enlarger": enlarger, "estimator": estimator, "safety": safety, "style": style, "word": word,
    "edges": edges, "depth": depth, "inpaint": inpaint, "x4": x4,
}  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Measure the parts that are asked for, a line each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starter", description="Measure the starter models.")
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--count", type=int, default=32, help="scenes of each part (safety: ten times as many)")
    parser.add_argument("--pictures", type=Path, help="keep the first eight of each part here")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as root:
        for part in options.parts:
            studio = Studio(options.models, Path(root) / part, options.count, options.pictures)
            sys.stdout.write(f"{part}: {PARTS[part](studio)}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
