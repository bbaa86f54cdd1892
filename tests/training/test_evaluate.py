"""Judging a model: runs walked together equal runs walked alone, distances have known values, and the command works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from engine.diffusion.sampling import sample
from engine.diffusion.text import TextEncoder
from engine.training import evaluate as module
from engine.training.evaluate import (
    OBJECTS,
    evaluate,
    frechet_distance,
    held_out,
    main,
    read_judges,
    read_painter,
    sample_together,
)
from engine.training.family import SIZES, run_stage
from engine.training.loop import TrainingError
from engine.training.scenes import is_held_out


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("judged")
    for stage in ("vae", "text", "unet", "v", "checker"):
        run_stage(stage, SIZES["tiny"], folder, quiet=True)
    return folder


def test_prompts_are_held_out_and_say_every_relation() -> None:
    asked = held_out(40)
    assert [len(scene.solids) for scene, _ in asked] == list(OBJECTS) * 10
    assert all(is_held_out(scene) for scene, _ in asked)
    for scene, prompt in asked:
        assert sum(prompt.count(solid.colour) for solid in scene.solids) >= len({s.colour for s in scene.solids})
        if scene.relations:
            assert any(f" {word} " in prompt for word in ("on", "of", "under", "below", "underneath", "behind")), prompt


def test_the_distance_of_gaussians_is_the_known_one() -> None:
    """Dowson and Landau (1982), in one dimension: (μ₁−μ₂)² + (σ₁−σ₂)²."""
    line = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    line = (line - line.mean()) / line.std()
    assert frechet_distance(line, line) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(line, 3 * line + 2) == pytest.approx(2**2 + 2**2, rel=1e-9)
    plane = torch.randn(500, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rotated = plane @ torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(2)).double())[0]
    assert frechet_distance(plane, plane + 1) == pytest.approx(4, rel=1e-9)
    assert frechet_distance(plane, rotated) == pytest.approx(frechet_distance(rotated, plane), abs=1e-9)


def test_runs_walked_together_equal_runs_walked_alone(family: Path) -> None:
    painter = read_painter(family / "unet.safetensors", None)
    together, alone = [], []
    original = module.sample_together

    def both(samplings, network):  # type: ignore[no-untyped-def]
        together.extend(original(samplings, network))
        alone.extend(sample(each, network) for each in samplings)
        return together

    module.sample_together = both
    try:
        painter.draw(["a red cube", "a blue sphere on a green cone"], 3.0, 32, steps=4)
    finally:
        module.sample_together = original
    assert len(together) == len(alone) == 2
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.samples, other.samples, rtol=0, atol=1e-4)
    assert not torch.equal(together[0].samples, together[1].samples)
    assert sample_together([], painter.network) == []


@pytest.mark.parametrize("variant", ["unet", "v"])
def test_a_model_is_scored_at_every_scale_after_the_rendered_scenes(family: Path, variant: str) -> None:
    base = family / "unet.safetensors"
    painter = read_painter(family / f"{variant}.safetensors", base if variant == "v" else None)
    assert painter.config.schedule.prediction == ("v" if variant == "v" else "eps")
    scores = evaluate(painter, read_judges(family, painter.text), 32, 4, (1.5, 3.0))
    assert [score.scale for score in scores] == [None, None, None, 1.5, 3.0]
    assert [score.name for score in scores] == [
        "rendered", "rendered, one attribute changed", "random weights", "1.5", "3",
    ]  # fmt: skip
    assert scores[2].frechet != scores[4].frechet, "random weights draw something else"
    assert scores[0].frechet == pytest.approx(0, abs=1e-6)
    assert all(0 <= part <= 1 for s in scores for part in (s.colour, s.shape, s.relation, s.perfect))
    assert all(score.pictures == 4 for score in scores)


def test_a_vision_tower_of_another_text_encoder_is_refused(family: Path) -> None:
    text = read_painter(family / "unet.safetensors", None).text
    assert read_judges(family, text).pair.text.config == text.config
    other = TextEncoder(text.config)
    with pytest.raises(TrainingError, match="beside another text encoder"):
        read_judges(family, other)


def test_the_command_writes_table_and_plot_and_names_what_is_missing(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--model",
        str(family / "unet.safetensors"),
        "--out",
        str(tmp_path),
        "--count",
        "4",
        "--side",
        "32",
        "--scales",
        "2",
        "4",
        "--name",
        "trial",
    ]
    assert main([*words, "--judges", str(family)]) == 0
    assert capsys.readouterr().out.splitlines()[5].startswith("| 2 |")
    rows = json.loads((tmp_path / "evaluation-trial.json").read_text())
    assert [row["scale"] for row in rows] == [None, None, None, 2.0, 4.0]
    assert (tmp_path / "evaluation-trial.svg").read_text().count("<circle") == 2
    assert main([*words, "--judges", str(tmp_path)]) == 2
    assert "--stage vision" in capsys.readouterr().err
    assert main(["--model", str(family / "v.safetensors"), "--out", str(tmp_path), "--judges", str(family)]) == 2
    assert "--base" in capsys.readouterr().err
