"""The whole library on the stand-in checkpoint: from a file and a prompt to a picture."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from engine.diffusion.checkpoint import load_text, load_unet, load_vae, open_checkpoint
from engine.diffusion.guidance import Area, Call, Condition
from engine.diffusion.network import batches, unet_network
from engine.diffusion.sampling import Sampling, sample, start
from engine.diffusion.schedules import discrete
from engine.diffusion.standin import write_standin
from engine.diffusion.text import encode, tokenizer
from engine.diffusion.vae import decode
from engine.diffusion.vae import encode as encode_pixels
from tests.parity.small import noise


class Model:
    def __init__(self, path, dtype=torch.float32):
        self.checkpoint = open_checkpoint(path)
        self.config = self.checkpoint.config
        self.text = load_text(self.checkpoint.text, torch.float32)
        self.unet, self.vae = load_unet(self.checkpoint.unet, dtype), load_vae(self.checkpoint.vae, torch.float32)
        self.network = unet_network(self.unet, discrete(self.config.schedule), dtype, "cpu")

    def condition(self, prompt, **options):
        return Condition(encode(self.text, tokenizer(), prompt, self.config.text).states, **options)

    def sampling(self, prompt="a red cat", **changes):
        run = Sampling(
            self.config, torch.zeros(1, 4, 16, 16), (self.condition(prompt),), (self.condition(""),),
            seed=1, steps=6, cfg=7.5, sampler="plms", scheduler="leading",
        )  # fmt: skip
        return replace(run, **changes)

    def picture(self, prompt="a red cat", **changes):
        return decode(self.vae, sample(self.sampling(prompt, **changes), self.network).samples)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("standin") / "standin.safetensors"
    write_standin(file)
    return file


@pytest.fixture(scope="module")
def model(path):
    return Model(path)


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [("plms", "leading"), ("euler", "normal"), ("euler_ancestral", "karras"), ("dpmpp_2m", "karras")],
)
def test_pictures_differ_by_prompt_and_seed_and_are_not_grey(model, sampler, scheduler):
    options = {"sampler": sampler, "scheduler": scheduler, "steps": 8}
    first, again = model.picture(**options), model.picture(**options)
    assert torch.equal(first, again)
    assert first.shape == (1, 128, 128, 3)
    assert float(first.std()) > 0.1
    for other in (model.picture("a blue house in the rain", **options), model.picture(seed=2, **options)):
        # visible: more than two of 255 levels on average
        assert float((other - first).abs().mean()) > 2 / 255


def test_the_file_is_written_by_the_command(tmp_path):
    command = [sys.executable, "-m", "engine.diffusion.standin", str(tmp_path / "new" / "m.safetensors")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.endswith("knows nothing\n")
    assert open_checkpoint(tmp_path / "new" / "m.safetensors").unexpected == ()


def test_image_to_image_stays_near_the_image_at_low_denoise(model):
    picture = model.picture()
    latent = encode_pixels(model.vae, picture)
    near, far = (
        sample(model.sampling("other", latent=latent, denoise=d, sampler="euler", scheduler="normal"), model.network)
        for d in (0.1, 0.9)
    )
    assert float((near.samples - latent).std()) < float((far.samples - latent).std())


def test_calls_of_different_runs_share_a_batch_and_agree_with_single_runs(model):
    texts = [model.condition(prompt).states for prompt in ("cat", "a " * 100, "dog")]
    x = noise(3, 4, 8, 8)
    calls = [Call(x[i : i + 1], torch.tensor(sigma), texts[i]) for i, sigma in enumerate((14.0, 3.0, 0.1))]
    assert batches(calls) == [[0, 1, 2]]  # 77 and 154 tokens: the shorter text is repeated
    together = model.network(calls)
    for call, answer in zip(calls, together, strict=True):
        (alone,) = model.network([call])
        assert torch.allclose(alone, answer, atol=1e-4)


def test_calls_of_other_shapes_are_kept_apart(model):
    text = model.condition("cat").states
    small, large = noise(1, 4, 8, 8), noise(1, 4, 8, 16)
    sigma = torch.tensor(1.0)
    calls = [Call(small, sigma, text), Call(large, sigma, text), Call(small, sigma, text.repeat(1, 5, 1))]
    assert batches(calls) == [[0], [1], [2]]
    assert [answer.shape for answer in model.network(calls)] == [call.x.shape for call in calls]


def test_two_runs_can_be_driven_together_with_one_network(model):
    runs = [start(model.sampling("cat", seed=1, steps=3)), start(model.sampling("dog", seed=2, steps=5))]
    asked = {index: next(run) for index, run in enumerate(runs)}
    results = {}
    while asked:
        merged = [call for calls in asked.values() for call in calls]
        answers = model.network(merged)
        for index, calls in list(asked.items()):
            mine, answers = answers[: len(calls)], answers[len(calls) :]
            try:
                asked[index] = runs[index].send(mine)
            except StopIteration as stop:
                results[index] = stop.value.samples
                del asked[index]
    for index, (prompt, steps) in enumerate((("cat", 3), ("dog", 5))):
        alone = sample(model.sampling(prompt, seed=index + 1, steps=steps), model.network).samples
        assert torch.allclose(alone, results[index], atol=1e-3)


def test_regions_run_through_the_network(model):
    left = model.condition("cat", area=Area(16, 8, 0, 0))
    picture = model.picture(positive=(left, model.condition("dog")), sampler="euler", scheduler="normal")
    assert torch.isfinite(picture).all()
    assert not torch.equal(picture, model.picture("dog", sampler="euler", scheduler="normal"))


def test_half_precision_is_near(path, model):
    half = Model(path, torch.bfloat16)
    assert float((half.picture() - model.picture()).abs().mean()) < 0.05


def test_the_vae_splits_batches_without_changing_them(model):
    latent = noise(3, 4, 8, 8)
    assert torch.allclose(decode(model.vae, latent, batch=3), decode(model.vae, latent, batch=1), atol=1e-5)
    pixels = noise(3, 70, 65, 3).sigmoid()
    encoded = encode_pixels(model.vae, pixels, batch=2)
    assert encoded.shape == (3, 4, 8, 8)
    # 70 rows and 65 columns lose 3 and 0 at the start: the middle 64
    assert torch.allclose(encoded, encode_pixels(model.vae, pixels[:, 3:67, 0:64]), atol=1e-5)
    with pytest.raises(ValueError, match="too small to encode"):
        encode_pixels(model.vae, pixels[:, :4])
    with pytest.raises(ValueError, match="cannot decode a latent of shape"):
        decode(model.vae, torch.zeros(1, 3, 8, 8))
