"""What the model cards say of the families: licence, intended use, limits, training (models.md, 1.7 and 9).

Models of Easel's own starter family say in their files how they were made; their card is written from that.

Imports no torch: the server tells this of a file that no worker has opened. A fine-tune has the shapes of its base
model, so what is said is of the base; both licences travel with derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.diffusion.fingerprint import FINGERPRINTS, Shaped, fingerprint, other_family, other_kind

OPENRAIL_M = "CreativeML OpenRAIL-M"
OPENRAIL_PP = "CreativeML Open RAIL++-M"
UNKNOWN_LICENCE = "not known here: see where the file came from"
UNET = "model.diffusion_model."
STARTER = "easel-starter"
STARTER_COMMAND = "python -m engine.training family "
SHORT = 300  # letters of what a file says of itself
BASE = "A fine-tune looks like its base model: this is what is known of the base."

INTENDED = (
    "The cards state a research intent and list uses that are out of scope. The licence's use restrictions hold for "
    "derivatives too."
)
LIMITS = (
    "no perfect photorealism", "no legible text", "weak at composing several things", "faces may be wrong",
    "made for English prompts", "the autoencoder loses detail", "duplicates in the training data may be memorised",
    "the training data contains adult content", "biased towards white and western culture",
)  # fmt: skip
LIMITS2 = (*LIMITS, "the card asks for viewer discretion")
OPTIMISER = "AdamW, batch 2048, learning rate warmed up to 1e-4 over 10,000 steps"
V1 = (
    "1.1: 237,000 steps at 256 pixels on laion2B-en, then 194,000 at 512 on laion-high-resolution",
    "1.2: from 1.1, 515,000 at 512 on laion-improved-aesthetics",
    "1.3, 1.4 and 1.5: from 1.2, 195,000 steps on improved-aesthetics, and 225,000 and 595,000 on aesthetics v2 5+, "
    "10 % without text for guidance",
)  # fmt: skip
V2 = "2.0 base: 550,000 steps at 256 pixels and 850,000 at 512 (punsafe 0.1, aesthetic 4.5 or more)"


@dataclass(frozen=True)
class Card:
    """One family. size: pixels along a side that it was trained for, None where that is another question."""

    name: str
    licence: str
    size: int | None
    predicts: str
    training: tuple[str, ...]
    limits: tuple[str, ...] = LIMITS2
    intended_use: str = INTENDED
    remark: str = BASE


CARDS: Mapping[str, Card] = {
    "sd1": Card("Stable Diffusion 1.1 to 1.5", OPENRAIL_M, 512, "noise", (*V1, OPTIMISER), LIMITS),
    "sd1-inpaint": Card(
        "Stable Diffusion 1.5 inpainting", OPENRAIL_M, 512, "noise",
        ("440,000 steps of inpainting at 512 pixels after the regular training, with five more input channels that "
         "began at zero; synthetic masks, a quarter of which mask everything", OPTIMISER), LIMITS,
    ),
    "instruct-pix2pix": Card(
        "InstructPix2Pix", UNKNOWN_LICENCE, None, "noise",
        ("its card is not among those that Easel quotes; it is built on Stable Diffusion 1.x",), LIMITS,
        "Editing a picture by an instruction; its own card is not among those that Easel quotes.",
    ),
    "sd2-base": Card(
        "Stable Diffusion 2.0 and 2.1 base", OPENRAIL_PP, 512, "noise", (V2, OPTIMISER),
    ),
    "sd2-v": Card(
        "Stable Diffusion 2.0 and 2.1 at 768 pixels", OPENRAIL_PP, 768, "velocity",
        (V2, "2.0: 150,000 steps more with the velocity objective, then 140,000 at 768 pixels",
         "2.1: from 2.0, 55,000 steps more (punsafe 0.1), then 155,000 (punsafe 0.98)", OPTIMISER),
    ),
    "sd2-depth": Card(
        "Stable Diffusion 2.0 depth", OPENRAIL_PP, 512, "noise",
        (V2, "200,000 steps more with one input channel for depth (MiDaS dpt_hybrid), which began at zero", OPTIMISER),
    ),
    "sd2-inpaint": Card(
        "Stable Diffusion 2.0 inpainting", OPENRAIL_PP, 512, "noise",
        (V2, "200,000 steps more with LaMa's kind of masks and further input channels that began at zero", OPTIMISER),
    ),
    "sd2-x4": Card(
        "Stable Diffusion x4 upscaler", OPENRAIL_PP, None, "velocity",
        ("1.25 million steps on 10 million pictures larger than 2048 pixels, in crops of 512",),
    ),
    "sd2-unclip-l": Card(
        "Stable Diffusion 2.1 unCLIP (ViT-L)", OPENRAIL_PP, 768, "velocity",
        ("its card is not among those that Easel quotes; it is a variant of 2.1",),
    ),
    "sd2-unclip-h": Card(
        "Stable Diffusion 2.1 unCLIP (ViT-H)", OPENRAIL_PP, 768, "velocity",
        ("its card is not among those that Easel quotes; it is a variant of 2.1",),
    ),
}  # fmt: skip


def families_of(entries: Mapping[str, Shaped]) -> tuple[str, ...]:
    """The families that a file's tensors may belong to, by their names and shapes; none for other files.

    Two where only the prediction tells them apart: no shape says what a network predicts.
    """
    inner = {name.removeprefix(UNET): entry for name, entry in entries.items() if name.startswith(UNET)} or entries
    mark = fingerprint(inner)
    return FINGERPRINTS.get(mark, ()) if mark is not None else ()


def kind_of(entries: Mapping[str, Shaped]) -> str:
    """What a file is, in words."""
    if families_of(entries) or any(name.startswith(UNET) for name in entries):
        return "a checkpoint" if any(name.startswith(UNET) for name in entries) else "a UNet alone"
    if family := other_family(entries):
        return family
    found = other_kind(entries)
    return found[0] if found else "unknown"


def starter_card(metadata: Mapping[str, str]) -> Card | None:
    """The card of a file that the training of the starter family wrote, by what it says of itself; None for others."""
    command = metadata.get("easel.command", "")[:SHORT]
    if not command.startswith(STARTER_COMMAND):
        return None
    said = {name: metadata.get(f"easel.{name}", "unknown")[:SHORT] for name in ("steps", "data", "seed", "loss")}
    return Card(
        "A model of Easel's starter family", "Apache-2.0, where it is the file that comes with Easel", 128,
        "velocity" if '"prediction":"v"' in metadata.get("easel.config", "") else "noise",
        (
            f"{said['steps']} steps on rendered scenes ({said['data']}), seed {said['seed']}, last loss {said['loss']}",
            f"made by: {command}", "no photograph, no text and no picture of anybody else was used",
        ),
        (
            "it knows five solids in ten colours on seven backgrounds, and nothing else", "128 pixels, little detail",
            "colours are mostly right, shapes and places often wrong: models/starter/README.md has the figures",
        ),
        "Trying Easel out, learning how its nodes work, and tests. Not for pictures that anybody needs.",
        "What is said here was read from the file.",
    )  # fmt: skip


def card_data(family: str, card: Card) -> dict[str, Any]:
    """A family's card as plain data."""
    return {"family": family, **asdict(card)}


def card_text(card: Card) -> str:
    """A card to read.

    >>> card_text(CARDS["sd2-x4"]).splitlines()[:2]
    ['Stable Diffusion x4 upscaler', 'Licence: CreativeML Open RAIL++-M']
    """
    size = f"; made for {card.size}×{card.size} pixels" if card.size else ""
    return "\n".join((
        card.name, f"Licence: {card.licence}", f"Predicts {card.predicts}{size}.", f"Intended use: {card.intended_use}",
        "Limits: " + "; ".join(card.limits) + ".", "Training:", *(f"- {line}" for line in card.training),
        card.remark,
    ))  # fmt: skip
