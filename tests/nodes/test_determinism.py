"""Seeds per picture: item i of a batch is the single picture of the seed plus i, for every sampler."""

import pytest
import torch

from engine.diffusion.guidance import Condition
from engine.diffusion.samplers import SAMPLER_NAMES
from engine.diffusion.standin import write_standin
from engine.graph.types import Conditioning, Latent
from nodes.determinism import per_image_seeds
from nodes.loaders import load_checkpoint
from nodes.sampling import sample
from tests.nodes.studio import Desk

BATCH, STEPS, SEED = 3, 3, 5


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """One for all, so that the network is built once."""
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def loaded(desk):
    write_standin(desk.model_folder("checkpoints") / "s.safetensors")
    return load_checkpoint(desk.context, ckpt_name="s.safetensors")


@pytest.fixture
def given(loaded):
    text = torch.randn(1, 77, 64, generator=torch.Generator().manual_seed(1))
    return {
        "model": loaded.model, "steps": STEPS, "cfg": 3.0, "scheduler": "normal",
        "positive": Conditioning((Condition(text),)), "negative": Conditioning((Condition(-text),)),
    }  # fmt: skip


@pytest.mark.parametrize("sampler", SAMPLER_NAMES)
def test_each_picture_of_a_batch_is_the_single_picture_of_its_own_seed(desk, given, sampler):
    if sampler in ("plms", "ddim_original"):  # they run the original scripts' steps
        given["scheduler"] = "leading"
    if sampler == "dpm_adaptive":  # as many steps as its error wants: hundreds from the most noise down
        given["denoise"] = 0.1
    alone = {**given, "model": per_image_seeds(model=given["model"]), "sampler_name": sampler}
    batch = sample(desk.context, **alone, seed=SEED, latent_image=Latent(torch.zeros(BATCH, 4, 4, 4))).samples
    for item in range(BATCH):
        single = sample(
            desk.context, **{**given, "sampler_name": sampler}, seed=SEED + item,
            latent_image=Latent(torch.zeros(1, 4, 4, 4)),
        ).samples  # fmt: skip
        assert torch.equal(batch[item : item + 1], single), f"{sampler}, picture {item}"
    assert not torch.equal(batch[0], batch[1])


def test_without_it_the_noise_of_a_batch_is_the_peers(desk, given):
    batch = sample(
        desk.context, **given, sampler_name="euler", seed=SEED, latent_image=Latent(torch.zeros(2, 4, 4, 4))
    ).samples
    single = sample(
        desk.context, **given, sampler_name="euler", seed=SEED + 1, latent_image=Latent(torch.zeros(1, 4, 4, 4))
    ).samples
    assert not torch.allclose(batch[1:], single)


def test_an_item_taken_from_a_batch_keeps_its_seed_and_its_mask(desk, given):
    model = per_image_seeds(model=given["model"])
    mask = torch.zeros(BATCH, 1, 32, 32)
    mask[2, :, :16] = 1.0
    start = torch.randn(BATCH, 4, 4, 4, generator=torch.Generator().manual_seed(2))
    settings = {**given, "model": model, "sampler_name": "euler_ancestral", "seed": SEED}
    whole = sample(desk.context, **settings, latent_image=Latent(start, noise_mask=mask)).samples
    pair = Latent(start[1:], noise_mask=mask[1:], batch_index=(1, 2))
    assert torch.equal(sample(desk.context, **settings, latent_image=pair).samples, whole[1:])


def test_conditions_with_a_row_for_each_picture_are_cut_down(desk, given):
    rows = torch.randn(BATCH, 77, 64, generator=torch.Generator().manual_seed(3))
    settings = {**given, "sampler_name": "euler", "seed": SEED}
    batch = sample(
        desk.context, **{**settings, "model": per_image_seeds(model=given["model"]),
                         "positive": Conditioning((Condition(rows),))},
        latent_image=Latent(torch.zeros(BATCH, 4, 4, 4)),
    ).samples  # fmt: skip
    last = sample(
        desk.context, **{**settings, "seed": SEED + 2, "positive": Conditioning((Condition(rows[2:]),))},
        latent_image=Latent(torch.zeros(1, 4, 4, 4)),
    ).samples  # fmt: skip
    assert torch.equal(batch[2:], last)
