"""Published names to diffusers' names: models.md, 3.2 and 3.3, written down here for the tests alone."""

import re

from engine.diffusion.config import UNetConfig, VaeConfig

RES = {
    "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
    "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
}  # fmt: skip
FIXED = {
    "time_embed.0.": "time_embedding.linear_1.", "time_embed.2.": "time_embedding.linear_2.",
    "label_emb.weight": "class_embedding.weight", "label_emb.0.0.": "class_embedding.linear_1.",
    "label_emb.0.2.": "class_embedding.linear_2.", "input_blocks.0.0.": "conv_in.", "out.0.": "conv_norm_out.",
    "out.2.": "conv_out.", "middle_block.0.": "mid_block.resnets.0.", "middle_block.1.": "mid_block.attentions.0.",
    "middle_block.2.": "mid_block.resnets.1.",
}  # fmt: skip


def unet_name(name: str, _config: UNetConfig) -> str:
    for published, theirs in FIXED.items():
        if name.startswith(published):
            return _res(theirs + name.removeprefix(published))
    kind, block, part, rest = re.fullmatch(r"(input|output)_blocks\.(\d+)\.(\d)\.(.*)", name).groups()
    if kind == "input":
        level, index = divmod(int(block) - 1, 3)
        side = f"down_blocks.{level}"
        if rest.startswith("op."):
            return f"{side}.downsamplers.0.conv.{rest.removeprefix('op.')}"
    else:
        level, index = divmod(int(block), 3)
        side = f"up_blocks.{level}"
        if rest.startswith("conv."):
            return f"{side}.upsamplers.0.{rest}"
    return _res(f"{side}.{'resnets' if part == '0' else 'attentions'}.{index}.{rest}")


def _res(name: str) -> str:
    if "resnets" in name:
        for published, theirs in RES.items():
            name = name.replace(published, theirs)
    return name


def vae_name(name: str, config: VaeConfig) -> str:
    levels = len(config.channel_mult)
    name = re.sub(r"encoder\.down\.(\d)\.block\.(\d)", r"encoder.down_blocks.\1.resnets.\2", name)
    name = re.sub(r"encoder\.down\.(\d)\.downsample", r"encoder.down_blocks.\1.downsamplers.0", name)

    def up(match: re.Match[str]) -> str:
        return f"decoder.up_blocks.{levels - 1 - int(match[1])}."

    name = re.sub(r"decoder\.up\.(\d)\.", up, name)
    name = re.sub(r"(up_blocks\.\d)\.block\.", r"\1.resnets.", name).replace(".upsample.", ".upsamplers.0.")
    name = name.replace("mid.block_1.", "mid_block.resnets.0.").replace("mid.block_2.", "mid_block.resnets.1.")
    name = name.replace("mid.attn_1.", "mid_block.attentions.0.")
    if "attentions" in name:
        head, leaf, end = name.rsplit(".", 2)
        leaf = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}[leaf]
        name = f"{head}.{leaf}.{end}"
    return name.replace("nin_shortcut", "conv_shortcut").replace("norm_out", "conv_norm_out")
