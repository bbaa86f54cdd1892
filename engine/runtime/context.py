"""What a running node sees of the engine: progress, files, networks, sampling, saving."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.diffusion import split
from engine.diffusion.adapters.load import unused_of_hooks
from engine.diffusion.checkpoint import Checkpoint, Component, Weights, open_checkpoint
from engine.diffusion.config import ModelConfig
from engine.diffusion.embedding import find_embedding, read_embedding
from engine.diffusion.guidance import Condition, Network
from engine.diffusion.per_image import asked_for, sample_each
from engine.diffusion.preview import latent_to_rgb
from engine.diffusion.process import Process
from engine.diffusion.prompt import EmbeddingLookup
from engine.diffusion.remarks import remarks
from engine.diffusion.sampling import Progress, Sampled, Sampling, process_of, sample, unet_network
from engine.diffusion.strips import decode_in_strips, encode_in_strips
from engine.diffusion.tensorfile import read_ahead
from engine.diffusion.text import TextEncoder, prepare_tokenizer
from engine.diffusion.tiling import decode_tiled, encode_tiled
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae as Autoencoder
from engine.diffusion.vae import crop_to_encode, decode, encode
from engine.files.artefacts import Artefacts, png_bytes, recipe_texts
from engine.files.folders import Folders
from engine.graph.graph import GraphNode
from engine.graph.node import Ui
from engine.graph.types import Clip, Model, Vae
from engine.messages.events import NodeMessage, NodeProgress, NodeText, Preview
from engine.runtime.batcher import Batcher
from engine.runtime.device.budget import OVERLAPS, Plan, Tile
from engine.runtime.device.planner import plan_unet, plan_vae, text_need, unet_need, vae_need, watched
from engine.runtime.device.relief import Relief, guarded
from engine.runtime.device.residency import Residency
from engine.runtime.inspector import OFF, Inspector
from engine.runtime.tasks import Job, Sink

PREVIEW_EVERY = 0.1  # seconds: more pictures than this nobody can look at
PREVIEW_SIZE = 512


@dataclass
class Studio:
    """What all nodes of a worker share.

    vae_residency: where autoencoders live, if not with the rest. batch_limit: the most pictures that go through the
    denoising network at once. preview_size: the longest side of previews, in pixels. inspector: sees every picture that
    is to be saved. per_image_seeds: each picture of a batch is sampled by itself, with a seed of its own. batcher:
    shares the denoising network between jobs that run at once. guests: where else networks may run. plan: what every
    run works by, whatever fits; for comparing. free: lets go of all that is idle, and gives the bytes.
    """

    folders: Folders
    residency: Residency
    vae_residency: Residency | None = None
    batch_limit: int | None = None
    preview_size: int = PREVIEW_SIZE
    inspector: Inspector = OFF
    per_image_seeds: bool = False
    batcher: Batcher | None = None
    guests: Iterable[Residency] = ()
    plan: Plan | None = None
    free: Callable[[], int] = lambda: 0
    checkpoints: dict[tuple[Any, ...], Checkpoint] = field(default_factory=dict)

    @property
    def for_autoencoders(self) -> Residency:
        """Where autoencoders live."""
        return self.residency if self.vae_residency is None else self.vae_residency  # an empty one is false

    def context(self, node: GraphNode, display: str, job: Job, tell: Sink) -> NodeContext:
        """The context of one node of one job."""
        return NodeContext(self, node, display, job, tell)


class NodeContext:
    """The ``Context`` of one running node: see ``engine.graph.node``."""

    def __init__(self, studio: Studio, node: GraphNode, display: str, job: Job, tell: Sink) -> None:
        self._studio = studio
        self._node = node
        self._display = display
        self._job = job
        self._tell = tell
        self._last_preview = 0.0
        self.relief = Relief(studio.free)
        self._said: dict[str, Any] = {}

    @property
    def record(self) -> Mapping[str, Any]:
        """How the node used memory, for the job's record: its plan, and what was done where memory ran out."""
        return {**self._said, **({"relief": list(self.relief.done)} if self.relief.done else {})}

    def close(self) -> None:
        """The node is done: what it had in memory may go."""
        for residency in (self._studio.residency, self._studio.vae_residency):
            if residency is not None:
                residency.release(self)

    def progress(self, value: float, total: float, preview: Callable[[], bytes] | None = None) -> None:
        """Report progress; raises Cancelled if the job was cancelled."""
        self._job.cancel.check()
        self._tell(NodeProgress(self._node.id, self._display, value, total))
        now = time.monotonic()
        if preview is not None and self._job.previews != "none" and now - self._last_preview >= PREVIEW_EVERY:
            self._last_preview = now
            self._tell(Preview(self._node.id, self._display, preview()))

    def check(self) -> None:
        """Raise Cancelled if the job was cancelled."""
        self._job.cancel.check()

    def send(self, event: str, data: Any) -> None:
        """Pass a pack's own message on to the client."""
        self._tell(NodeMessage(self._node.id, self._display, event, data))

    def send_images(self, images: Any) -> None:
        """Send pictures to the client as PNG, none left out, with progress. Values are made bytes as files' are.

        They leave the worker here as files do in ``save_files``: checked and treated by the safety policy.
        """
        pixels = (images * 255.0).clamp(0, 255).to(torch.uint8).numpy()
        for number, each in enumerate(pixels):
            self.progress(number, len(pixels))
            content, verdict = self._studio.inspector.release(png_bytes(each, {}, 4))
            self._tell(Preview(self._node.id, self._display, content, kept=True))
            if verdict is not None and verdict.flagged:
                self.warn(f"picture {number + 1} is flagged by the safety checker")
        self.progress(len(pixels), len(pixels))

    def warn(self, message: str) -> None:
        """Say something to the user that is no error."""
        self._tell(NodeText(self._node.id, self._display, message))

    def file(self, folder: str, name: str) -> Path:
        """The file that a ``Files`` input names."""
        path = self._studio.folders.find(folder, name)
        if path is None:
            raise FileNotFoundError(f"there is no file {name!r} in the folder {folder}; was it removed or renamed?")
        return path

    def save_images(
        self, images: Any, *, prefix: str, kind: str, prompt: Mapping[str, Any] | None,
        extra: Mapping[str, Any] | None, compress_level: int,
    ) -> Ui:
        """Write pictures as PNG with their recipe. Values are clipped and truncated to bytes, as in ComfyUI."""
        pixels = (images * 255.0).clamp(0, 255).to(torch.uint8).numpy()
        texts = recipe_texts(prompt, extra)
        contents = [png_bytes(each, texts, compress_level) for each in pixels]
        return self.save_files(
            contents, prefix=prefix, extension=".png", kind=kind, shown="images", size=pixels.shape[1:3]
        )

    def save_files(
        self, contents: Sequence[bytes | Callable[[Path], None]], *, prefix: str, extension: str, kind: str, shown: str,
        size: tuple[int, int] = (0, 0),
    ) -> Ui:
        """Write files, numbered on from what there is. ``size`` is what %height% and %width% stand for.

        This is how pictures leave a worker: under a safety policy each is checked, and treated, before it is written.
        """
        released = [
            self._studio.inspector.release(each) if isinstance(each, bytes) else (each, None)
            for each in contents  # what writes itself is a model: without a verdict it is not served
        ]
        artefacts = Artefacts(Path(self._job.journal) if self._job.journal else None)
        folder = self._studio.folders.files_kind(kind)
        assert folder is not None, kind
        folder.mkdir(parents=True, exist_ok=True)
        saved = artefacts.save(
            folder, kind, prefix, extension, [content for content, _ in released], width=size[1], height=size[0]
        )
        entries = [
            {**each.entry, **({"flagged": verdict.flagged} if verdict else {})}
            for each, (_, verdict) in zip(saved, released, strict=True)
        ]
        return Ui({shown: entries}, files=tuple(each.path for each in saved))

    def open_checkpoint(self, folder: str, name: str) -> tuple[Model, Clip | None, Vae | None]:
        """Describe the models in a checkpoint; weights are read when they are first needed."""
        path = self.file(folder, name)
        checkpoint = open_checkpoint(path)
        read_ahead(path)  # its weights will be wanted soon
        if checkpoint.text is not None:
            prepare_tokenizer()
        for remark in remarks(name, checkpoint):
            self.warn(remark)
        config = checkpoint.config
        return (
            Model(checkpoint.unet, config),
            Clip(checkpoint.text, config) if checkpoint.text else None,
            Vae(checkpoint.vae, config) if checkpoint.vae else None,
        )

    def sample(self, model: Model, sampling: Sampling) -> Sampled:
        """Run a sampler, reporting each step with a preview.

        Raises CheckpointError for a hook's adapter that has nothing for this model.
        """
        hooks = [hook for condition in _conditions(sampling) for hook in condition.hooks]
        for unused in unused_of_hooks(hooks, model.weights):
            self.warn(unused)
        alone = (self._studio.per_image_seeds or asked_for(model.patches)) and sampling.latent.ndim == 4
        residency = self._studio.residency
        dtype = residency.dtype("unet", model.patches)
        rows, tokens = _rows(sampling, 1 if alone else len(sampling.latent))
        height, width = sampling.latent.shape[-2:]
        need = unet_need(residency, model.weights, dtype, height, width, tokens, rows)
        relief = self.relief
        relief.rows = rows
        if relief.plan is None or not relief.done:
            relief.plan = self._studio.plan or plan_unet(residency, model.weights, model.patches, need, rows)

        def have(put: tuple[Any, ...]) -> UNet:
            assert relief.plan is not None
            unet = residency.have(
                model.weights, (*model.patches, *put), user=self, need=need(min(relief.plan.rows or rows, rows)),
                placement=relief.plan.placement,
            )
            assert isinstance(unet, UNet)
            self._say(relief.plan, residency, need(min(relief.plan.rows or rows, rows)), model.weights, model.patches)
            return unet

        def make() -> Network:
            assert relief.plan is not None
            limits = [each for each in (self._studio.batch_limit, relief.plan.rows) if each is not None]
            return unet_network(
                have(()), process_of(sampling), dtype, residency.device, limit=min(limits, default=None), variant=have
            )

        sampling = replace(sampling, patches=model.patches, networks=self._lend)
        network = guarded(make, relief, lambda: residency.release(self))
        pool = None
        if (wanted := split.asked_for(model.patches)) is not None:
            guests = [self._network(model, process_of(sampling), guest) for guest in self._studio.guests]
            pool = ThreadPoolExecutor(max(1, len(guests)), thread_name_prefix="guest")
            network = split.split_network([network, *guests], pool, exact=wanted.exact)
        if self._studio.batcher is not None:  # equal keys: these networks and their patches are the same

            @cache
            def fits(rows: int) -> bool:
                return plan_unet(residency, model.weights, model.patches, need, rows) == Plan()

            lone = alone or relief.plan != Plan()  # where there is little room nothing is merged
            key = object() if lone else (model.weights, model.patches, sampling.process, self._studio.batch_limit)
            network = self._studio.batcher.share(network, key, lambda: self._job.cancel.cancelled, fits)

        def run(sampling: Sampling, number: int = 0, count: int = 1) -> Sampled:
            def on_step(progress: Progress) -> None:
                step = number * progress.steps + progress.step
                self.progress(step, count * progress.steps, lambda: latent_preview(
                    progress.denoised, model.config, self._studio.preview_size
                ))

            self._job.cancel.check()
            return sample(sampling, network, on_step=on_step, device=residency.device)

        def note(nbytes: int) -> None:
            if relief.plan is not None and relief.plan.rows in (None, rows):
                residency.costs.measured(
                    "unet", model.weights.config, dtype, rows, height, width, tokens, nbytes=nbytes
                )

        have(())
        with watched(residency, note) if residency.costs.passes else nullcontext(), pool or nullcontext():
            return sample_each(sampling, run) if alone else run(sampling)

    def _lend(self, weights: Weights, patches: tuple[Any, ...]) -> nn.Module:
        """A further network of a run."""
        return self._studio.residency.have(weights, patches, user=self)

    def _say(
        self, plan: Plan, residency: Residency, need: int, weights: Weights, patches: tuple[Any, ...] = ()
    ) -> None:
        """Note what the node works by, for the job's record."""
        words = plan.words()
        if words["weights"] == "resident" and residency.is_streamed(weights, patches):
            words["weights"] = "streamed"  # another network of this node needs the room
        self._said = {"plan": words, "need": need, "budget": residency.budget}

    def _network(self, model: Model, process: Process, residency: Residency) -> Network:
        """A model's network on the device of a residency."""

        def variant(put: tuple[Any, ...]) -> UNet:
            patched = residency.have(model.weights, (*model.patches, *put))
            assert isinstance(patched, UNet)
            return patched

        return unet_network(
            variant(()), process, residency.dtype("unet", model.patches), residency.device,
            limit=self._studio.batch_limit, variant=variant,
        )

    def storage(self, component: Component) -> torch.dtype:
        """The type that the weights of a component are kept in."""
        return self._studio.residency.storage(component)

    def text_encoder(self, clip: Clip) -> TextEncoder:
        """The text encoder, in memory."""
        residency = self._studio.residency
        plan = self.relief.plan or self._studio.plan or Plan()
        need = text_need(clip.weights, residency.dtype("text", clip.patches))
        encoder = residency.have(clip.weights, clip.patches, user=self, need=need, placement=plan.placement)
        assert isinstance(encoder, TextEncoder)
        self._say(Plan(placement=plan.placement), residency, need, clip.weights, clip.patches)
        return encoder

    def embeddings(self, clip: Clip) -> EmbeddingLookup:
        """Find what ``embedding:name`` means, in the embeddings folders and below."""
        folders = self._studio.folders

        def look_up(name: str) -> torch.Tensor | None:
            found = find_embedding(name, folders.list("embeddings"))
            path = folders.find("embeddings", found) if found else None
            if path is None:
                if name.strip(",") != name:
                    return None  # asked again without the commas
                self.warn(f"no embedding is called {name!r}; it is left out of the prompt")
                return None
            rows = read_embedding(path, clip.config.text)
            if rows.shape[-1] != clip.config.text.width:
                self.warn(
                    f"the embedding {name!r} is {rows.shape[-1]} wide and was made for another model; this one's text "
                    f"encoder is {clip.config.text.width} wide, so it is left out of the prompt"
                )
            return rows

        return look_up

    def autoencoder(self, vae: Vae) -> Autoencoder:
        """The autoencoder, in memory."""
        plan = self.relief.plan or self._studio.plan or Plan()
        return self._have_autoencoder(vae, 0, plan)

    def _have_autoencoder(self, vae: Vae, need: int, plan: Plan) -> Autoencoder:
        residency = self._studio.for_autoencoders
        autoencoder = residency.have(vae.weights, user=self, need=need, placement=plan.placement)
        assert isinstance(autoencoder, Autoencoder)
        self._say(plan, residency, need, vae.weights)
        return autoencoder

    def decode(self, vae: Vae, latent: torch.Tensor) -> torch.Tensor:
        """A latent (batch, z, h, w) as pictures (batch, f·h, f·w, 3) in 0..1; in tiles if nothing else fits."""
        f = vae.config.vae.downscale
        pixels = 4 * 3 * math.prod((*latent.shape[-2:], f, f, 2 * len(latent)))
        network, plan = self._planned(vae, latent.shape[-2], latent.shape[-1], pixels, encoding=False)
        if plan.tile is None:
            return decode(network, latent)
        if plan.tile == "strips":
            return decode_in_strips(network, latent, self.progress)
        return decode_tiled(network, latent, tile=plan.tile, overlap=OVERLAPS[plan.tile], on_tile=self.progress)

    def encode(self, vae: Vae, pixels: torch.Tensor) -> torch.Tensor:
        """Pictures (batch, h, w, 3) in 0..1 as a latent (batch, z, h/f, w/f); in tiles if nothing else fits."""
        f = vae.config.vae.downscale
        kept = 2 * pixels[..., :1].numel() * vae.config.vae.embed_dim // f**2 * 4
        network, plan = self._planned(vae, pixels.shape[1], pixels.shape[2], kept, encoding=True)
        if plan.tile is None:
            return encode(network, pixels)
        if plan.tile == "strips":
            return encode_in_strips(network, pixels, self.progress)
        cropped = crop_to_encode(network, pixels)
        return encode_tiled(
            network, cropped, tile=plan.tile * f, overlap=OVERLAPS[plan.tile] * f, on_tile=self.progress
        )

    def _planned(self, vae: Vae, height: int, width: int, kept: int, *, encoding: bool) -> tuple[Autoencoder, Plan]:
        """The autoencoder for a picture or latent of this size, and how to use it."""
        residency = self._studio.for_autoencoders
        dtype = residency.dtype("vae")
        relief = self.relief
        relief.autoencoder = True

        def need(tile: Tile | None) -> int:
            return vae_need(residency, vae.weights, dtype, height, width, encoding=encoding, tile=tile)

        if relief.plan is None or not relief.done:
            relief.plan = self._studio.plan or plan_vae(residency, vae.weights, need, kept)
        return self._have_autoencoder(vae, need(relief.plan.tile) + kept, relief.plan), relief.plan

    def companion(self, weights: Weights) -> nn.Module:
        """A network beside the model, in memory."""
        return self._studio.residency.have(weights, user=self)


def finish(context: Any) -> Mapping[str, Any]:
    """A node is done with its context: what it had in memory may go. Gives how it used memory."""
    if not isinstance(context, NodeContext):
        return {}
    context.close()
    return context.record


def _rows(sampling: Sampling, batch: int) -> tuple[int, int]:
    """How many rows a run would have go through the network at once, and the length of its longest text."""
    texts = _conditions(sampling)
    return batch * max(1, len(texts)), max((text.states.shape[1] for text in texts), default=77)


def _conditions(sampling: Sampling) -> list[Condition]:
    """All that guides a run."""
    lists = (
        sampling.guiding.conditions() if sampling.guiding is not None
        else {"positive": sampling.positive, "negative": sampling.negative}
    )
    return [condition for conditions in lists.values() for condition in conditions]


def latent_preview(denoised: torch.Tensor, config: ModelConfig, longest: int = PREVIEW_SIZE) -> bytes:
    """A JPEG of the first latent of a batch, its longest side at most ``longest``."""
    from PIL import Image

    pixels: np.ndarray[Any, Any] = latent_to_rgb(denoised[:1])[0]
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest, longest))
    scale = max(1, min(8, longest // max(picture.size)))
    if scale > 1:
        picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.BILINEAR)
    buffer = BytesIO()
    picture.save(buffer, format="JPEG", quality=85)
    return buffer.getvalue()
