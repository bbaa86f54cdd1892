"""A node that puts one kind of patch on a model, and writes down what its functions were told."""

import torch

told = {}


def saw(how, extra):
    told.setdefault(how, []).append(extra)


def attention(m, how, by):
    def run(n, context, value, extra):
        saw(how, extra)
        return n * by, context, value

    getattr(m, f"set_model_{how}")(run)


def attention_output(m, how, by):
    def run(n, extra):
        saw(how, extra)
        return n * by

    getattr(m, f"set_model_{how}")(run)


def replaced(m, how, by):
    def run(q, k, v, extra):
        saw(how, extra)
        heads = extra["n_heads"]
        q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return out.transpose(1, 2).flatten(-2) * by

    getattr(m, f"set_model_{how}")(run, "input", 1)


def block(m, how, by):
    def run(h, extra):
        saw(how, extra)
        return h * by

    getattr(m, f"set_model_{how}")(run)


def output_block(m, how, by):
    def run(h, skip, extra):
        saw(how, extra)
        return h, skip * by

    m.set_model_output_block_patch(run)


def cfg(m, how, by):
    def run(args):
        saw(how, args)
        return (args["uncond"] + (args["cond"] - args["uncond"]) * args["cond_scale"]) * by

    m.set_model_sampler_cfg_function(run)


def old_cfg(m, how, by):
    m.set_model_sampler_cfg_function(lambda cond, uncond, scale: (uncond + (cond - uncond) * scale) * by)


def post_cfg(m, how, by):
    def run(args):
        saw(how, args)
        return args["denoised"] * by

    m.set_model_sampler_post_cfg_function(run, disable_cfg1_optimization=True)


def pre_cfg(m, how, by):
    def run(args):
        saw(how, args)
        return [each * by for each in args["conds_out"]]

    m.set_model_sampler_pre_cfg_function(run)


def wrapper(m, how, by):
    def run(apply_model, args):
        saw(how, args)
        return apply_model(args["input"], args["timestep"], **args["c"]) * by

    m.set_model_unet_function_wrapper(run)


def broken(m, how, by):
    m.set_model_attn1_patch(lambda *given: 1 / 0)


def weights(m, how, by):
    key = "diffusion_model.out.2.weight"
    shape = (4, m._value.config.unet.model_channels, 3, 3)
    assert m.add_patches({key: (torch.ones(shape),), "nothing.of.it": (torch.ones(1),)}, 0.1 * (1 - by)) == [key]


WAYS = {
    "attn1_patch": attention, "attn2_patch": attention, "attn1_output_patch": attention_output,
    "attn2_output_patch": attention_output, "attn1_replace": replaced, "attn2_replace": replaced,
    "input_block_patch": block, "input_block_patch_after_skip": block, "output_block_patch": output_block,
    "cfg": cfg, "old_cfg": old_cfg, "post_cfg": post_cfg, "pre_cfg": pre_cfg, "wrapper": wrapper, "weights": weights,
    "broken": broken,
}


class PatchModel:
    RETURN_TYPES, FUNCTION, CATEGORY = ("MODEL",), "run", "fixture"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "how": (list(WAYS),), "by": ("FLOAT", {"default": 1.0})}}

    def run(self, model, how, by):
        copy = model.clone()
        WAYS[how](copy, how, by)
        assert float(copy.get_model_object("model_sampling").sigma_max) > 1
        return (copy,)


NODES = [PatchModel]
