"""GLIGEN's text boxes on conditions."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.diffusion.adapters.boxes import Boxed, BoxPatch, open_gligen
from engine.diffusion.config import config_to_json
from engine.diffusion.gligen import Gligen, GligenConfig, transformers, waves
from engine.diffusion.guidance import Area, Condition, prepare
from engine.diffusion.hooks import Pass, Run
from engine.diffusion.schedules import discrete
from engine.diffusion.standin import standin_config, standin_tensors
from engine.diffusion.tensorfile import CheckpointError
from engine.graph.types import Conditioning
from engine.runtime.signature import digest
from nodes.conditioning import encode_text
from nodes.controlnet import apply_text_box, load_gligen
from nodes.loaders import load_checkpoint
from tests.nodes.studio import Desk
from tests.parity.small import noise, randomise

CONFIG = standin_config()
METADATA = {"easel.config": config_to_json(CONFIG)}


def save_gligen(path, config):
    names = list(transformers(config.unet))
    state = {}
    for name, value in randomise(Gligen(GligenConfig(config.unet, 32))).state_dict().items():
        parts = name.split(".", 2)
        state[f"{names[int(parts[1])]}.fuser.{parts[2]}" if parts[0] == "fusers" else name] = value.contiguous()
    save_file(state, path, metadata={"easel.config": config_to_json(config)})


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    save_gligen(desk.model_folder("gligen") / "g.safetensors", CONFIG)
    save_file(standin_tensors(CONFIG), desk.model_folder("checkpoints") / "m.safetensors", metadata=METADATA)
    return desk


def test_places_become_waves():
    """Frequencies 100^(i/8); for each the sines of the four numbers, then their cosines: arXiv:2301.07093's code."""
    box = torch.tensor([0.1, 0.2, 0.6, 0.9])
    found = waves(box)
    assert found.shape == (64,)
    for index in range(8):
        frequency = 100 ** (index / 8)
        assert torch.allclose(found[8 * index : 8 * index + 4], (frequency * box).sin(), atol=1e-4)
        assert torch.allclose(found[8 * index + 4 : 8 * index + 8], (frequency * box).cos(), atol=1e-4)


def test_boxes_pile_up_on_each_entry_and_are_shared_with_the_negative(desk):
    model, clip, _ = load_checkpoint(desk.context, ckpt_name="m.safetensors")
    gligen = load_gligen(desk.context, gligen_name="g.safetensors")
    text = encode_text(desk.context, text="a room", clip=clip)
    two = Conditioning(text.entries + text.entries)
    for word, x in (("a cat", 8), ("a dog", 40)):
        two = apply_text_box(desk.context, conditioning_to=two, clip=clip, gligen_textbox_model=gligen, text=word,
                             width=16, height=24, x=x, y=32)  # fmt: skip
    (one,), (other,) = (entry.patches for entry in two.entries)
    assert one is other, "they run in one batch"
    assert [box.area for box in one.boxes] == [Area(3, 2, 4, 1), Area(3, 2, 4, 5)]
    pooled = encode_text(desk.context, text="a cat", clip=clip).entries[0].pooled
    assert torch.equal(one.boxes[0].text, pooled)
    negative = Condition(noise(1, 77, 64))
    _, minus = prepare(two.entries, (negative,), (1, 4, 8, 8), discrete(model.config.schedule))
    assert [part.condition.patches for part in minus] == [(one,)]
    boxes, present, texts = one.objects(8, 10)
    assert torch.allclose(boxes[0, 1], torch.tensor([5 / 10, 4 / 8, 7 / 10, 7 / 8]))
    assert present[0].tolist() == [1, 1] + [0] * 28
    assert torch.equal(texts[0, 0], pooled[0])
    assert digest(two) is not None
    with pytest.raises(ValueError, match=r"text box 2 begins at x 5, y 4 of a latent that is 5×8 "):
        one.objects(8, 5)
    with pytest.raises(ValueError, match=r"text box 1 begins at x 1, y 4 of a latent that is 9×4 "):
        one.objects(4, 9)


def test_there_is_an_end_to_boxes(desk):
    patch = BoxPatch(open_gligen(desk.folders.find("gligen", "g.safetensors")), ())
    box = Boxed(noise(1, 64), Area(1, 1, 0, 0))
    for _ in range(30):
        patch = patch.with_box(box)
    with pytest.raises(ValueError, match="at most 30"):
        patch.with_box(box)


def test_another_kind_of_file_and_missing_keys_are_named(desk):
    with pytest.raises(CheckpointError, match=r"m\.safetensors: found no position_net"):
        open_gligen(desk.folders.find("checkpoints", "m.safetensors"))
    path = desk.model_folder("gligen") / "x.safetensors"
    save_file({"position_net.linears.0.weight": torch.ones(32, 128)}, path, metadata=METADATA)
    with pytest.raises(CheckpointError, match=r"input_blocks\.1\.1\.transformer_blocks\.0\.fuser.*is missing"):
        open_gligen(path)


def test_a_file_for_another_family_is_refused_by_the_widths_of_texts(desk):
    path = desk.model_folder("gligen") / "narrow.safetensors"
    config = replace(
        CONFIG, unet=replace(CONFIG.unet, context_dim=48), text=replace(CONFIG.text, width=48, heads=1)
    )
    save_gligen(path, config)
    patch = BoxPatch(open_gligen(path), (Boxed(noise(1, 48), Area(1, 1, 0, 0)),))
    run = Run(torch.tensor([1.0]), discrete(CONFIG.schedule), torch.Generator())
    one = torch.ones(1)
    with pytest.raises(ValueError, match=r"narrow\.safetensors was made for texts 48 wide; this model's are 64 wide"):
        patch.hooks(Pass(noise(1, 4, 8, 8), one, one, noise(1, 77, 64), run=run))


def test_what_is_no_number_is_named_when_it_is_read(desk):
    path = desk.model_folder("gligen") / "g.safetensors"
    state = load_file(path)
    name = next(key for key in state if key.endswith("attn.to_q.weight"))
    state[name][0, 0] = float("nan")
    save_file(state, path, metadata=METADATA)
    with pytest.raises(CheckpointError, match=rf"g\.safetensors: found {name} \[.*\] with NaN"):
        desk.studio.residency.have(open_gligen(path))
