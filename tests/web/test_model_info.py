"""What the server tells of a model file: by its tensors' shapes alone, without torch and without a worker."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from engine.diffusion.cards import CARDS, card_text
from engine.diffusion.config import PRESETS
from tests.web.support import Running


def write_header(path: Path, shapes: dict[str, list[int]], metadata: dict[str, str] | None = None) -> None:
    """A safetensors file's header; the tensors themselves are not asked for."""
    header: dict[str, Any] = {"__metadata__": metadata or {}}
    header |= {name: {"dtype": "F16", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def checkpoint(context: int, width: int, channels: int, linear: bool, label: list[int] | None = None) -> Any:
    """The shapes that tell a family (models.md, 2.5)."""
    block = "input_blocks.1.1."
    shapes = {
        "input_blocks.0.0.weight": [width, channels, 3, 3],
        f"{block}transformer_blocks.0.attn2.to_k.weight": [width, context],
        f"{block}proj_in.weight": [width, width] if linear else [width, width, 1, 1],
    }
    if label:
        shapes["label_emb.weight" if len(label) == 1 else "label_emb.0.0.weight"] = (
            [1000, 1024] if len(label) == 1 else label
        )
    return {f"model.diffusion_model.{name}": shape for name, shape in shapes.items()}


FAMILIES = {
    "sd1": checkpoint(768, 320, 4, False), "sd1-inpaint": checkpoint(768, 320, 9, False),
    "instruct-pix2pix": checkpoint(768, 320, 8, False), "sd2-depth": checkpoint(1024, 320, 5, True),
    "sd2-inpaint": checkpoint(1024, 320, 9, True), "sd2-x4": checkpoint(1024, 256, 7, True, [1000]),
    "sd2-unclip-l": checkpoint(1024, 320, 4, True, [1280, 1536]),
    "sd2-unclip-h": checkpoint(1024, 320, 4, True, [1280, 2048]),
}  # fmt: skip


def models(site: Running, folder: str = "checkpoints") -> Path:
    return site.folders.models[folder][0]


@pytest.mark.parametrize("family", list(FAMILIES))
async def test_a_checkpoint_is_known_by_its_shapes_and_told_of(site: Running, family: str) -> None:
    write_header(models(site) / "sub" / "model.safetensors", FAMILIES[family])
    status, told = await site.get("/api/models/checkpoints/sub/model.safetensors/info")
    assert status == 200
    assert (told["kind"], told["families"]) == ("a checkpoint", [family])
    (card,) = told["cards"]
    assert card["licence"] == CARDS[family].licence
    assert card["intended_use"] and card["limits"] and card["training"]
    assert told["tensors"] == len(FAMILIES[family]) and told["parameters"] > 0


async def test_what_no_shape_tells_is_left_open(site: Running) -> None:
    """Whether an SD 2.x model predicts noise or velocity is in no shape (models.md, 2.6)."""
    write_header(models(site) / "two.safetensors", checkpoint(1024, 320, 4, True))
    _, told = await site.get("/api/models/checkpoints/two.safetensors/info")
    assert told["families"] == ["sd2-base", "sd2-v"]
    assert [card["predicts"] for card in told["cards"]] == ["noise", "velocity"]


async def test_nothing_is_invented_of_other_files(site: Running) -> None:
    write_header(models(site) / "tiny.safetensors", checkpoint(64, 16, 4, False), {"easel.note": "a stand-in"})
    _, told = await site.get("/api/models/checkpoints/tiny.safetensors/info")
    assert (told["kind"], told["families"], told["cards"]) == ("a checkpoint", [], [])
    assert told["note"] == "a stand-in"
    write_header(models(site, "loras") / "l.safetensors", {"lora_unet_a.lora_down.weight": [4, 320]})
    _, told = await site.get("/api/models/loras/l.safetensors/info")
    assert (told["kind"], told["cards"]) == ("a LoRA", [])
    (models(site) / "old.ckpt").write_bytes(b"PK\x03\x04")
    _, told = await site.get("/api/models/checkpoints/old.ckpt/info")
    assert told["kind"].startswith("not told") and told["bytes"] == 4


async def test_a_starter_model_tells_of_itself(site: Running) -> None:
    made = {
        "easel.command": "python -m engine.training family --stage unet --steps 7500", "easel.steps": "7500",
        "easel.data": "scenes-1", "easel.seed": "0", "easel.loss": "0.02", "easel.config": '{"prediction":"v"}',
    }
    write_header(models(site) / "starter.safetensors", checkpoint(64, 16, 4, False), made)
    _, told = await site.get("/api/models/checkpoints/starter.safetensors/info")
    (card,) = told["cards"]
    assert (card["family"], card["predicts"]) == ("easel-starter", "velocity")
    assert card["licence"].startswith("Apache-2.0")
    assert "7500 steps on rendered scenes (scenes-1)" in card["training"][0]
    assert card["limits"] and card["intended_use"]
    made["easel.command"] = "python -m engine.training lora --model mine.safetensors"  # whose that is nobody knows here
    write_header(models(site) / "mine.safetensors", checkpoint(64, 16, 4, False), made)
    _, told = await site.get("/api/models/checkpoints/mine.safetensors/info")
    assert told["cards"] == []


async def test_cve_2026_111985_hostile_headers_are_refused_or_bounded(site: Running) -> None:
    path = models(site) / "bad.safetensors"
    for content in (b"", b"12345678", struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 4) + b"nope",
                    struct.pack("<Q", 17) + b'{"a":{"shape":1}}'):  # fmt: skip
        path.write_bytes(content)
        status, answer = await site.get("/api/models/checkpoints/bad.safetensors/info")
        assert (status, answer["error"]["type"]) == (422, "unreadable"), content
    write_header(path, {"a": [2**62, 2**62], "b": [-5]})
    status, told = await site.get("/api/models/checkpoints/bad.safetensors/info")
    assert status == 200 and told["parameters"] == 2**63 - 1


@pytest.mark.parametrize("name", [
    "checkpoints/missing.safetensors", "checkpoints/%2e%2e/%2e%2e/etc/passwd", "nothing/a.safetensors",
    "checkpoints/..%5c..%5cx.safetensors",
])
async def test_what_is_not_there_is_not_found(site: Running, name: str) -> None:
    status, answer = await site.get(f"/api/models/{name}/info")
    assert (status, answer["error"]["type"]) == (404, "not_found")


def test_every_published_family_has_a_card_and_the_licence_of_its_line() -> None:
    """models.md, 1.7: SD 1.x OpenRAIL-M, SD 2.x Open RAIL++-M; InstructPix2Pix's is not in our references."""
    assert set(CARDS) == set(PRESETS)
    for family, card in CARDS.items():
        expected = {"sd1": "CreativeML OpenRAIL-M", "sd2": "CreativeML Open RAIL++-M"}.get(family.split("-")[0])
        assert card.licence == (expected or "not known here: see where the file came from"), family
        assert card.licence in card_text(card)
        predicts = {"noise": "eps", "velocity": "v"}[card.predicts]
        assert PRESETS[family].schedule.prediction == predicts
