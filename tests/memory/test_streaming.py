"""Networks that do not fit into memory run with their weights passing through it, and give the same bits."""

from __future__ import annotations

import math

import pytest
import torch

from engine.diffusion.adapters.hypernetwork import open_hypernetwork
from engine.diffusion.checkpoint import CheckpointError, open_checkpoint, reading, shapes
from engine.diffusion.fast import Conv2d
from engine.diffusion.kernels import build
from engine.diffusion.patches.deepcache import DeepCache
from engine.diffusion.strips import decode_in_strips, encode_in_strips
from engine.diffusion.text import encode, tokenizer
from engine.diffusion.vae import decode
from engine.diffusion.vae import encode as to_latent
from engine.runtime.device.memory import Ledger
from engine.runtime.device.precision import choose_dtypes
from engine.runtime.device.residency import Residency
from tests.adapters.test_hypernetwork import save as save_hypernetwork
from tests.memory.models import TEXT, write_model

WITHOUT = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, WITHOUT])]
PLENTY = 2**40


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return open_checkpoint(write_model(tmp_path_factory.mktemp("models") / "m.safetensors"))


def residency(device, budget, **more):
    return Residency(torch.device(device), choose_dtypes("fp32", device), budget, **more)


def inputs(device):
    generator = torch.Generator().manual_seed(3)
    made = torch.randn(2, 4, 8, 8, generator=generator), torch.tensor([500.0, 20.0]), torch.randn(
        2, 77, TEXT, generator=generator)
    return tuple(each.to(device) for each in made)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
@torch.no_grad()
def test_a_streamed_unet_gives_the_bits_of_a_resident_one_within_its_room(checkpoint, device, share):
    whole = residency(device, PLENTY)
    wanted = whole.have(checkpoint.unet)(*inputs(device))
    size, least = whole.size(checkpoint.unet)
    tight = residency(device, int(least + share * (size - least)))
    network = tight.have(checkpoint.unet)
    assert tight.is_streamed(checkpoint.unet)
    assert 0 < tight.nbytes <= tight.budget
    for _ in range(2):
        assert torch.equal(network(*inputs(device)), wanted)
    held = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in network.parameters()}
    (entry,) = tight._resident.values()
    assert sum(held.values()) + sum(each.nbytes for each in entry.stream._slots) <= tight.nbytes


@pytest.mark.parametrize("device", DEVICES)
@torch.no_grad()
def test_what_comes_next_is_read_ahead(checkpoint, device):
    """In the first pass the order is known from the network, in later ones from the one before; nothing comes twice."""
    tight = residency(device, 1)
    network = tight.have(checkpoint.unet)
    (entry,) = tight._resident.values()
    x, timesteps, texts = inputs(device)
    network(x, timesteps, texts)
    waits = entry.stream.waits
    reads = entry.stream.reads
    assert waits <= 3
    for number in range(3):
        network(x, timesteps + number, texts)  # which nobody announced
    assert entry.stream.reads - reads <= 3 * (len(entry.stream.layout.chunks) - len(entry.stream.layout.stays))
    assert entry.stream.waits - waits <= 3, "at most once a pass nobody foresaw what is wanted"
    assert entry.stream.reads > reads + 3 * (len(entry.stream.layout.chunks) - len(entry.stream.layout.stays) - 2)


@pytest.mark.parametrize("device", DEVICES)
def test_text_encoders_and_autoencoders_are_streamed_too(checkpoint, device):
    whole, tight = residency(device, PLENTY), residency(device, 1)

    def run(have):
        states = encode(have(checkpoint.text), tokenizer(), "a (red:1.3) cat", checkpoint.config.text).states
        latent = torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8)
        vae = have(checkpoint.vae)
        picture = decode(vae, latent)
        parts = decode_in_strips(vae, latent), encode_in_strips(vae, picture)
        return states, picture, to_latent(vae, picture), *parts

    for one, other in zip(run(whole.have), run(tight.have), strict=True):
        assert torch.equal(one, other)
    assert tight.is_streamed(checkpoint.vae) and not tight.is_streamed(checkpoint.text), "the last one used is there"


@pytest.mark.skipif(not build.available(), reason=f"no compiled kernels here: {build.why_not()}")
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_packed_weights_are_streamed_too(tmp_path, share):
    """What packs them on the reading thread must not ask a layer for the weight that it waits for itself."""
    packable = open_checkpoint(write_model(tmp_path / "m.safetensors", 32))
    dtypes = choose_dtypes("bf16", "cpu", frozenset())
    whole = Residency(torch.device("cpu"), dtypes, PLENTY)
    size, least = whole.size(packable.unet)
    tight = Residency(torch.device("cpu"), dtypes, int(least + share * (size - least)))
    x, timesteps, texts = inputs("cpu")
    given = x.bfloat16(), timesteps, texts.bfloat16()
    latent = torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8)

    def run(have):
        with torch.no_grad():
            answers = [have(packable.unet)(*given) for _ in range(2)]
        return *answers, decode(have(packable.vae), latent), decode_in_strips(have(packable.vae), latent)

    for one, other in zip(run(whole.have), run(tight.have), strict=True):
        assert torch.equal(one, other)
    assert tight.is_streamed(packable.vae)
    assert sum(layer.packed for layer in tight.have(packable.vae).modules() if isinstance(layer, Conv2d)) > 10


def test_a_streamed_unet_carries_hypernetworks(checkpoint, tmp_path):
    path, _ = save_hypernetwork(tmp_path, (TEXT,))
    put = (open_hypernetwork(path, checkpoint.unet, 0.5), open_hypernetwork(path, checkpoint.unet, 0.8))
    plain = residency("cpu", PLENTY).have(checkpoint.unet)(*inputs("cpu"))
    for patches in (put[:1], put):
        wanted = residency("cpu", PLENTY).have(checkpoint.unet, patches)(*inputs("cpu"))
        tight = residency("cpu", 1)
        found = tight.have(checkpoint.unet, patches)(*inputs("cpu"))
        assert tight.is_streamed(checkpoint.unet, patches)
        assert torch.equal(found, wanted)
        assert not torch.allclose(found, plain, atol=1e-3)


def test_passes_that_leave_out_the_inner_blocks_find_their_weights(checkpoint):
    """DeepCache skips most of the network in some passes: what was read ahead is then not what is wanted."""
    from engine.diffusion.guidance import Condition
    from engine.diffusion.network import unet_network
    from engine.diffusion.sampling import Sampling, process_of, sample

    text = torch.randn(1, 77, TEXT, generator=torch.Generator().manual_seed(1))
    run = Sampling(
        checkpoint.config, torch.zeros(1, 4, 8, 8), (Condition(text),), (Condition(text * 0.5),), steps=6, cfg=3.0,
        patches=(DeepCache(2, 3),),
    )

    def latent(budget):
        network = residency("cpu", budget).have(checkpoint.unet)
        return sample(run, unet_network(network, process_of(run), torch.float32, "cpu")).samples

    assert torch.equal(latent(PLENTY), latent(1))


def test_a_file_that_changes_while_it_is_streamed_is_refused(tmp_path):
    path = write_model(tmp_path / "m.safetensors")
    network = residency("cpu", 1).have(open_checkpoint(path).unet)
    path.touch()
    with pytest.raises(CheckpointError, match="found a file that changed"):
        network(*inputs("cpu"))


def test_two_networks_share_a_ledger_and_the_one_in_use_stays(checkpoint):
    whole = residency("cpu", PLENTY)
    unet, vae = whole.size(checkpoint.unet)[0], whole.size(checkpoint.vae)[0]
    ledger = Ledger(unet + vae // 2)
    tight = residency("cpu", 0, ledger=ledger)
    tight.have(checkpoint.unet, user="a node")
    tight.have(checkpoint.vae)
    assert tight.is_streamed(checkpoint.vae) and not tight.is_streamed(checkpoint.unet)
    assert ledger.held <= ledger.budget
    tight.release("a node")
    tight.have(checkpoint.vae)
    assert not tight.is_streamed(checkpoint.vae), "all of it fits when the other may go"
    assert tight.nbytes == vae


def test_room_for_what_a_pass_takes_is_made_before_it_runs(checkpoint):
    whole = residency("cpu", PLENTY)
    unet, least = whole.size(checkpoint.unet)
    need = (unet - least) // 2
    tight = residency("cpu", unet + need // 2)
    tight.have(checkpoint.unet)
    assert not tight.is_streamed(checkpoint.unet)
    tight.have(checkpoint.unet, user="a run", need=need)
    assert tight.is_streamed(checkpoint.unet)
    assert tight.nbytes + need <= tight.budget
    assert tight.ledger.reserved == need
    tight.release("a run")
    assert tight.ledger.reserved == 0


def test_a_streamed_network_that_goes_is_gone(checkpoint):
    """Nothing holds on to it in a circle: its memory must not wait for the collector of garbage."""
    import weakref

    tight = residency("cpu", 1)
    network = tight.have(checkpoint.unet)
    network(*inputs("cpu"))
    gone = weakref.ref(next(network.parameters()))
    del network
    tight.clear()
    assert gone() is None


def test_networks_that_jobs_in_line_want_go_last(tmp_path):
    paths = [write_model(tmp_path / f"{name}.safetensors", seed=number) for number, name in enumerate("ab")]
    first, second = (open_checkpoint(path).unet for path in paths)
    held = residency("cpu", PLENTY)
    held.awaited = frozenset({first.path})
    for weights in (first, second):
        held.have(weights)
    for entry in held._resident.values():
        entry.worth = 1.0
    held.drop_cheapest()
    assert [key[0].path for key in held._resident] == [first.path]


def test_a_network_that_another_form_of_it_replaces_is_gone_before_that_is_loaded(checkpoint):
    """Both at once would take what the budget has for one."""
    import weakref

    tight = residency("cpu", PLENTY)
    gone = weakref.ref(next(tight.have(checkpoint.unet).parameters()))
    load, seen = tight._loaders["unet"], []
    tight._loaders = {"unet": lambda *given: (seen.append(gone() is None), load(*given))[1]}
    tight.have(checkpoint.unet, placement="streamed")
    assert seen == [True]


def test_weights_that_pass_are_read_into_one_buffer(checkpoint):
    with reading(checkpoint.unet) as read:
        wanted = {name: read(name).clone() for name, _ in checkpoint.unet.mapping}
    with reading(checkpoint.unet, list(wanted)) as read:
        for name, value in wanted.items():
            assert torch.equal(read(name), value)
        places = {read(name).untyped_storage().data_ptr() for name in wanted}
        largest = max(value.nbytes for value in wanted.values())
        assert len(places) == 1 and read(name).untyped_storage().nbytes() == largest
    with reading(checkpoint.unet, [name]) as read:
        places = {read(each).untyped_storage().data_ptr() for each in (name, *list(wanted)[:3])}
    assert len(places) > 1, "only those that are said to pass"


def test_what_is_read_beside_the_ring_is_reckoned_with(checkpoint):
    """Weights of two bytes in the file, kept in four: half a slot is taken by what is being read."""
    tight = residency("cpu", 1)
    tight.have(checkpoint.unet)
    (entry,) = tight._resident.values()
    layout = entry.stream.layout
    assert layout.aside == layout.slot // 2
    assert layout.ring < tight.nbytes <= tight.size(checkpoint.unet)[1], "no more than was said to be the least"


def test_reading_a_large_weight_needs_room_too(checkpoint):
    """A network that would fit exactly does not, while its largest weight is read."""
    whole, _ = residency("cpu", PLENTY).size(checkpoint.text)
    largest = max(math.prod(shape) for shape in shapes(checkpoint.text.config).values()) * 2
    for budget, streamed in ((whole + largest, False), (whole + largest - 1, True)):
        made = residency("cpu", budget)
        made.have(checkpoint.text)
        assert made.is_streamed(checkpoint.text) is streamed
