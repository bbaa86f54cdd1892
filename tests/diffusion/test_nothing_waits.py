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
        kwargs = kwargs or {}
        if "copy" in function.__name__:
            kinds = {each.device.type for each in tree_leaves(args) if isinstance(each, torch.Tensor)}
            if kwargs.get("device") is not None:
                kinds.add(torch.device(kwargs["device"]).type)
            queued = kwargs.get("non_blocking") or (function.__name__.startswith("copy_") and args[2:3] == (True,))
            if len(kinds) > 1 and not queued:
                self.waits.append(function.__name__)
        return function(*args, **kwargs)


def answering(calls):
    """A network that works out nothing."""
    return [torch.empty_like(call.x) for call in calls]


def waits(run, network=answering):
    """Copies waited for between the first question and the last; the result's, at the end of a run, is none of them."""
    going = start(run, device="meta")
    asked, counting = 1, Waiting()
    with torch.no_grad():
        calls = next(going)
        try:
            while True:
                with counting:
                    answers = list(network(calls))
                    calls = going.send(answers)
                asked += 1
        except NotImplementedError as error:  # the result is fetched
            assert "meta" in str(error)
    assert asked >= run.steps - 1
    assert counting.waits[-1:] == ["_to_copy.default"]  # which shows that it would be counted
    return counting.waits[:-1]


def scene(**more):
    text = Condition(torch.zeros(1, 77, CONFIG.unet.context_dim))
    return replace(Sampling(CONFIG, torch.zeros(1, 4, 16, 16), (text,), (text,), steps=4, cfg=7.0), **more)


@pytest.mark.parametrize("name", [name for name, row in SAMPLERS.items() if name not in READS and not row.options])
def test_samplers_queue_their_arithmetic(name):
    row = SAMPLERS[name]
    assert waits(scene(sampler=name, scheduler=row.schedules[0] if row.schedules else "normal")) == []


def test_masks_areas_and_patches_of_guidance_queue_theirs():
    half = torch.zeros(1, 16, 16)
    half[:, :8] = 1.0
    states = torch.zeros(1, 77, CONFIG.unet.context_dim)
    run = scene(
        positive=(Condition(states, mask=half), Condition(states, area=Area(8, 16, 4, 0))), noise_mask=half[None],
        patches=(RescaleCfg(0.7),),
    )  # fmt: skip
    assert waits(run) == []


def test_the_network_layer_queues_its_copies():
    with torch.device("meta"):
        unet = UNet(CONFIG.unet).half().eval().requires_grad_(False)
    assert waits(scene(steps=2), unet_network(unet, discrete(CONFIG.schedule), torch.float16, "meta")) == []


def test_copies_are_told_apart():
    with Waiting() as counting:
        torch.zeros(2).to("meta")
        torch.zeros(2).to("meta", non_blocking=True)
        torch.empty(2, device="meta").copy_(torch.zeros(2))
        torch.empty(2, device="meta").copy_(torch.zeros(2), non_blocking=True)
    assert counting.waits == ["_to_copy.default", "copy_.default"]
