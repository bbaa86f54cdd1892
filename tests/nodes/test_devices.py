"""A batch split over devices is the unsplit one. There is one device here: it stands for two and three."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from engine.diffusion.guidance import Call, Condition
from engine.diffusion.patches.freeu import FreeU
from engine.diffusion.split import split_network
from engine.diffusion.standin import write_standin
from engine.graph.types import Conditioning, Latent
from engine.runtime.device.guests import Guests
from engine.runtime.device.precision import choose_dtypes
from engine.runtime.device.residency import Residency
from nodes.devices import split_over_devices
from nodes.loaders import load_checkpoint
from nodes.sampling import sample

CPU = torch.device("cpu")


def reside(device):
    return Residency(device, choose_dtypes("fp32", "cpu"), 2**30)


@pytest.fixture
def given(desk):
    write_standin(desk.model_folder("checkpoints") / "s.safetensors")
    loaded = load_checkpoint(desk.context, ckpt_name="s.safetensors")
    text = torch.randn(1, 77, 64, generator=torch.Generator().manual_seed(1))
    return {
        "model": loaded.model, "steps": 3, "cfg": 3.0, "seed": 5, "scheduler": "normal", "sampler_name": "euler",
        "positive": Conditioning((Condition(text),)), "negative": Conditioning((Condition(-text),)),
    }  # fmt: skip


def sample_split(desk, given, latent, count=2, *, exact=False):
    desk.studio.guests = guests = Guests([CPU] * (count - 1), reside)
    model = split_over_devices(model=given["model"], exact=exact)
    return sample(desk.context, **{**given, "model": model}, latent_image=latent).samples, guests


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "heunpp2", "dpmpp_2m_sde", "lcm", "uni_pc"])
def test_split_over_two_devices_a_batch_is_the_unsplit_one_to_a_rounding(desk, given, sampler):
    given["sampler_name"] = sampler
    mask = torch.ones(3, 1, 32, 32)
    mask[:, :, :, 16:] = 0.0
    latent = Latent(torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(2)), noise_mask=mask)
    whole = sample(desk.context, **given, latent_image=latent).samples
    split, guests = sample_split(desk, given, latent)
    # kernels may go by the number of rows (without AMX, 2e-6 of the largest value was seen); `exact` is for the bits
    assert (split - whole).abs().max() <= 5e-6 * whole.abs().max(), sampler
    assert [each.nbytes > 0 for each in guests] == [True]


@pytest.mark.parametrize(("batch", "count"), [(1, 2), (1, 3), (4, 3), (5, 2)])
def test_any_number_of_pictures_is_spread_over_any_number_of_devices(desk, given, batch, count):
    rows = torch.randn(batch, 77, 64, generator=torch.Generator().manual_seed(3))  # a text for each picture
    given["positive"] = Conditioning((Condition(rows),))
    given["negative"] = Conditioning((Condition(torch.randn(1, 154, 64, generator=torch.Generator().manual_seed(4))),))
    latent = Latent(torch.zeros(batch, 4, 4, 4))
    whole = sample(desk.context, **given, latent_image=latent).samples
    split, _ = sample_split(desk, given, latent, count)
    # rounding: 2e-5 was measured; another picture's row or noise would be a difference of the order of 1
    assert (split - whole).abs().max() <= 1e-4 * whole.abs().max()
    exact, _ = sample_split(desk, given, latent, count, exact=True)
    assert torch.equal(exact, sample_split(desk, given, latent, 1, exact=True)[0]), "not the same on one device"
    assert (exact - whole).abs().max() <= 1e-4 * whole.abs().max()


def test_what_patches_put_into_the_network_stays_on_the_workers_own_device(desk, given):
    given["model"] = replace(given["model"], patches=(FreeU(1.3, 1.4, 0.9, 0.2, 64),))
    latent = Latent(torch.zeros(2, 4, 4, 4))
    desk.studio.guests = ()
    whole = sample(desk.context, **given, latent_image=latent).samples
    split, _ = sample_split(desk, given, latent)
    assert torch.equal(split, whole)


def test_without_further_devices_nothing_is_split(desk, given):
    latent = Latent(torch.zeros(2, 4, 4, 4))
    whole = sample(desk.context, **given, latent_image=latent).samples
    assert torch.equal(sample_split(desk, given, latent, 1)[0], whole)


def test_an_exact_split_asks_for_one_row_at_a_time():
    first, second = [], []
    with ThreadPoolExecutor(1) as pool:
        split_network([counting(first), counting(second)], pool, exact=True)(calls_of(3, 2))
    assert (first, second) == ([[1]] * 3, [[1]] * 2)


def calls_of(*sizes):
    return [
        Call(torch.arange(size * 4.0).reshape(size, 1, 2, 2) + 100 * number, torch.tensor(1.0),
             torch.zeros(size, 77, 8), extras={"concat": torch.full((size, 1, 2, 2), float(number))})
        for number, size in enumerate(sizes)
    ]  # fmt: skip


def counting(seen, fail=False):
    def network(calls):
        seen.append([len(call.x) for call in calls])
        if fail:
            raise torch.OutOfMemoryError("none left")
        assert all(len(call.context) == len(call.extras["concat"]) == len(call.x) for call in calls)
        return [call.x * 2 + call.extras["concat"] for call in calls]

    return network


@pytest.mark.parametrize("fail", [False, True])
def test_each_device_is_asked_for_its_share_and_the_first_helps_where_memory_is_out(fail):
    calls = calls_of(3, 2)
    first, second = [], []
    with ThreadPoolExecutor(1) as pool:
        answers = split_network([counting(first), counting(second, fail)], pool)(calls)
    assert second == [[2]]
    assert first == ([[3], [2]] if fail else [[3]])
    for answer, call in zip(answers, calls, strict=True):
        assert torch.equal(answer, call.x * 2 + call.extras["concat"])


def test_another_fault_on_another_device_is_the_runs_fault():
    def broken(calls):
        raise RuntimeError("broken")

    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="broken"):
        split_network([counting([]), broken], pool)(calls_of(2))
