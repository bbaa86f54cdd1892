"""Samplers and guiders of a pack's own, written as packs write them."""

import torch
from comfy.k_diffusion.sampling import append_zero, default_noise_sampler, get_ancestral_step, to_d
from comfy.samplers import KSAMPLER, CFGGuider, Sampler, calc_cond_batch, cfg_function, sampler_object

told = {}


@torch.no_grad()
def sample_euler(model, x, sigmas, extra_args=None, callback=None, disable=None, by=1.0):
    extra_args = {} if extra_args is None else extra_args
    told["sigmas"], told["seed"] = sigmas, extra_args["seed"]
    told["sigma_max"] = float(model.inner_model.inner_model.model_sampling.sigma_max)
    s_in = x.new_ones([x.shape[0]])
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * s_in, **extra_args) * by
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        x = x + to_d(x, sigmas[i], denoised) * (sigmas[i + 1] - sigmas[i])
    return x


def sample_ancestral(model, x, sigmas, extra_args=None, callback=None, disable=None, noise_sampler=None):
    seed = extra_args.get("seed")
    noise_sampler = default_noise_sampler(x, seed=seed) if noise_sampler is None else noise_sampler
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones([x.shape[0]]), **extra_args)
        down, up = get_ancestral_step(sigmas[i], sigmas[i + 1])
        x = x + to_d(x, sigmas[i], denoised) * (down - sigmas[i])
        if sigmas[i + 1] > 0:
            x = x + noise_sampler(sigmas[i], sigmas[i + 1]) * up
    return x


def sample_with_global_noise(model, x, sigmas, extra_args=None, callback=None, disable=None):
    noise = torch.randn_like(x)
    told.setdefault("drawn", []).append(noise)
    return model(x, sigmas[0].expand(len(x)), **extra_args) + noise * 0.1


def sample_wrapped(model, x, sigmas, extra_args=None, callback=None, disable=None, inner=None):
    def watched(x, sigma, **given):
        told["asked"] = told.get("asked", 0) + 1
        return model(x, sigma, **given)

    watched.inner_model = model.inner_model
    return inner.sampler_function(watched, x, sigmas, extra_args=extra_args, callback=callback, disable=disable,
                                  **inner.extra_options)


def sample_wrongly(model, x, sigmas, extra_args=None, callback=None, disable=None):
    return x[..., :1]


def sample_failing(model, x, sigmas, extra_args=None, callback=None, disable=None):
    model(x, sigmas[0].expand(len(x)), **extra_args)
    raise ArithmeticError("this sampler is broken")


def sample_setting(model, x, sigmas, extra_args=None, callback=None, disable=None):
    options = {**extra_args["model_options"], "sampler_cfg_function": len}
    return model(x, sigmas[0].expand(len(x)), **{**extra_args, "model_options": options})


def sample_forever(model, x, sigmas, extra_args=None, callback=None, disable=None):
    told["forever"] = "begun"
    try:
        while True:
            model(x, sigmas[0].expand(len(x)), **extra_args)
    finally:
        told["forever"] = "ended"


class OwnSampler(Sampler):
    def sample(self, model_wrap, sigmas, extra_args, callback, noise, *more):
        return noise


FUNCTIONS = {each.__name__: each for each in (
    sample_euler, sample_ancestral, sample_with_global_noise, sample_wrongly, sample_failing, sample_setting,
    sample_forever)}


class PackSampler:
    RETURN_TYPES, FUNCTION, CATEGORY = ("SAMPLER",), "run", "fixture"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ([*FUNCTIONS, "own", "nothing"],), "by": ("FLOAT", {"default": 1.0})},
                "optional": {"inpaint_random": ("BOOLEAN", {"default": False})}}

    def run(self, name, by, inpaint_random=False):
        if name in ("own", "nothing"):
            return (OwnSampler() if name == "own" else object(),)
        options = {"by": by} if name == "sample_euler" else {}
        return (KSAMPLER(FUNCTIONS[name], options, {"random": True} if inpaint_random else {}),)


class WrapSampler:
    RETURN_TYPES, FUNCTION, CATEGORY = ("SAMPLER",), "run", "fixture"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"sampler": ("SAMPLER",)}}

    def run(self, sampler):
        assert sampler_object("heun").extra_options == {}
        assert append_zero(torch.ones(2)).tolist() == [1, 1, 0]
        return (KSAMPLER(sample_wrapped, {"inner": sampler}),)


class Plain(CFGGuider):
    """Nothing of its own."""


class Batched(CFGGuider):
    """Asks both lists and combines them itself, but for what the model's patches do."""

    def predict_noise(self, x, timestep, model_options={}, seed=None):
        told["timestep"] = timestep
        negative, positive = self.conds.get("negative"), self.conds.get("positive")
        out = calc_cond_batch(self.inner_model, [negative, positive], x, timestep, model_options)
        return cfg_function(self.inner_model, out[1], out[0], self.cfg, x, timestep, model_options=model_options,
                            cond=positive, uncond=negative)


class Three(CFGGuider):
    """Three lists; counts its questions, from 0 in each run."""

    asked = 0

    def set_conds(self, positive, negative):
        self.inner_set_conds({"positive": positive, "negative": negative, "middle": positive})

    def predict_noise(self, x, timestep, model_options={}, seed=None):
        self.asked += 1
        told.setdefault("three", []).append(self.asked)
        lists = [self.conds[role] for role in ("negative", "positive", "middle")]
        negative, positive, middle = calc_cond_batch(self.inner_model, lists, x, timestep, model_options)
        return negative + (positive * 0.5 + middle * 0.5 - negative) * self.cfg


class Blind(CFGGuider):
    def predict_noise(self, x, timestep, model_options={}, seed=None):
        return calc_cond_batch(self.inner_model, [self.conds["positive"]], x, timestep, model_options)[0]


class Outside(CFGGuider):
    def outer_sample(self, *given):
        return given[0]


GUIDERS = {each.__name__: each for each in (Plain, Batched, Three, Blind, Outside)}


class PackGuider:
    RETURN_TYPES, FUNCTION, CATEGORY = ("GUIDER",), "run", "fixture"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ([*GUIDERS, "nothing"],), "model": ("MODEL",), "positive": ("CONDITIONING",),
                             "negative": ("CONDITIONING",), "cfg": ("FLOAT", {"default": 1.0})}}

    def run(self, name, model, positive, negative, cfg):
        if name == "nothing":
            return (object(),)
        guider = GUIDERS[name](model)
        guider.set_conds(positive, negative)
        guider.set_cfg(cfg)
        return (guider,)


NODES = [PackSampler, WrapSampler, PackGuider]
