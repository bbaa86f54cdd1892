"""Latents between nodes: batches, whose numbers choose the noise (numerics.md, 3.1), masks (3.6), files."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from engine.diffusion.tensorfile import CheckpointError
from engine.graph.types import Latent, Mask
from nodes.latent import (
    decode,
    decode_in_tiles,
    empty_latent,
    from_batch,
    load_latent,
    repeat,
    save_latent,
    set_noise_mask,
    upscale_by,
)


def numbered(count, **more):
    return Latent(torch.arange(count, dtype=torch.float32)[:, None, None, None].expand(count, 4, 2, 2), **more)


def first_of(latent):
    return latent.samples[:, 0, 0, 0].tolist()


def test_a_part_of_a_batch_keeps_its_place_in_the_noise():
    part = from_batch(samples=numbered(5), batch_index=2, length=2)
    assert first_of(part) == [2, 3]
    assert part.batch_index == (2, 3)
    again = from_batch(samples=part, batch_index=1, length=9)
    assert (first_of(again), again.batch_index) == ([3], (3,))
    last = from_batch(samples=numbered(3), batch_index=60, length=1)
    assert (first_of(last), last.batch_index) == ([2], (2,))


def test_a_repeated_batch_gets_numbers_of_its_own_only_where_it_had_numbers():
    assert repeat(samples=numbered(2), amount=3).batch_index is None
    repeated = repeat(samples=numbered(2, batch_index=(3, 5)), amount=3)
    assert first_of(repeated) == [0, 1, 0, 1, 0, 1]
    assert repeated.batch_index == (3, 5, 6, 8, 9, 11)


def test_masks_go_along_with_their_pictures():
    masks = torch.arange(2, dtype=torch.float32)[:, None, None, None].expand(2, 1, 8, 8)
    part = from_batch(samples=numbered(4, noise_mask=masks), batch_index=1, length=2)
    assert part.noise_mask[:, 0, 0, 0].tolist() == [1, 0]  # repeated to four, then cut
    assert repeat(samples=numbered(2, noise_mask=masks), amount=2).noise_mask[:, 0, 0, 0].tolist() == [0, 1, 0, 1]
    single = masks[:1]
    assert torch.equal(from_batch(samples=numbered(4, noise_mask=single), batch_index=1, length=2).noise_mask, single)
    assert torch.equal(repeat(samples=numbered(2, noise_mask=single), amount=2).noise_mask, single)


def test_a_mask_of_any_shape_becomes_one_channel(desk):
    for shape in ((16, 16), (1, 16, 16), (3, 16, 16)):
        masked = set_noise_mask(desk.context, samples=numbered(1), mask=Mask(torch.rand(shape)))
        assert masked.noise_mask.shape == (shape[0] if len(shape) == 3 else 1, 1, 16, 16)


def test_a_latent_is_scaled_by_a_factor_in_its_own_units():
    """nodes.md, LatentUpscaleBy: each side times the factor, rounded."""
    scaled = upscale_by(samples=Latent(torch.rand(1, 4, 5, 7)), upscale_method="nearest-exact", scale_by=1.5)
    assert scaled.samples.shape == (1, 4, round(7.5), round(10.5))


def test_a_saved_latent_has_comfyuis_layout_and_comes_back_exactly(desk):
    samples = torch.randn(2, 4, 8, 8)
    prompt = {"1": {"class_type": "SaveLatent", "inputs": {}}}
    shown = save_latent(
        desk.context, samples=Latent(samples), filename_prefix="latents/x", prompt=prompt,
        extra_pnginfo={"workflow": {"nodes": []}},
    )  # fmt: skip
    assert shown.values == {"latents": [{"filename": "x_00001_.latent", "subfolder": "latents", "type": "output"}]}
    with safe_open(shown.files[0], "pt") as file:
        assert set(file.keys()) == {"latent_tensor", "latent_format_version_0"}
        assert file.get_tensor("latent_format_version_0").shape == (0,)
        assert json.loads(file.metadata()["prompt"]) == prompt
        assert json.loads(file.metadata()["workflow"]) == {"nodes": []}
    again = save_latent(
        desk.context, samples=Latent(samples), filename_prefix="latents/x", prompt=None, extra_pnginfo=None
    )
    assert again.files[0].name == "x_00002_.latent"
    (desk.folders.input / "kept.latent").write_bytes(shown.files[0].read_bytes())
    assert desk.folders.list("latents") == ["kept.latent"]
    assert torch.equal(load_latent(desk.context, latent="kept.latent").samples, samples)
    named = load_latent(desk.context, latent="latents/x_00001_.latent [output]")
    assert torch.equal(named.samples, samples)


def test_an_old_latent_file_is_scaled_back(desk):
    """Without a version in it, the file holds the latent times 0.18215, the scale factor of SD (models.md, 1.4)."""
    save_file({"latent_tensor": torch.full((1, 4, 2, 2), 0.18215)}, desk.folders.input / "old.latent")
    assert torch.allclose(load_latent(desk.context, latent="old.latent").samples, torch.ones(1, 4, 2, 2))


def test_a_file_that_holds_no_latent_is_refused(desk):
    save_file({"other": torch.ones(1)}, desk.folders.input / "x.latent")
    save_file({"latent_tensor": torch.ones(3)}, desk.folders.input / "y.latent")
    for name in ("x.latent", "y.latent"):
        with pytest.raises(CheckpointError, match=f"{name}: found"):
            load_latent(desk.context, latent=name)
    with pytest.raises(FileNotFoundError):
        load_latent(desk.context, latent="../../secret.latent")


def test_a_size_that_no_machine_holds_is_an_error():
    with pytest.raises(ValueError, match="takes 256 GiB; the limit is 8 GiB"):
        empty_latent(width=16384, height=16384, batch_size=4096)


def test_a_latent_that_overflowed_is_not_turned_into_a_black_picture(desk):
    broken = torch.zeros(3, 4, 2, 2)
    broken[1, 0, 0, 0], broken[2, 0, 0, 0] = torch.nan, torch.inf
    expected = "samples holds 2 values of 48 that are NaN or infinite, the first in item 1 of the batch"
    for change in (decode, decode_in_tiles):
        with pytest.raises(ValueError, match=expected):
            change(desk.context, samples=Latent(broken), vae=None)


def test_a_mask_without_pixels_or_with_nan_is_refused_and_an_empty_one_told_of(desk):
    for values, found in ((torch.zeros(1, 0, 8), r"mask has the shape \(1, 0, 8\)"),
                          (torch.full((1, 8, 8), torch.nan), "mask holds NaN")):  # fmt: skip
        with pytest.raises(ValueError, match=found):
            set_noise_mask(desk.context, samples=numbered(1), mask=Mask(values))
    set_noise_mask(desk.context, samples=numbered(1), mask=Mask(torch.zeros(1, 8, 8)))
    assert desk.warnings == ["mask is 0 everywhere, so nothing is painted anew"]


def test_a_latent_is_not_scaled_to_what_no_machine_holds():
    large = Latent(torch.zeros(1, 1, 1, 1).expand(64, 4, 2048, 2048))
    with pytest.raises(ValueError, match=r"a scaled batch of 64×4×16384×16384 takes 256 GiB; the limit is 8 GiB"):
        upscale_by(samples=large, upscale_method="bilinear", scale_by=8.0)
