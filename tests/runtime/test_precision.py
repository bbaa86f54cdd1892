"""Which number type networks compute in: flags to types, types to what is loaded and to signatures."""

import argparse
import doctest
import math

import pytest
import torch

from engine.diffusion.checkpoint import load_unet, load_vae, open_checkpoint
from engine.diffusion.guidance import Condition
from engine.diffusion.sampling import Sampling, sample, unet_network
from engine.diffusion.schedules import discrete
from engine.diffusion.vae import decode
from engine.files.folders import make_folders
from engine.graph.types import Model, Vae
from engine.runtime import precision_flags
from engine.runtime.context import NodeContext, finish
from engine.runtime.device import precision
from engine.runtime.device.precision import Dtypes, choose_dtypes, processor_features, rounds_text
from engine.runtime.precision_flags import FLAGS, NetworkTypes, precision_notes, read_types
from engine.runtime.settings import Settings, add_worker_flags, read_settings, worker_arguments
from engine.runtime.worker import Engine
from tests.nodes.studio import Desk, _node
from tests.served import STANDIN

torch.set_num_threads(1)  # two cores are shared

F64, F32, F16, BF16 = torch.float64, torch.float32, torch.float16, torch.bfloat16
PLAIN = frozenset({"avx2", "avx512_f"})


def options(*words):
    parser = argparse.ArgumentParser()
    add_worker_flags(parser)
    return parser.parse_args(words)


def types_of(*words, kind="cpu", features=PLAIN):
    found = options(*words)
    return choose_dtypes(found.precision, kind, features, read_types(found))


# -- the choice -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "features", "expected"),
    [
        ("cpu", frozenset(), Dtypes(F32, F32, F32)),
        ("cpu", PLAIN, Dtypes(F32, F32, F32)),
        ("cpu", PLAIN | {"avx512_bf16"}, Dtypes(BF16, BF16, F32)),
        ("cpu", PLAIN | {"amx_bf16", "amx_tile"}, Dtypes(BF16, BF16, F32)),
        ("cpu", PLAIN | {"avx512_fp16", "amx_int8"}, Dtypes(F32, F32, F32)),
        ("cuda", PLAIN | {"avx512_bf16"}, Dtypes(F16, F32, F32)),
    ],
)
def test_auto_takes_the_fastest_type_that_the_processor_multiplies(kind, features, expected):
    assert types_of(kind=kind, features=frozenset(features)) == expected


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--precision", "fp32"), Dtypes(F32, F32, F32)),
        (("--force-fp32",), Dtypes(F32, F32, F32)),
        (("--precision", "fp16"), Dtypes(F16, F32, F32)),
        (("--force-fp16",), Dtypes(F16, F32, F32)),
        (("--precision", "bf16"), Dtypes(BF16, BF16, F32)),
        (("--force-fp32", "--fp64-unet"), Dtypes(F64, F32, F32)),
        (("--force-fp32", "--bf16-unet", "--fp16-vae", "--bf16-text-enc"), Dtypes(BF16, F16, BF16)),
        (("--force-fp16", "--fp32-unet", "--bf16-vae", "--fp32-text-enc"), Dtypes(F32, BF16, F32)),
        (("--precision", "bf16", "--fp16-unet", "--fp32-vae", "--fp16-text-enc"), Dtypes(F16, F32, F32)),
    ],
)
def test_what_is_asked_for_is_taken_on_every_device_and_a_networks_own_flag_wins(words, expected, kind):
    assert types_of(*words, kind=kind, features=PLAIN | {"amx_bf16"}) == expected


def test_an_autoencoder_on_the_cpu_takes_the_cpus_type():
    assert types_of("--cpu-vae", kind="cuda", features=PLAIN | {"amx_bf16"}).vae == BF16
    assert types_of("--cpu-vae", kind="cuda").vae == F32
    assert types_of("--cpu-vae", "--fp16-vae", kind="cuda").vae == F16


def test_text_weights_are_rounded_as_in_comfyui_unless_asked_otherwise():
    """numerics.md, 6.1."""
    rounded = {words: rounds_text(read_types(options(*words))) for words in (
        (), ("--force-fp32",), ("--fp16-text-enc",), ("--fp8_e5m2-text-enc",), ("--fp32-text-enc",),
        ("--bf16-text-enc",))}  # fmt: skip
    assert list(rounded.values()) == [True, True, True, True, False, False]


@pytest.mark.parametrize("module", [precision_flags, precision])
def test_the_examples_are_true(module):
    assert doctest.testmod(module).attempted
    assert not doctest.testmod(module).failed


def test_the_processor_is_asked():
    features = processor_features()
    assert features <= set(torch.cpu.get_capabilities())
    assert all(isinstance(name, str) for name in features)


# -- the flags ------------------------------------------------------------------------------------------------------

PEERS = (
    "--force-fp32", "--force-fp16", "--fp32-unet", "--fp64-unet", "--bf16-unet", "--fp16-unet", "--fp8_e4m3fn-unet",
    "--fp8_e5m2-unet", "--fp8_e8m0fnu-unet", "--fp16-vae", "--fp32-vae", "--bf16-vae", "--cpu-vae",
    "--fp8_e4m3fn-text-enc", "--fp8_e5m2-text-enc", "--fp16-text-enc", "--fp32-text-enc", "--bf16-text-enc",
)  # fmt: skip


@pytest.mark.parametrize("flag", PEERS)
def test_each_of_the_peers_flags_reaches_the_worker_or_is_said_to_do_nothing(flag):
    given = options(flag)
    assert read_settings(options(*worker_arguments(given))).types == read_settings(given).types
    assert options(*worker_arguments(given)).precision == given.precision
    changes = (given.precision, read_types(given)) != ("auto", NetworkTypes())
    assert changes != bool(precision_notes(given))
    assert all(note.startswith(f"{flag} has no effect") for note in precision_notes(given))


def test_flags_that_contradict_each_other_are_refused(capsys):
    pairs = [(a.name, b.name) for a in FLAGS for b in FLAGS if a.option == b.option and a.name < b.name]
    assert len(pairs) == 1 + 21 + 3 + 10
    for pair in (*pairs, ("--force-fp32", "--precision=bf16")):
        with pytest.raises(SystemExit):
            options(*pair)
        assert "not allowed with argument" in capsys.readouterr().err


def test_a_batch_limit_is_a_number_from_one_on(capsys):
    assert options().batch_limit is None
    assert read_settings(options(*worker_arguments(options("--batch-limit", "3")))).batch_limit == 3
    for bad in ("0", "-1", "two", "1.5", ""):
        with pytest.raises(SystemExit):
            options("--batch-limit", bad)
        assert "at least 1" in capsys.readouterr().err


# -- what comes of it -----------------------------------------------------------------------------------------------


def test_a_command_line_says_what_has_no_effect(capsys, caplog):
    import server

    with pytest.raises(SystemExit):
        server.main(["run", "--fp8_e5m2-unet", "--fp16-unet", "none.json"])
    assert "not allowed" in capsys.readouterr().err
    assert server.main(["run", "--fp8_e5m2-unet", "none.json"]) == 2
    assert [record.message for record in caplog.records] == [
        "--fp8_e5m2-unet has no effect: Easel does not compute in 8 bits"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16"}, {"types": NetworkTypes(unet="fp64")}, {"types": NetworkTypes(vae="bf16")},
        {"types": NetworkTypes(text="bf16")}, {"types": NetworkTypes(text="fp32")},
        {"types": NetworkTypes(cpu_vae=True)}, {"batch_limit": 1},
    ],
)  # fmt: skip
def test_how_is_computed_belongs_to_the_signature_of_what_runs_on_the_device(changes, tmp_path):
    folders = make_folders(data=tmp_path / "data", models=tmp_path / "models")
    tokens = []
    for settings in (
        Settings(folders, cpu=True, precision="fp32"), Settings(folders, cpu=True, **{"precision": "fp32", **changes})
    ):
        engine = Engine(settings)
        try:
            tokens.append([
                engine.token_of(_node(), engine.registry.nodes[name])
                for name in ("KSampler", "VAEDecode", "CLIPTextEncode", "EmptyLatentImage")
            ])
        finally:
            engine.close()
    one, other = tokens
    assert [a == b for a, b in zip(one, other, strict=True)] == [False, False, False, True]


def test_what_the_wish_says_is_what_the_networks_compute_in(tmp_path):
    folders = make_folders(data=tmp_path / "data", models=tmp_path / "models")
    engine = Engine(Settings(folders, cpu=True, precision="fp32", types=NetworkTypes("fp64", "bf16", "fp32")))
    try:
        assert engine.residency.dtypes == Dtypes(F64, BF16, F32)
        assert engine.studio.vae_residency is engine.residency
        found = open_checkpoint(STANDIN)
        assert next(engine.residency.have(found.unet).parameters()).dtype == F64
        assert next(engine.residency.have(found.vae).parameters()).dtype == BF16
    finally:
        engine.close()


def test_an_autoencoder_kept_apart_is_loaded_there_and_let_go_there(tmp_path):
    folders = make_folders(data=tmp_path / "data", models=tmp_path / "models")
    engine = Engine(Settings(folders, cpu=True, precision="fp32", types=NetworkTypes(cpu_vae=True)))
    try:
        found = open_checkpoint(STANDIN)
        context = NodeContext(engine.studio, _node(), "1", None, lambda event: None)
        context.autoencoder(Vae(found.vae, found.config))
        assert (engine.residency.nbytes, engine.vae_residency.nbytes > 0) == (0, True)
        assert engine.free(models=True, cache=False) == 0, "what a node uses stays"
        finish(context)
        assert engine.free(models=True, cache=False) > 0
        assert engine.vae_residency.nbytes == 0
    finally:
        engine.close()


def run_of(config, size=(4, 4), batch=1, **more):
    text = torch.randn(1, 77, config.unet.context_dim, generator=torch.Generator().manual_seed(2))
    entries = (Condition(text),), (Condition(-text),)
    return Sampling(config, torch.zeros(batch, 4, *size), *entries, **{"steps": 2, "cfg": 7.0, "seed": 1, **more})


def test_a_batch_limit_reaches_the_network_and_changes_no_picture(tmp_path, monkeypatch):
    """Three pictures with both sides of guidance are six items; the limit lets two through at a time."""
    desk = Desk(tmp_path)
    found = open_checkpoint(STANDIN)
    model, sizes = Model(found.unet, found.config), []
    unet = desk.studio.residency.have(found.unet)
    unet.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    whole = desk.context.sample(model, run_of(found.config, batch=3)).samples
    assert sizes == [6, 6]
    sizes.clear()
    desk.studio.batch_limit = 2
    split = desk.context.sample(model, run_of(found.config, batch=3)).samples
    assert sizes == [2] * 6
    assert torch.allclose(split, whole, atol=1e-4)


def test_the_autoencoder_takes_pictures_one_by_one_whatever_the_limit():
    from engine.diffusion.vae import encode

    found = open_checkpoint(STANDIN)
    vae, sizes = load_vae(found.vae, F32), []
    for part in (vae.encoder, vae.decoder):
        part.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    encode(vae, decode(vae, torch.zeros(3, 4, 2, 2)))
    assert sizes == [1] * 6


@pytest.fixture(scope="module")
def exact():
    return render(F32, F32)


def render(unet_type, vae_type):
    found = open_checkpoint(STANDIN)
    network = unet_network(load_unet(found.unet, unet_type), discrete(found.config.schedule), unet_type, "cpu")
    latent = sample(run_of(found.config, (16, 16), steps=20, sampler="euler"), network).samples
    return decode(load_vae(found.vae, vae_type), latent)


@pytest.mark.parametrize("chosen", [Dtypes(BF16, BF16, F32)])
def test_the_fast_types_of_a_cpu_keep_the_picture_within_35_db(chosen, exact):
    """Peak signal to noise over a whole run; DESIGN 5's bound for `auto`. Measured: 43 dB."""
    assert types_of(features=frozenset({"avx512_bf16"})) == chosen
    error = float((render(chosen.unet, chosen.vae) - exact).square().mean())
    assert 35.0 < -10 * math.log10(error) < 80.0


def test_float64_agrees_with_float32_to_its_rounding(exact):
    assert 0 < float((render(F64, F32) - exact).abs().max()) < 1 / 255
