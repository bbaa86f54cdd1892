"""The safety checker against diffusers' on the same random weights (models.md, 6)."""

import json

import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker, cosine_distance
from safetensors.torch import save_file
from transformers import CLIPConfig

from engine.diffusion.checkpoint import load_companion
from engine.diffusion.safety import SafetyConfig, blur, check_pictures, judge, open_safety
from engine.diffusion.tensorfile import CheckpointError
from engine.diffusion.vision import preprocess
from engine.graph.types import Image, SafetyChecker
from nodes.safety import check_safety, load_safety
from tests.nodes.studio import Desk
from tests.parity.small import noise
from tests.presets import safety_checker, vision

CONFIG = SafetyConfig(vision(24), 17, 3)
PICTURES = noise(12, 56, 56, 3, seed=9).sigmoid()  # of the network's own size: nothing is resized


def oracle(state: dict[str, torch.Tensor]) -> StableDiffusionSafetyChecker:
    v = CONFIG.vision
    config = CLIPConfig(projection_dim=v.projection, vision_config={
        "hidden_size": v.width, "intermediate_size": v.mlp_width, "num_hidden_layers": v.layers,
        "num_attention_heads": v.heads, "image_size": 56, "patch_size": v.patch, "hidden_act": v.activation,
    })  # fmt: skip
    made = StableDiffusionSafetyChecker(config)
    made.load_state_dict(state, strict=True)
    return made.eval()


def test_scores_and_flags_equal_diffusers():
    """Thresholds lie in the middle of the cosines, so that flags and special concepts are of both kinds."""
    network = safety_checker(CONFIG, PICTURES)
    theirs = oracle(network.state_dict())
    ready = preprocess(PICTURES, 56)
    found = check_pictures(network, PICTURES)
    embeds = theirs.visual_projection(theirs.vision_model(ready)[1])
    special = cosine_distance(embeds, theirs.special_care_embeds).detach()
    concepts = cosine_distance(embeds, theirs.concept_embeds).detach()
    _, flags = theirs(ready, list(PICTURES.numpy()))
    assert [each.flagged for each in found] == flags
    assert 0 < sum(flags) < len(flags)
    limits = theirs.special_care_embeds_weights, theirs.concept_embeds_weights
    for index, each in enumerate(found):
        adjustment = 0.01 if any(score > 0 for score in each.special) else 0.0
        assert each.concepts == pytest.approx((concepts[index] - limits[1] + adjustment).tolist(), abs=6e-4)
        first = each.special[0]
        assert first == pytest.approx(float(special[index, 0] - limits[0][0]), abs=6e-4)
    assert {any(score > 0 for score in each.special) for each in found} == {True, False}


def test_the_rule_is_sequential_and_rounds_to_three_digits():
    """models.md, 6: the first special concept found adds 0.01 to every later score, of special concepts too."""
    found = judge([0.1, 0.3, 0.195], [0.195, 0.19, 0.1936], [0.2, 0.2, 0.2], [0.2, 0.2, 0.2])
    assert found.special == (-0.1, 0.1, 0.005)
    assert found.concepts == (0.005, 0.0, 0.004)
    assert found.flagged
    assert judge([0.3], [0.1904], [0.2], [0.2]).concepts == (0.0,)
    assert not judge([0.3], [0.1904], [0.2], [0.2]).flagged
    assert judge([0.1], [0.195], [0.2], [0.2]).concepts == (-0.005,)


def published(state):
    """The names of the published folder, one level deeper than transformers 5 writes them."""
    return {
        name.replace("vision_model.", "vision_model.vision_model.", 1) if name.startswith("vision_model.") else name: v
        for name, v in state.items()
    }


@pytest.mark.parametrize("kind", ["published safetensors", "published bin", "transformers 5"])
def test_the_published_layouts_load(kind, tmp_path):
    network = safety_checker(CONFIG, PICTURES)
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    path = tmp_path / ("pytorch_model.bin" if kind.endswith("bin") else "model.safetensors")
    if kind.endswith("bin"):
        position_ids = {"vision_model.vision_model.embeddings.position_ids": torch.arange(17)[None]}
        torch.save({**published(state), **position_ids}, path)
    else:
        save_file(state if kind == "transformers 5" else published(state), path)
    weights = open_safety(path)
    assert weights.config == CONFIG
    assert check_pictures(load_companion(weights, torch.float32), PICTURES) == check_pictures(network, PICTURES)


def test_the_published_size():
    """models.md, 6: 303,981,588 parameters in 396 tensors."""
    from engine.diffusion.vision import VisionConfig

    full = SafetyConfig(VisionConfig(1024, 24, 16, 4096, 14, 257, 768, "quick_gelu"), 17, 3)
    with torch.device("meta"):
        state = full.build().state_dict()
    assert (len(state), sum(value.numel() for value in state.values())) == (396, 303_981_588)


def test_another_file_is_refused(tmp_path):
    save_file({"vision_model.embeddings.class_embedding": torch.zeros(8)}, tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=r"m\.safetensors: found no safety checker"):
        open_safety(tmp_path / "m.safetensors")


def test_the_node_treats_flagged_pictures_only_and_tells_the_scores(tmp_path):
    desk = Desk(tmp_path)
    network = safety_checker(CONFIG, PICTURES)
    save_file(published(network.state_dict()), desk.model_folder("safety_checkers") / "c.safetensors")
    checker = load_safety(desk.context, checker="c.safetensors")
    assert isinstance(checker, SafetyChecker)
    flags = [each.flagged for each in check_pictures(network, PICTURES)]
    expected = {"label": PICTURES, "black": torch.zeros_like(PICTURES), "blur": blur(PICTURES)}
    for action, treated in expected.items():
        made = check_safety(desk.context, safety_checker=checker, image=Image(PICTURES), action=action)
        assert made.flagged is True
        scores = json.loads(made.scores)
        assert [each["flagged"] for each in scores] == flags
        assert (len(scores[0]["concepts"]), len(scores[0]["special"])) == (17, 3)
        for index, flagged in enumerate(flags):
            assert torch.equal(made.image.pixels[index], (treated if flagged else PICTURES)[index]), action
    assert len(desk.warnings) == 3
    assert "of 12" in desk.warnings[0]
    fine = PICTURES[[index for index, flagged in enumerate(flags) if not flagged]]
    assert check_safety(desk.context, safety_checker=checker, image=Image(fine), action="black").flagged is False
    assert len(desk.warnings) == 3


def test_blurring_leaves_eight_by_eight_pixels():
    pixels = noise(1, 64, 96, 3).sigmoid()
    coarse = blur(pixels)
    assert coarse.shape == pixels.shape
    again = pixels.reshape(1, 8, 8, 8, 12, 3).mean(dim=(2, 4), keepdim=True).expand(-1, -1, 8, -1, 12, -1)
    assert torch.allclose(blur(again.reshape(1, 64, 96, 3)), coarse, atol=1e-5)  # the means are all it depends on
