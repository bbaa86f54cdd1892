"""A sampling loop only queues work: nothing in it reads from the device, or waits until something has arrived there.

The device is torch's `meta`, which has no numbers to be read; copies to it are counted by whether they would wait.
"""

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.diffusion.guidance import Area, Condition
from engine.diffusion.network import unet_network
from engine.diffusion.patches.cfg import RescaleCfg
from engine.diffusion.samplers import SAMPLERS
from engine.diffusion.sampling import Sampling, start
from engine.diffusion.schedules import discrete
from engine.diffusion.standin import standin_config
from engine.diffusion.unet import UNet

CONFIG = standin_config()
READS = {"dpm_adaptive"}  # whose next step depends on an error that only the device knows


class Waiting(TorchDispatchMode):
    """Counts copies between the processor and the device that the program waits for."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if "copy" in function.__name__ and isinstance(result, torch.Tensor):
            kinds = {each.device.type for each in [*tree_leaves(args), result] if isinstance(each, torch.Tensor)}
            scalar = function.__name__.startswith("copy_") and args[1].ndim == 0
            queued = (kwargs or {}).get("non_blocking") or (len(args) > 2 and args[2])
            if len(kinds) > 1 and not queued and not scalar:
                self.waits.append(function.__name__)
        return result


def waits(run, steps):
    """Of a run on the device, from the first question to the last."""
    with torch.device("meta"):
        unet = UNet(CONFIG.unet).eval().requires_grad_(False)
    network = unet_network(unet, discrete(CONFIG.schedule), torch.float16, "meta")
    unet.half()
    going = start(run, device="meta")
    asked = 0
    with torch.no_grad():
        calls = next(going)
        counting = Waiting()
        with counting:
            try:
                while True:
                    calls = going.send(list(network(calls)))
                    asked += 1
            except NotImplementedError as error:  # the result is fetched, at the end of the run
                assert "meta" in str(error)
    assert asked >= steps - 1
    return counting.waits[:-1] if counting.waits and counting.waits[-1].startswith("_to_copy") else counting.waits


def scene(**more):
    text = Condition(torch.zeros(1, 77, CONFIG.unet.context_dim))
    return replace(Sampling(CONFIG, torch.zeros(1, 4, 16, 16), (text,), (text,), steps=5, cfg=7.0), **more)


@pytest.mark.parametrize("name", [name for name, row in SAMPLERS.items() if name not in READS and not row.options])
def test_samplers_queue_their_arithmetic(name):
    row = SAMPLERS[name]
    assert waits(scene(sampler=name, scheduler=row.schedules[0] if row.schedules else "normal"), 5) == []


def test_masks_areas_and_patches_of_guidance_queue_theirs():
    half = torch.zeros(1, 16, 16)
    half[:, :8] = 1.0
    states = torch.zeros(1, 77, CONFIG.unet.context_dim)
    run = scene(
        positive=(Condition(states, mask=half), Condition(states, area=Area(8, 16, 4, 0))), noise_mask=half[None],
        patches=(RescaleCfg(0.7),),
    )  # fmt: skip
    assert waits(run, 5) == []
