"""diffusers' networks with our configuration and our weights."""

from diffusers import AutoencoderKL, UNet2DConditionModel

from engine.diffusion.config import UNetConfig, VaeConfig
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from tests.parity.names import unet_name, vae_name
from tests.parity.small import undrawn


def diffusers_unet(unet: UNet) -> UNet2DConditionModel:
    config: UNetConfig = unet.config
    down = ["CrossAttnDownBlock2D" if attention else "DownBlock2D" for attention in config.attention]
    up = ["CrossAttnUpBlock2D" if attention else "UpBlock2D" for attention in reversed(config.attention)]
    with undrawn():
        model = UNet2DConditionModel(
            in_channels=config.in_channels, out_channels=config.out_channels, block_out_channels=config.widths,
            down_block_types=down, up_block_types=up, cross_attention_dim=config.context_dim,
            attention_head_dim=[config.heads(width) for width in config.widths],
            use_linear_projection=config.linear_projection, only_cross_attention=list(config.cross_only),
            num_class_embeds=config.num_classes, norm_num_groups=config.norm_groups,
            class_embed_type="projection" if config.adm_dim else None,
            projection_class_embeddings_input_dim=config.adm_dim,
        )  # fmt: skip
    state = {unet_name(name, config): value for name, value in unet.state_dict().items()}
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def diffusers_vae(vae: Vae) -> AutoencoderKL:
    config: VaeConfig = vae.config
    levels = len(config.channel_mult)
    with undrawn():
        model = AutoencoderKL(
            in_channels=config.in_channels, out_channels=config.in_channels, latent_channels=config.z_channels,
            down_block_types=["DownEncoderBlock2D"] * levels, up_block_types=["UpDecoderBlock2D"] * levels,
            block_out_channels=[config.channels * mult for mult in config.channel_mult],
            layers_per_block=config.num_res_blocks, norm_num_groups=config.norm_groups,
            scaling_factor=config.scale_factor,
        )  # fmt: skip
    state = {}
    for name, value in vae.state_dict().items():
        theirs = vae_name(name, config)
        state[theirs] = value[:, :, 0, 0] if "attentions" in theirs and value.ndim == 4 else value
    model.load_state_dict(state, strict=True)
    return model.eval().requires_grad_(False)
