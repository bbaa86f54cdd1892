"""LoRAs that PEFT made, saved by diffusers, against PEFT's own layers in diffusers' UNet and transformers' text tower.

Where ComfyUI's rule is another: it leaves PEFT's alpha in the metadata unread (its scale is then 1), and divides DoRA's
weights by the norm of W where there is one magnitude per output. Here both are as PEFT has them.
"""

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.adapters.load import open_lora
from engine.diffusion.adapters.patches import changes
from engine.diffusion.checkpoint import load_text, load_unet, open_text, open_unet
from engine.diffusion.config import config_to_json
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from tests.parity.oracles import diffusers_unet
from tests.parity.small import distance, noise, randomise, small

peft = pytest.importorskip("peft", reason="an oracle for tests alone: requirements-dev.txt")
pytestmark = pytest.mark.full
CLOSE = 1e-5  # relative; float32, W + s·BA in one matrix instead of two products
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
TARGETS = [*ATTENTION, "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "conv_shortcut"]
INPUTS = (noise(2, 4, 8, 8), torch.tensor([500, 20]), noise(2, 77, 64, seed=2))


def filled(model, seed=3):
    """PEFT starts with a difference of zero; put something there."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        if "magnitude" in name:
            parameter.data = parameter.data * 1.3
        elif any(word in name for word in ("lora_", "hada_", "lokr_")):
            parameter.data = torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5 / 2
    return model.eval()


def opened(tmp_path, config, module, state):
    path = tmp_path / "base.safetensors"
    save_file({name: value.contiguous() for name, value in state.items()}, path,
              metadata={"easel.config": config_to_json(config)})  # fmt: skip
    return open_unet(path).weights if isinstance(module, UNet) else open_text(path).weights


def put_on(weights, path, strength, load):
    found = open_lora(path, weights)
    assert found.unused is None
    with changes(weights, found.patches(weights, strength), torch.float32) as made:
        return load(weights, torch.float32, "cpu", made)


CONFIGS = {
    "lora": {"r": 4, "lora_alpha": 4}, "alpha": {"r": 4, "lora_alpha": 10},
    "rank-stabilised": {"r": 4, "lora_alpha": 6, "use_rslora": True},
    "patterns": {"r": 4, "lora_alpha": 4, "alpha_pattern": {"attn1.to_q": 9}, "rank_pattern": {"attn2.to_k": 2}},
    "dora": {"r": 4, "lora_alpha": 8, "use_dora": True},
}  # fmt: skip


@pytest.mark.parametrize("family", ["sd1", "sd2-base"])
@pytest.mark.parametrize("kind", list(CONFIGS))
def test_a_unets_lora_is_pefts(kind, family, tmp_path):
    """Saved by diffusers' pipeline, with PEFT's settings in the metadata."""
    from diffusers import StableDiffusionPipeline

    config = small(family)
    unet = randomise(UNet(config.unet))
    weights = opened(tmp_path, config, unet, unet.state_dict())
    theirs = diffusers_unet(unet)
    settings = CONFIGS[kind]
    theirs.add_adapter(peft.LoraConfig(target_modules=TARGETS, **settings))
    filled(theirs)
    StableDiffusionPipeline.save_lora_weights(
        tmp_path, unet_lora_layers=peft.get_peft_model_state_dict(theirs),
        unet_lora_adapter_metadata=theirs.peft_config["default"].to_dict(),
    )  # fmt: skip
    ours = put_on(weights, tmp_path / "pytorch_lora_weights.safetensors", 1.0, load_unet)
    with torch.no_grad():
        oracle, found = theirs(*INPUTS).sample, ours(*INPUTS)
        assert distance(found, oracle) < CLOSE
        assert distance(unet(*INPUTS), oracle) > 1e-2
        if kind != "dora":  # half strength is half of the difference; PEFT's DoRA scales inside of the norm
            theirs.set_adapters(["default"], [0.5])
            half = put_on(weights, tmp_path / "pytorch_lora_weights.safetensors", 0.5, load_unet)
            assert distance(half(*INPUTS), theirs(*INPUTS).sample) < CLOSE


@pytest.mark.parametrize("kind", ["loha", "lokr"])
def test_lohas_and_lokrs_in_pefts_layout_are_pefts(kind, tmp_path):
    """PEFT writes no alpha; rank and alpha are equal here, for which ComfyUI's rule is PEFT's."""
    config = small("sd1")
    unet = randomise(UNet(config.unet))
    weights = opened(tmp_path, config, unet, unet.state_dict())
    settings = {"loha": peft.LoHaConfig, "lokr": peft.LoKrConfig}[kind](r=4, alpha=4, target_modules=ATTENTION)
    theirs = filled(peft.get_peft_model(diffusers_unet(unet), settings))
    state = {name: value.contiguous() for name, value in peft.get_peft_model_state_dict(theirs).items()}
    save_file(state, tmp_path / "l.safetensors")
    ours = put_on(weights, tmp_path / "l.safetensors", 1.0, load_unet)
    with torch.no_grad():
        oracle = theirs(*INPUTS).sample
        assert distance(ours(*INPUTS), oracle) < CLOSE
        assert distance(unet(*INPUTS), oracle) > 1e-2


@pytest.mark.parametrize("family", ["sd1", "sd2-base"])
def test_a_text_encoders_lora_is_pefts(family, tmp_path):
    config = small(family)
    text = randomise(TextEncoder(config.text))
    state = {name.replace("transformer.", "text_model.", 1): value for name, value in text.state_dict().items()}
    weights = opened(tmp_path, config, text, state)
    adapted = TextEncoder(config.text)
    adapted.load_state_dict(text.state_dict())
    targets = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
    put = peft.get_peft_model(adapted.transformer, peft.LoraConfig(r=4, lora_alpha=4, target_modules=targets))
    filled(adapted)
    state = peft.get_peft_model_state_dict(put)
    save_file({name.replace("base_model.model.", "text_encoder.text_model.", 1): value.contiguous()
               for name, value in state.items()}, tmp_path / "l.safetensors")  # fmt: skip
    ours = put_on(weights, tmp_path / "l.safetensors", 1.0, lambda *given: load_text(*given, fp16_rounded=False))
    chunk = [[(token, 1.0) for token in (49406, 320, 1125, 49407, *[49407] * 73)]]
    with torch.no_grad():
        oracle, found = adapted(chunk, 1)[0], ours(chunk, 1)[0]
    assert distance(found, oracle) < CLOSE
    assert distance(text(chunk, 1)[0], oracle) > 1e-2
