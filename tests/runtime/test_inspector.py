"""Every picture that leaves a worker passes the inspector; what it lets out is treated and has a verdict on disk."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pictures
from safetensors.torch import save_file

from engine.diffusion.tensorfile import CheckpointError
from engine.files.artefacts import png_bytes
from engine.files.verdicts import Verdict, Verdicts
from engine.graph.types import Image
from engine.messages.events import NodeText, Preview
from engine.runtime.inspector import Inspector
from nodes.image import preview_image, save_image, send_image
from nodes.latent import Latent, save_latent
from tests.nodes.studio import Desk
from tests.presets import write_bright_checker

torch.set_num_threads(1)
SIDE = 56
BRIGHT, DARK = np.full((SIDE, SIDE, 3), 230, np.uint8), np.full((SIDE, SIDE, 3), 20, np.uint8)


@pytest.fixture
def checker(tmp_path: Path) -> Path:
    return write_bright_checker(tmp_path / "checker" / "model.safetensors")


def inspector(policy: str, checker: Path) -> Inspector:
    return Inspector(policy, checker, Verdicts(checker.parent / "safety.db"))


def pixels_of(content: bytes) -> np.ndarray:
    return np.asarray(Pictures.open(io.BytesIO(content)).convert("RGB"), dtype=np.float32)


def png(pixels: np.ndarray) -> bytes:
    return png_bytes(pixels, {"prompt": '{"1": {}}'}, 1)


def test_a_picture_that_is_not_flagged_leaves_as_it_is(checker: Path) -> None:
    for policy in ("label", "blur", "block"):
        content, verdict = inspector(policy, checker).release(png(DARK))
        assert content == png(DARK)
        assert verdict == Verdict(False, policy)
        assert Verdicts(checker.parent / "safety.db").find(content) == verdict


@pytest.mark.parametrize("policy", ["label", "blur", "block"])
def test_a_flagged_picture_is_treated_and_keeps_its_recipe(policy: str, checker: Path) -> None:
    noisy = np.clip(BRIGHT.astype(np.int16) + np.indices((SIDE, SIDE)).sum(0)[..., None] % 2 * 20, 0, 255)
    content, verdict = inspector(policy, checker).release(png(noisy.astype(np.uint8)))
    assert verdict == Verdict(True, policy)
    assert Verdicts(checker.parent / "safety.db").find(content) == verdict
    assert Pictures.open(io.BytesIO(content)).info["prompt"] == '{"1": {}}'
    made = pixels_of(content)
    assert made.shape == (SIDE, SIDE, 3)
    match policy:
        case "label":
            assert content == png(noisy.astype(np.uint8))
        case "blur":
            assert np.abs(made - 240).max() < 2  # the pattern is gone, its mean is left
        case "block":
            assert not made.any()


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "PNG", "JPEG"])
def test_every_frame_of_every_format_is_checked(kind: str, checker: Path) -> None:
    frames = [Pictures.fromarray(each) for each in (DARK, BRIGHT)]
    buffer = io.BytesIO()
    if kind == "JPEG":
        frames[1].save(buffer, kind)
    else:
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=100)
    content, verdict = inspector("block", checker).release(buffer.getvalue())
    assert verdict == Verdict(True, "block")
    with Pictures.open(io.BytesIO(content)) as made:
        assert made.format == kind
        for number in range(getattr(made, "n_frames", 1)):
            made.seek(number)
            assert not np.asarray(made.convert("RGB")).any()


def test_a_picture_hidden_in_the_transparency_is_found_and_goes(checker: Path) -> None:
    """Dark colours, and the bright picture, with a corner left out, as the alpha channel."""
    alpha = np.full((SIDE, SIDE, 1), 255, np.uint8)
    alpha[:1, :1] = 0
    content, verdict = inspector("blur", checker).release(png(np.concatenate([DARK, alpha], axis=-1)))
    assert verdict == Verdict(True, "blur")
    assert Pictures.open(io.BytesIO(content)).mode == "RGB"


def test_what_is_no_picture_leaves_without_a_verdict(checker: Path) -> None:
    """So the server does not serve it."""
    assert inspector("block", checker).release(b"a latent") == (b"a latent", None)
    assert Verdicts(checker.parent / "safety.db").find(b"a latent") is None


def test_without_a_checker_nothing_leaves(tmp_path: Path) -> None:
    broken = tmp_path / "checker.safetensors"
    save_file({"a": torch.zeros(1)}, broken)
    with pytest.raises(CheckpointError, match="no safety checker"):
        inspector("label", broken).release(png(DARK))
    with pytest.raises(ValueError, match="needs a checker's file"):
        Inspector("blur")


@pytest.mark.parametrize("policy", ["label", "blur", "block"])
def test_a_picture_that_is_sent_to_the_client_is_checked_as_a_file_is(
    policy: str, checker: Path, tmp_path: Path
) -> None:
    desk = Desk(tmp_path / "desk")
    desk.studio.inspector = inspector(policy, checker)
    send_image(desk.context, images=Image(torch.from_numpy(np.stack([DARK, BRIGHT])).float() / 255))
    sent = [desk.studio.inspector.event(event) for event in desk.events if isinstance(event, Preview)]
    dark, bright = (pixels_of(event.image) for event in sent)
    assert np.abs(dark - DARK).max() <= 1  # values are truncated to bytes
    assert (bright.max() == 0) == (policy == "block")
    found = Verdicts(checker.parent / "safety.db")
    assert [found.find(event.image) for event in sent] == [Verdict(False, policy), Verdict(True, policy)]
    assert desk.warnings == ["picture 2 is flagged by the safety checker"]


def test_previews_are_blurred_or_left_out(checker: Path) -> None:
    buffer = io.BytesIO()
    stripes = np.indices((64, 64))[1][..., None].repeat(3, -1) % 2 * 255
    Pictures.fromarray(stripes.astype(np.uint8)).save(buffer, "JPEG")
    event = Preview("5", "5", buffer.getvalue())
    assert Inspector().event(event) is event
    assert inspector("block", checker).event(event) is None
    assert pixels_of(event.image).std() > 100
    for policy in ("label", "blur"):
        blurred = inspector(policy, checker).event(event)
        assert pixels_of(blurred.image).std() < 5
    text = NodeText("5", "5", "hello")
    assert inspector("block", checker).event(text) is text


def test_every_node_that_saves_goes_through_the_inspector(tmp_path: Path, checker: Path) -> None:
    """The context offers no other way to write a file."""
    desk = Desk(tmp_path)
    desk.studio.inspector = inspector("block", checker)
    both = Image(torch.from_numpy(np.stack([BRIGHT, DARK])).float() / 255)
    for node, prefix in ((save_image, {"filename_prefix": "a"}), (preview_image, {})):
        ui = node(desk.context, images=both, prompt=None, extra_pnginfo=None, **prefix)
        assert [entry["flagged"] for entry in ui.values["images"]] == [True, False]
        assert not pixels_of(ui.files[0].read_bytes()).any()
        assert pixels_of(ui.files[1].read_bytes()).mean() == 20
        for path in ui.files:
            assert Verdicts(checker.parent / "safety.db").find(path.read_bytes()) is not None
    saved = save_latent(desk.context, samples=Latent(torch.zeros(1, 4, 8, 8)), prompt=None, extra_pnginfo=None)
    assert "flagged" not in saved.values["latents"][0]


def test_output_nodes_depend_on_the_policy(checker: Path) -> None:
    tokens = [Inspector().token, *(inspector(policy, checker).token for policy in ("label", "blur", "block"))]
    assert len(set(tokens)) == 4
