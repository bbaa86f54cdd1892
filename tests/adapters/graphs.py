"""Graphs with one adapter each, and the small random files that they read.

        ┌ LoRA ┐          ┌ hook, keyframes ┐
file ──┤       ├─ merge ──┤  ControlNet     ├── KSampler ── picture
file ──┘       └──────────┤  text box       │
        image encoder ────┤  style          │
                          └─────────────────┘
"""

from safetensors.torch import save_file

from engine.diffusion.config import config_to_json
from engine.diffusion.control import ControlConfig, ControlNet, T2IConfig
from engine.diffusion.gligen import Gligen, GligenConfig, transformers
from engine.diffusion.standin import standin_config, standin_tensors
from engine.diffusion.style import StyleAdapter, StyleConfig
from tests.adapters.test_hypernetwork import save as save_hypernetwork
from tests.parity.small import noise, randomise
from tests.presets import companion, vision

CONFIG = standin_config()
METADATA = {"easel.config": config_to_json(CONFIG)}
THEIRS = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v"
KEY = "lora_unet_" + THEIRS.replace(".", "_")
PAIR = {f"{KEY}.lora_up.weight": noise(64, 4, seed=3), f"{KEY}.lora_down.weight": noise(4, 64, seed=4)}
LORAS = {
    "loha": {f"{KEY}.hada_{name}": noise(*shape, seed=5) for name, shape in (
        ("w1_a", (64, 4)), ("w1_b", (4, 64)), ("w2_a", (64, 4)), ("w2_b", (4, 64)))},
    "lokr": {f"{KEY}.lokr_w1": noise(8, 8, seed=6), f"{KEY}.lokr_w2": noise(8, 8, seed=7)},
    "dora": {**PAIR, f"{KEY}.dora_scale": noise(1, 64, seed=8).abs() + 1},
    "locon": {"lora_unet_conv_out.lora_up.weight": noise(4, 2, 1, 1, seed=3),
              "lora_unet_conv_out.lora_down.weight": noise(2, CONFIG.unet.model_channels, 3, 3, seed=4)},
    "peft": {f"base_model.model.{THEIRS}.lora_B.weight": noise(64, 4, seed=3),
             f"base_model.model.{THEIRS}.lora_A.weight": noise(4, 64, seed=4)},
    "difference": {f"{KEY}.diff": noise(64, 64, seed=5)},
}  # fmt: skip


def write_models(root):
    """Write a random file of each kind of adapter into the folders of ``root``, and two checkpoints."""
    for folder in ("checkpoints", "loras", "controlnet", "gligen", "embeddings", "hypernetworks", "clip_vision",
                   "style_models"):  # fmt: skip
        (root / folder).mkdir()
    for name, seed in (("a", 1), ("b", 2)):
        save_file(standin_tensors(CONFIG, seed), root / "checkpoints" / f"{name}.safetensors", metadata=METADATA)
    lora = {f"{KEY}.lora_up.weight": noise(64, 4), f"{KEY}.lora_down.weight": noise(4, 64, seed=2)}
    save_file(lora, root / "loras" / "l.safetensors")
    for kind, state in LORAS.items():
        save_file(state, root / "loras" / f"{kind}.safetensors")
    save_hypernetwork(root / "hypernetworks", (64,))
    save_file({"emb_params": noise(2, 64, seed=9)}, root / "embeddings" / "e.safetensors")
    adapter = randomise(T2IConfig(3, tuple(CONFIG.unet.widths), 2, None).build(), 6)
    save_file(adapter.state_dict(), root / "controlnet" / "t.safetensors")
    control = randomise(ControlNet(ControlConfig(CONFIG.unet, 3)), 4)
    save_file(control.state_dict(), root / "controlnet" / "c.safetensors", metadata=METADATA)
    names, state = list(transformers(CONFIG.unet)), {}
    for name, value in randomise(Gligen(GligenConfig(CONFIG.unet, 32))).state_dict().items():
        parts = name.split(".", 2)
        state[f"{names[int(parts[1])]}.fuser.{parts[2]}" if parts[0] == "fusers" else name] = value.contiguous()
    save_file(state, root / "gligen" / "g.safetensors", metadata=METADATA)
    seen = vision()
    save_file(companion(seen, 7).state_dict(), root / "clip_vision" / "v.safetensors")
    style = randomise(StyleAdapter(StyleConfig(tokens=2, width=seen.width, text_width=CONFIG.text.width, layers=1)), 8)
    save_file(style.state_dict(), root / "style_models" / "s.safetensors")


def graph(**parts):
    """From a checkpoint to a picture; parts: further nodes by id, and what the sampler takes instead."""
    sampler = {
        "model": ["1", 0], "seed": 1, "steps": 3, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal",
        "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0], "denoise": 1.0,
    }  # fmt: skip
    nodes = {
        "1": ("CheckpointLoaderSimple", {"ckpt_name": "a.safetensors"}),
        "2": ("CLIPTextEncode", {"text": "a red cube", "clip": ["1", 1]}),
        "3": ("CLIPTextEncode", {"text": "", "clip": ["1", 1]}),
        "4": ("EmptyLatentImage", {"width": 64, "height": 64, "batch_size": 1}),
        "5": ("KSampler", {**sampler, **parts.pop("sampler", {})}),
        "6": ("VAEDecode", {"samples": ["5", 0], "vae": ["1", 2]}),
        "7": ("SaveImage", {"images": ["6", 0], "filename_prefix": "p"}), **parts,
    }  # fmt: skip
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


def with_lora(kind):
    """A graph whose model has a LoRA of this kind on."""
    inputs = {"model": ["1", 0], "lora_name": f"{kind}.safetensors", "strength_model": 1.0}
    return graph(sampler={"model": ["10", 0]}, **{"10": ("LoraLoaderModelOnly", inputs)})


PICTURE = {"8": ("EmptyImage", {"width": 64, "height": 64, "batch_size": 1, "color": 0x3366FF})}
GRAPHS = {
    "plain": graph(),
    "lora": graph(
        sampler={"model": ["10", 0]},
        **{"10": ("LoraLoader", {"model": ["1", 0], "clip": ["1", 1], "lora_name": "l.safetensors",
                                 "strength_model": 1.0, "strength_clip": 1.0})},
    ),
    "merge": graph(
        sampler={"model": ["11", 0]},
        **{"10": ("CheckpointLoaderSimple", {"ckpt_name": "b.safetensors"}),
           "11": ("ModelMergeSimple", {"model1": ["1", 0], "model2": ["10", 0], "ratio": 0.5})},
    ),
    "controlnet": graph(
        sampler={"positive": ["11", 0], "negative": ["11", 1]},
        **PICTURE,
        **{"10": ("ControlNetLoader", {"control_net_name": "c.safetensors"}),
           "11": ("ControlNetApplyAdvanced", {"positive": ["2", 0], "negative": ["3", 0], "control_net": ["10", 0],
                                              "image": ["8", 0], "strength": 1.0, "start_percent": 0.0,
                                              "end_percent": 1.0})},
    ),
    "gligen": graph(
        sampler={"positive": ["11", 0]},
        **{"10": ("GLIGENLoader", {"gligen_name": "g.safetensors"}),
           "11": ("GLIGENTextBoxApply", {"conditioning_to": ["2", 0], "clip": ["1", 1],
                                         "gligen_textbox_model": ["10", 0], "text": "a cat", "width": 32, "height": 32,
                                         "x": 16, "y": 16})},
    ),
    **{kind: with_lora(kind) for kind in LORAS},
    "t2i": graph(
        sampler={"positive": ["11", 0]},
        **PICTURE,
        **{"10": ("ControlNetLoader", {"control_net_name": "t.safetensors"}),
           "11": ("ControlNetApply", {"conditioning": ["2", 0], "control_net": ["10", 0], "image": ["8", 0],
                                      "strength": 1.0})},
    ),
    "style": graph(
        sampler={"positive": ["13", 0]},
        **PICTURE,
        **{"10": ("CLIPVisionLoader", {"clip_name": "v.safetensors"}),
           "11": ("StyleModelLoader", {"style_model_name": "s.safetensors"}),
           "12": ("CLIPVisionEncode", {"clip_vision": ["10", 0], "image": ["8", 0], "crop": "center"}),
           "13": ("StyleModelApply", {"conditioning": ["2", 0], "style_model": ["11", 0],
                                      "clip_vision_output": ["12", 0], "strength": 1.0,
                                      "strength_type": "multiply"})},
    ),
    "hypernetwork": graph(
        sampler={"model": ["10", 0]},
        **{"10": ("HypernetworkLoader", {"model": ["1", 0], "hypernetwork_name": "h.pt", "strength": 1.0})},
    ),
    "embedding": graph(**{"2": ("CLIPTextEncode", {"text": "a red embedding:e cube", "clip": ["1", 1]})}),
    "hook of a model": graph(
        sampler={"positive": ["11", 0]},
        **{"10": ("CreateHookLoraModelOnly", {"lora_name": "l.safetensors", "strength_model": 1.0}),
           "11": ("ConditioningSetProperties", {"cond_NEW": ["2", 0], "strength": 1.0, "set_cond_area": "default",
                                                "hooks": ["10", 0]})},
    ),
    "hook": graph(
        sampler={"positive": ["13", 0]},
        **{"10": ("CreateHookLora", {"lora_name": "l.safetensors", "strength_model": 1.0, "strength_clip": 1.0}),
           "11": ("CreateHookKeyframe", {"strength_mult": 0.5, "start_percent": 0.0}),
           "12": ("SetHookKeyframes", {"hooks": ["10", 0], "hook_kf": ["11", 0]}),
           "13": ("ConditioningSetProperties", {"cond_NEW": ["2", 0], "strength": 1.0, "set_cond_area": "default",
                                                "hooks": ["12", 0]})},
    ),
}  # fmt: skip
