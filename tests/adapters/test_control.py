"""Control networks as patches on conditions: numerics.md, 8.1."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.adapters.control import ControlPatch, is_own_key, open_control
from engine.diffusion.adapters.patches import Difference
from engine.diffusion.checkpoint import load_companion, open_unet
from engine.diffusion.config import config_to_json
from engine.diffusion.control import ControlConfig, ControlNet, T2IConfig
from engine.diffusion.guidance import Area, Condition, prepare
from engine.diffusion.hooks import Pass, Run, Span
from engine.diffusion.network import unet_network
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.tensorfile import CheckpointError
from engine.diffusion.unet import UNet
from engine.graph.types import Conditioning, Image, Model
from engine.graph.types import ControlNet as Loaded
from engine.runtime.signature import digest
from nodes.controlnet import apply_controlnet, apply_controlnet_in_part, load_difference
from tests.parity.small import noise, randomise, small

CONFIG = small("sd1")
TABLE = discrete(CONFIG.schedule)


@pytest.fixture(scope="module")
def network():
    return randomise(ControlNet(ControlConfig(CONFIG.unet, 3)), 4)


@pytest.fixture
def saved(network, tmp_path):
    def save(name="c.safetensors", **more):
        state = {**network.state_dict(), **more}
        save_file(state, tmp_path / name, metadata={"easel.config": config_to_json(CONFIG)})
        return tmp_path / name

    return save


class Watching:
    """In the place of a ControlNet: writes down what it is given, answers ones."""

    def __init__(self):
        self.seen = []

    def __call__(self, x, hint, timestep, context):
        from engine.diffusion.control import Residuals

        self.seen.append((x, hint, timestep, context))
        return Residuals([torch.arange(4.0).view(1, 1, 2, 2)] * 12, torch.ones(1, 1, 2, 2))


def run_of(network):
    return Run(torch.ones(2), TABLE, torch.Generator(), networks=lambda weights, patches: network)


def moment(network, sigma=1.0, rows=2, spans=(), side=8):
    return Pass(torch.zeros(rows, 4, side, 12), torch.tensor(sigma), torch.zeros(rows), noise(rows, 77, 64), spans,
                run_of(network))  # fmt: skip


def test_it_works_between_two_noise_levels_and_multiplies_by_its_strength(saved):
    """Active if end_σ ≤ σ ≤ start_σ, with percents as in 1.3."""
    patch = ControlPatch(open_control(saved()), noise(1, 3, 64, 64), 0.5, 0.25, 0.75)
    high, low = TABLE.percent_to_sigma(0.25), TABLE.percent_to_sigma(0.75)
    for sigma, active in ((high * 1.01, False), (high, True), (low, True), (low * 0.99, False)):
        hooks = patch.hooks(moment(Watching(), sigma))
        assert hooks.empty != active
    (added,) = patch.hooks(moment(Watching(), high)).control
    assert torch.equal(added.output[0], 0.5 * torch.arange(4.0).view(1, 1, 2, 2))
    assert torch.equal(added.middle, 0.5 * torch.ones(1, 1, 2, 2))


def test_a_hint_is_resized_to_eight_times_the_latent_by_nearest_neighbour_and_cropped_in_the_middle(saved):
    """8 × 12 latent: 64 × 96 pixels. A square hint loses rows above and below; no value is mixed or moved."""
    hint = torch.arange(48.0).view(1, 1, 48, 1).expand(1, 3, 48, 48) / 48
    watching = Watching()
    ControlPatch(open_control(saved()), hint, 1.0).hooks(moment(watching))
    given = watching.seen[0][1]
    assert given.shape == (2, 3, 64, 96)
    # the middle 32 rows of 48 are kept, each twice as high
    assert torch.equal(given[0, 0, :, 0], torch.arange(8, 40).repeat_interleave(2) / 48)


def test_the_network_sees_the_latents_channels_the_timestep_and_the_text(saved):
    watching = Watching()
    at = moment(watching)
    ControlPatch(open_control(saved()), noise(1, 3, 64, 64), 1.0).hooks(at)
    x, _, timestep, context = watching.seen[0]
    assert torch.equal(x, at.x)
    assert timestep is at.timestep
    assert context is at.context
    text = noise(1, 77, 64, seed=3)
    patch = ControlPatch(open_control(saved()), noise(1, 3, 64, 64), 1.0)
    patch.told({"cross_attn_controlnet": text}).hooks(at)
    assert torch.equal(watching.seen[1][3], text.expand(2, -1, -1))
    assert patch.told({}) is patch


@pytest.mark.parametrize(
    ("hints", "spans", "rows"),
    [(1, (Span("positive", 0, 3), Span("negative", 3, 6)), [0] * 6),
     (3, (Span("positive", 0, 3), Span("negative", 3, 6)), [0, 1, 2, 0, 1, 2]),
     (2, (Span("positive", 0, 3), Span("negative", 3, 6)), [0, 1, 0, 0, 1, 0]),
     (5, (Span("positive", 0, 3), Span("negative", 3, 6)), [0, 1, 2, 0, 1, 2]),
     (3, (Span("positive", 0, 2, first=1), Span("negative", 2, 4)), [1, 2, 0, 1])],
)  # fmt: skip
def test_every_picture_of_a_batch_takes_its_own_hint(hints, spans, rows, saved):
    """The first per_item hints are used, tiled to fit and repeated for cond and uncond; also in a part of a batch."""
    hint = torch.arange(float(hints)).view(-1, 1, 1, 1).expand(-1, 3, 64, 96)
    watching = Watching()
    ControlPatch(open_control(saved()), hint, 1.0).hooks(moment(watching, rows=len(rows), spans=spans))
    assert watching.seen[0][1][:, 0, 0, 0].tolist() == rows


@pytest.mark.parametrize(("name", "pooled"), [("x_shuffle", True), ("x_shuffle_fp16", True), ("x_shuffled", False)])
def test_shuffle_networks_average_over_the_picture(name, pooled, saved):
    control = open_control(saved(f"{name}.safetensors"))
    (added,) = ControlPatch(control, noise(1, 3, 64, 64), 1.0).hooks(moment(Watching())).control
    wanted = torch.full((1, 1, 2, 2), 1.5) if pooled else torch.arange(4.0).view(1, 1, 2, 2)
    assert torch.equal(added.output[3], wanted)


def conditioning(*texts, **more):
    return Conditioning(tuple(Condition(noise(1, 77, 64, seed=seed), **more) for seed in texts))


@pytest.fixture
def loaded(saved):
    return Loaded(open_control(saved()))


PICTURE = Image(noise(1, 16, 16, 3, seed=8).sigmoid())


def controls(parts):
    return [[patch.strength for patch in part.condition.patches] for part in parts]


def lists(positive, negative):
    return prepare(positive.entries, negative.entries, (1, 4, 8, 8), TABLE)


def test_the_old_node_gives_its_network_to_the_negative_at_sampling(loaded):
    """Positive control j goes to plain negative entry j mod count, later ones overwriting."""
    positive = Conditioning(
        apply_controlnet(conditioning=conditioning(1), control_net=loaded, image=PICTURE, strength=0.1).entries
        + apply_controlnet(conditioning=conditioning(2), control_net=loaded, image=PICTURE, strength=0.2).entries
        + apply_controlnet(conditioning=conditioning(3), control_net=loaded, image=PICTURE, strength=0.3).entries
    )
    plus, minus = lists(positive, conditioning(4, 5))
    assert controls(plus) == [[0.1], [0.2], [0.3]]
    assert controls(minus) == [[0.3], [0.2]]


def test_a_negative_that_has_a_network_of_its_own_is_given_none(loaded):
    positive = apply_controlnet(conditioning=conditioning(1), control_net=loaded, image=PICTURE, strength=0.1)
    own = apply_controlnet(conditioning=conditioning(4), control_net=loaded, image=PICTURE, strength=0.9)
    _, minus = lists(positive, Conditioning(own.entries + conditioning(5).entries))
    assert controls(minus) == [[0.9], []]


def test_a_network_on_an_area_is_not_shared(loaded):
    positive = apply_controlnet(
        conditioning=conditioning(1, area=Area(4, 4, 0, 0)), control_net=loaded, image=PICTURE, strength=0.1
    )
    _, minus = lists(positive, conditioning(4))
    assert controls(minus) == [[], [0.1]], "but the cropped copy of its entry has it (5.3, step 4)"


def test_the_new_node_shares_one_network_between_both_and_nothing_at_sampling(loaded):
    both = apply_controlnet_in_part(
        positive=conditioning(1), negative=conditioning(4), control_net=loaded, image=PICTURE, strength=0.5,
        start_percent=0.1, end_percent=0.6,
    )  # fmt: skip
    (one,), (two,) = (entry.patches for each in both for entry in each.entries)
    assert one is two
    assert (one.start_percent, one.end_percent) == (0.1, 0.6)
    chained = apply_controlnet_in_part(
        positive=both.positive, negative=conditioning(5), control_net=loaded, image=PICTURE, strength=0.25,
        start_percent=0.0, end_percent=1.0,
    )  # fmt: skip
    plus, _ = lists(chained.positive, chained.negative)
    assert controls(plus) == [[0.5, 0.25]]
    _, minus = lists(both.positive, conditioning(5))
    assert controls(minus) == [[]]


def test_strength_zero_is_nothing(loaded):
    text = conditioning(1)
    assert apply_controlnet(conditioning=text, control_net=loaded, image=PICTURE, strength=0.0) is text
    same = apply_controlnet_in_part(positive=text, negative=text, control_net=loaded, image=PICTURE, strength=0.0,
                                    start_percent=0.0, end_percent=1.0)  # fmt: skip
    assert same.positive is text


def test_picture_strength_and_file_are_part_of_the_signature(loaded, saved):
    other = Loaded(open_control(saved("d.safetensors")))
    marks = {
        digest(apply_controlnet(conditioning=conditioning(1), control_net=net, image=image, strength=strength))
        for net in (loaded, other) for image in (PICTURE, Image(1 - PICTURE.pixels)) for strength in (0.5, 1.0)
    }  # fmt: skip
    assert len(marks) == 8
    assert None not in marks


def run(unet, network, positive, negative, batch=1, limit=None):
    sampling = Sampling(
        CONFIG, torch.zeros(batch, 4, 8, 8), positive.entries, negative.entries, seed=1, steps=2, cfg=4.0,
        scheduler="normal", networks=lambda weights, patches: network,
    )  # fmt: skip
    return sample(sampling, unet_network(unet, TABLE, torch.float32, "cpu", limit=limit)).samples


def test_a_split_batch_is_steered_as_a_whole_one_is(loaded, network):
    unet = randomise(UNet(CONFIG.unet))
    hints = Image(noise(3, 64, 64, 3, seed=8).sigmoid())
    positive = apply_controlnet(conditioning=conditioning(1), control_net=loaded, image=hints, strength=1.0)
    whole = run(unet, network, positive, conditioning(4), batch=3)
    split = run(unet, network, positive, conditioning(4), batch=3, limit=2)
    assert torch.allclose(whole, split, rtol=1e-3, atol=1e-3)  # rounding of another batch, twice through the network
    swapped = Image(hints.pixels.flip(0))
    other = apply_controlnet(conditioning=conditioning(1), control_net=loaded, image=swapped, strength=1.0)
    assert not torch.allclose(whole, run(unet, network, other, conditioning(4), batch=3), rtol=1e-2, atol=1e-2)


def test_a_run_without_it_is_bit_identical_to_before(loaded, network):
    unet = randomise(UNet(CONFIG.unet))
    before = run(unet, network, conditioning(1), conditioning(4))
    put = apply_controlnet(conditioning=conditioning(1), control_net=loaded, image=PICTURE, strength=1.0)
    assert not torch.equal(run(unet, network, put, conditioning(4)), before)
    assert torch.equal(run(unet, network, conditioning(1), conditioning(4)), before)


def test_a_control_network_works_beside_a_unet_of_another_number_type(loaded, network):
    """ModelComputeDtype: the UNet in bfloat16, the ControlNet in float32."""
    unet = randomise(UNet(CONFIG.unet))
    put = apply_controlnet(conditioning=conditioning(1), control_net=loaded, image=PICTURE, strength=1.0)
    exact = run(unet, network, put, conditioning(4))
    sampling = Sampling(
        CONFIG, torch.zeros(1, 4, 8, 8), put.entries, conditioning(4).entries, seed=1, steps=2, cfg=4.0,
        scheduler="normal", networks=lambda weights, patches: network,
    )  # fmt: skip
    coarse = sample(sampling, unet_network(unet.bfloat16(), TABLE, torch.bfloat16, "cpu")).samples
    assert 0 < float((coarse - exact).norm() / exact.norm()) < 0.1  # bfloat16 keeps eight bits


def test_differences_are_added_to_the_models_weights(saved, network, residency, tmp_path):
    """numerics.md 8.1: weights += base UNet weights with the same name."""
    unet = randomise(UNet(CONFIG.unet))
    save_file(unet.state_dict(), tmp_path / "u.safetensors", metadata={"easel.config": config_to_json(CONFIG)})
    base = open_unet(tmp_path / "u.safetensors").weights
    path = saved("difference.safetensors", difference=torch.tensor([]))
    control = open_control(path, (base, ()))
    found = residency.have(control.weights, control.patches).state_dict()
    own, theirs = network.state_dict(), unet.state_dict()
    assert all(torch.equal(found[name], own[name] + theirs[name] if name in theirs else own[name]) for name in own)
    with pytest.raises(CheckpointError, match=r"difference\.safetensors: found differences to a model's weights"):
        open_control(path)
    assert open_control(saved(), (base, ())).patches == (), "a whole one is left as it is"
    node = load_difference(SimpleNamespace(file=lambda folder, name: path), model=Model(base, CONFIG),
                           control_net_name=path.name)
    assert node.network == control, "the node opens the same"


def test_the_family_is_told_by_the_texts_width(tmp_path):
    state = ControlNet(ControlConfig(CONFIG.unet, 3)).state_dict()
    save_file(state, tmp_path / "c.safetensors")
    with pytest.raises(CheckpointError, match=r"c\.safetensors: found a ControlNet for texts 64 wide"):
        open_control(tmp_path / "c.safetensors")


def test_one_for_another_family_is_refused_when_it_meets_the_model(saved):
    patch = ControlPatch(open_control(saved()), noise(1, 3, 64, 64), 1.0)
    at = moment(Watching())
    with pytest.raises(ValueError, match=r"c\.safetensors was made for texts 64 wide; this model's are 32 wide"):
        patch.hooks(Pass(at.x, at.sigma, at.timestep, noise(2, 77, 32), (), at.run))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("placement", ["resident", "least"])
def test_what_is_no_number_is_named_when_it_is_read(wrong, placement, saved, network, residency):
    """In memory or passing through it: at the picture's end nobody could tell which file it came from."""
    name = "middle_block.1.transformer_blocks.0.attn1.to_q.weight"
    broken = network.state_dict()[name].clone()
    broken[3, 1] = wrong
    control = open_control(saved(**{name: broken}))
    shape = re.escape(str(list(broken.shape)))
    with pytest.raises(CheckpointError, match=rf"c\.safetensors: found {name} {shape} with NaN or infinity in it"):
        residency.have(control.weights, placement=placement)(
            noise(1, 4, 8, 8), noise(1, 3, 64, 64), torch.zeros(1), noise(1, 77, 64)
        )
    control = open_control(saved("whole.safetensors"))
    residency.have(control.weights, placement=placement)(
        noise(1, 4, 8, 8), noise(1, 3, 64, 64), torch.zeros(1), noise(1, 77, 64)
    )


def test_what_is_no_number_in_a_t2i_adapter_is_named(residency, tmp_path):
    state = randomise(T2IConfig(3, tuple(CONFIG.unet.widths), 2, None).build(), 6).state_dict()
    name = "body.0.block1.weight"
    state[name][0, 0, 0, 0] = float("nan")
    save_file(state, tmp_path / "t.safetensors")
    with pytest.raises(CheckpointError, match=rf"t\.safetensors: found {name} \[.*\] with NaN"):
        residency.have(open_control(tmp_path / "t.safetensors").weights)


def test_what_is_missing_or_misshapen_is_named(saved, network, tmp_path):
    state = network.state_dict()
    del state["zero_convs.3.0.weight"]
    state["middle_block_out.0.weight"] = noise(1, 1)
    save_file(state, tmp_path / "c.safetensors", metadata={"easel.config": config_to_json(CONFIG)})
    with pytest.raises(CheckpointError) as error:
        open_control(tmp_path / "c.safetensors")
    assert "zero_convs.3.0.weight is missing" in str(error.value)
    assert "middle_block_out.0.weight has shape [1, 1], not [128, 128, 1, 1]" in str(error.value)
    save_file({"a": torch.ones(1)}, tmp_path / "d.safetensors")
    with pytest.raises(CheckpointError, match="wanted a ControlNet or a T2I-Adapter"):
        open_control(tmp_path / "d.safetensors")


OWN = ("zero_convs.", "middle_block_out.", "input_hint_block.", "input_blocks.1.0.in_layers.0.")
PRODUCTS = {"time_embed.0": (128, 32), "input_blocks.1.0.in_layers.2": (32, 32, 3, 3),
            "input_blocks.1.1.transformer_blocks.0.attn2.to_k": (32, 64)}  # fmt: skip


def low_rank(network, tmp_path, **more):
    """A Control-LoRA's file: some layers whole, some as products of rank 2, and the rest the model's."""
    state = {name: value for name, value in network.state_dict().items() if name.startswith(OWN)}
    for seed, (module, (out, *rest)) in enumerate(PRODUCTS.items()):
        state[f"{module}.up"] = noise(out, 2, *[1] * (len(rest) - 1), seed=seed)
        state[f"{module}.down"] = noise(2, *rest, seed=9 + seed)
    state = {**state, "lora_controlnet": torch.zeros(0), **more}
    save_file({key: value for key, value in state.items() if value is not None}, tmp_path / "low.safetensors")
    return tmp_path / "low.safetensors", state


@pytest.fixture
def model(tmp_path):
    unet = randomise(UNet(CONFIG.unet))
    save_file(unet.state_dict(), tmp_path / "u.safetensors", metadata={"easel.config": config_to_json(CONFIG)})
    return open_unet(tmp_path / "u.safetensors").weights, unet.state_dict()


def test_a_control_net_of_low_rank_is_the_model_and_its_products(network, model, residency, tmp_path):
    """numerics.md, 8.1: layer weight = base + up·down; what the file has whole is its own."""
    base, theirs = model
    path, state = low_rank(network, tmp_path)
    control = open_control(path, (base, ()))
    found = residency.have(control.weights, control.patches).state_dict()
    for name, value in found.items():
        module = name.removesuffix(".weight")
        if name.startswith(OWN):
            wanted = state[name]
        elif module in PRODUCTS:
            up, down = (state[f"{module}.{side}"] for side in ("up", "down"))
            wanted = theirs[name] + torch.einsum("or,r...->o...", up.flatten(1), down)
        else:
            wanted = theirs[name]
        assert torch.allclose(value, wanted, atol=1e-5), name
    assert not [key for key in state if is_own_key(control, key) and key not in found]


def test_what_is_on_the_model_is_on_its_control_net_of_low_rank_too(network, model, residency, tmp_path):
    base, theirs = model
    path, state = low_rank(network, tmp_path)
    put = (Difference({name: torch.ones(value.shape) for name, value in theirs.items()}),)
    plain, changed = (residency.have(each.weights, each.patches).state_dict()
                      for each in (open_control(path, (base, ())), open_control(path, (base, put))))  # fmt: skip
    for name, value in changed.items():
        assert torch.allclose(value, plain[name] + (0.0 if name in state else 1.0), atol=1e-5), name


@pytest.mark.parametrize(
    ("more", "words"),
    [({"time_embed.0.down": None}, r"time_embed\.0\.up \[128, 2\] without time_embed\.0\.down"),
     ({"time_embed.0.down": torch.zeros(3, 32)},
      r"time_embed\.0\.up \[128, 2\], .*\[3, 32\] does not fit .*\[128, 32\]"),
     ({"nowhere.up": torch.zeros(2, 2), "nowhere.down": torch.zeros(2, 2)},
      r"nowhere\.up .* for nowhere\.weight, which"),
     ({"zero_convs.3.0.weight": None}, r"zero_convs\.3\.0\.weight is missing")],
)  # fmt: skip
def test_a_control_net_of_low_rank_that_does_not_fit_is_refused(more, words, network, model, tmp_path):
    path, _ = low_rank(network, tmp_path, **more)
    with pytest.raises(CheckpointError, match=words):
        open_control(path, (model[0], ()))


def test_a_control_net_of_low_rank_needs_a_model_for_latents(network, model, tmp_path):
    path, _ = low_rank(network, tmp_path)
    with pytest.raises(CheckpointError, match=r"found differences .* Load it with Load ControlNet Model \(diff\)"):
        open_control(path)
    nine = replace(model[0], config=replace(model[0].config, in_channels=9))
    with pytest.raises(CheckpointError, match="found a model that reads 9 channels"):
        open_control(path, (nine, ()))


def test_grey_adapters_read_the_mean_of_the_colours(tmp_path):
    from diffusers import T2IAdapter

    theirs = randomise(T2IAdapter(in_channels=1, channels=[8, 8, 8, 8], adapter_type="full_adapter"))
    save_file(theirs.state_dict(), tmp_path / "t.safetensors")
    control = open_control(tmp_path / "t.safetensors")
    network = load_companion(control.weights, torch.float32)
    hint = noise(1, 3, 64, 96).sigmoid()
    (added,) = ControlPatch(control, hint, 1.0).hooks(moment(network, rows=1)).control
    assert sorted(added.input) == [2, 5, 8, 11]
    assert torch.allclose(added.input[2], theirs(hint.mean(1, keepdim=True))[0], atol=1e-5)
