"""Published files by their names and shapes alone (models.md, 1 and 2)."""

import pytest
import torch

from engine.diffusion.checkpoint import CheckpointError, open_checkpoint, open_unet
from engine.diffusion.config import PRESETS
from engine.diffusion.remarks import remarks
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from tests.checkpoints.files import fill, published_shapes, write_shapes
from tests.parity.names import unet_name

# family: (UNet keys, UNet parameters, VAE keys, VAE parameters): models.md 1.1, 1.2, 1.4 and 2.1
COUNTS = {
    "sd1": (686, 859_520_964, 248, 83_653_863),
    "sd1-inpaint": (686, 859_535_364, 248, 83_653_863),
    "sd2-base": (686, 865_910_724, 248, 83_653_863),
    "sd2-v": (686, 865_910_724, 248, 83_653_863),
    "sd2-depth": (686, 865_913_604, 248, 83_653_863),
    "sd2-inpaint": (686, 865_925_124, 248, 83_653_863),
    "sd2-x4": (687, 473_398_020, 204, 55_325_927),
    "sd2-unclip-l": (690, 869_517_764, 248, 83_653_863),
    "sd2-unclip-h": (690, 870_173_124, 248, 83_653_863),
}
TOLD = {"sd2-base": "eps", "sd2-v": "v"}


@pytest.mark.parametrize("family", list(COUNTS))
def test_a_preset_has_the_published_number_of_keys_and_parameters(family):
    with torch.device("meta"):
        unet, vae = UNet(PRESETS[family].unet), Vae(PRESETS[family].vae)
    sizes = [(len(m.state_dict()), sum(p.numel() for p in m.parameters())) for m in (unet, vae)]
    assert (*sizes[0], *sizes[1]) == COUNTS[family]


@pytest.mark.parametrize("family", list(PRESETS))
def test_a_published_file_is_recognised_from_its_shapes(family, tmp_path):
    path = write_shapes(tmp_path / "model.safetensors", published_shapes(family))
    found = open_checkpoint(path, prediction=TOLD.get(family))
    assert found.config == PRESETS[family]
    assert found.vae is not None
    assert found.text is not None
    assert found.unexpected == ()
    assert found.guess is None  # only the two that have the same shapes are, and not where it is told
    # the text towers have 196 and 294 - 2 (q, k, v are one tensor in OpenCLIP) sources
    assert len(found.text.mapping) == (196 if PRESETS[family].text.layout == "clip" else 389)


UNET = "model.diffusion_model."
TELLING = {
    "published": UNET + "output_blocks.11.1.transformer_blocks.0.norm1.bias",
    "diffusers": "up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias",
}


def written(path, values, spelling="published"):
    """An SD 2.x file of full size by its header; a UNet alone where diffusers' names are asked for."""
    shapes = published_shapes("sd2-v")
    if spelling == "diffusers":
        names = {name: name.removeprefix(UNET) for name in shapes if name.startswith(UNET)}
        shapes = {unet_name(bare, PRESETS["sd2-v"].unet): shapes[name] for name, bare in names.items()}
    fill(write_shapes(path, shapes), TELLING[spelling], values)
    return path


@pytest.mark.parametrize(("spread", "prediction"), [(0.0, "eps"), (11 / 128, "eps"), (12 / 128, "v")])
def test_an_sd2_file_that_does_not_tell_is_judged_by_the_spread_of_a_bias_and_the_user_is_told(
    spread, prediction, tmp_path
):
    """numerics.md, 1.1: the population standard deviation of this bias exceeds 0.09 → v, otherwise ε."""
    values = torch.tensor([0.5 + spread, 0.5 - spread] * 160)  # each `spread` from the mean, and no rounding
    path = written(tmp_path / "tuned.safetensors", values)
    found = open_checkpoint(path)
    assert found.config == PRESETS["sd2-v" if prediction == "v" else "sd2-base"]
    assert found.guess is not None
    assert "tuned.safetensors does not say whether it predicts noise (eps) or velocity (v)." in found.guess
    assert f"It is taken for {prediction}, " in found.guess
    assert f"the standard deviation of {TELLING['published']} is {spread:.3f}: above 0.09 is v" in found.guess
    assert "put a file tuned.yaml beside it with the line 'prediction: eps'" in found.guess
    assert list(remarks("tuned", found)) == [found.guess]
    # what is said goes before, and nothing is guessed then
    (tmp_path / "tuned.yaml").write_text("prediction: v\n")
    for other in (open_checkpoint(path), open_checkpoint(path, prediction="v")):
        assert (other.config, other.guess) == (PRESETS["sd2-v"], None)


def test_a_unet_alone_in_diffusers_names_is_judged_too(tmp_path):
    found = open_unet(written(tmp_path / "unet.safetensors", torch.tensor([0.0, 0.2] * 160), "diffusers"))
    assert found.config.schedule.prediction == "v"
    assert TELLING["diffusers"] in str(found.guess)


def test_a_bias_that_is_not_finite_tells_nothing(tmp_path):
    path = written(tmp_path / "v2-1.safetensors", torch.full((320,), float("nan")))
    with pytest.raises(CheckpointError, match=r"v2-1.safetensors: .*or velocity \(v\).*Put a file v2-1.yaml beside it"):
        open_checkpoint(path)


def test_a_file_without_the_bias_is_refused_for_that(tmp_path):
    shapes = published_shapes("sd2-v")
    del shapes[TELLING["published"]]
    with pytest.raises(CheckpointError, match=r"output_blocks.11.1.transformer_blocks.0.norm1.bias"):
        open_checkpoint(write_shapes(tmp_path / "m.safetensors", shapes))


@pytest.mark.parametrize(
    ("name", "prediction"),
    [("512-base-ema", "eps"), ("v2-1_512-ema-pruned", "eps"), ("v2-1_512-nonema-pruned", "eps"),
     ("768-v-ema", "v"), ("v2-1_768-ema-pruned", "v"), ("v2-1_768-nonema-pruned", "v")],
)  # fmt: skip
def test_the_published_files_of_sd2_are_known_by_name_where_nothing_else_tells(name, prediction, tmp_path):
    """models.md, 1.6 and 2.6: they came without metadata. What a yaml says beside one of them goes before."""
    path = write_shapes(tmp_path / f"{name}.safetensors", published_shapes("sd2-v"))
    assert open_checkpoint(path).config.schedule.prediction == prediction
    other = "v" if prediction == "eps" else "eps"
    (tmp_path / f"{name}.yaml").write_text(f"prediction: {other}\n")
    assert open_checkpoint(path).config.schedule.prediction == other


@pytest.mark.parametrize(
    ("metadata", "prediction"),
    [
        ({"modelspec.prediction_type": "v"}, "v"),
        ({"modelspec.prediction_type": "epsilon"}, "eps"),
        ({"modelspec.architecture": "stable-diffusion-v2-768-v"}, "v"),
        ({"modelspec.architecture": "stable-diffusion-v2-512"}, "eps"),
    ],
)
def test_metadata_tells_eps_from_v(metadata, prediction, tmp_path):
    path = write_shapes(tmp_path / "model.safetensors", published_shapes("sd2-v"), metadata)
    assert open_checkpoint(path).config.schedule.prediction == prediction


@pytest.mark.parametrize(("line", "prediction"), [('parameterization: "v"', "v"), ("image_size: 64", "eps")])
def test_the_original_yaml_beside_a_file_tells_eps_from_v(line, prediction, tmp_path):
    path = write_shapes(tmp_path / "model.safetensors", published_shapes("sd2-v"))
    (tmp_path / "model.yaml").write_text(f"model:\n  params:\n    {line}\n    scale_factor: 0.5\n")
    found = open_checkpoint(path).config
    assert found.schedule.prediction == prediction
    assert found.vae.scale_factor == 0.5
    assert open_checkpoint(path, prediction="v").config.schedule.prediction == "v"


def test_an_explicit_choice_wins_over_the_family(tmp_path):
    path = write_shapes(tmp_path / "model.safetensors", published_shapes("sd1"))
    assert open_checkpoint(path, prediction="v").config.schedule.prediction == "v"
    assert open_checkpoint(path).config.schedule.prediction == "eps"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("conditioner.embedders.1.model.ln_final.weight", "SDXL"),
        ("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", "Stable Diffusion 3"),
        ("model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "Flux"),
    ],
)
def test_other_families_are_refused_by_name(key, name, tmp_path):
    path = write_shapes(tmp_path / "model.safetensors", {key: (2, 2)})
    with pytest.raises(CheckpointError, match=name):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("lora_unet_mid.lora_down.weight", "a LoRA.*loras/"),
        ("first_stage_model.encoder.down.0.block.0.norm1.weight", "a VAE alone"),
        ("control_model.zero_convs.0.0.weight", "a ControlNet"),
        ("whatever", "no UNet"),
    ],
)
def test_other_kinds_of_file_are_told_where_they_belong(key, said, tmp_path):
    with pytest.raises(CheckpointError, match=said):
        open_checkpoint(write_shapes(tmp_path / "x.safetensors", {key: (2, 2)}))


def test_an_unknown_unet_is_refused_with_what_was_seen(tmp_path):
    shapes = published_shapes("sd1") | {"model.diffusion_model.input_blocks.0.0.weight": (320, 6, 3, 3)}
    with pytest.raises(CheckpointError, match="context_dim 768, model_channels 320, in_channels 6"):
        open_checkpoint(write_shapes(tmp_path / "x.safetensors", shapes))
