"""The ``parameters`` text that A1111 puts into pictures ⇄ a workflow of our nodes.

>>> found = read_parameters("a red cube\\nNegative prompt: blur\\nSteps: 20, Sampler: DPM++ 2M Karras, Size: 512x768")
>>> found.prompt, found.negative, found.fields["Steps"], sampler_of(found.fields)
('a red cube', 'blur', '20', ('dpmpp_2m', 'karras'))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.graph.workflow import Workflow
from web.named import named_inputs

MAX_PARAMETERS = 2**20  # characters
SAMPLERS = {
    "Euler": "euler", "Euler a": "euler_ancestral", "Heun": "heun", "LMS": "lms", "DPM2": "dpm_2",
    "DPM2 a": "dpm_2_ancestral", "DPM++ 2S a": "dpmpp_2s_ancestral", "DPM++ 2M": "dpmpp_2m",
    "DPM++ SDE": "dpmpp_sde", "DPM++ 2M SDE": "dpmpp_2m_sde", "DPM++ 2M SDE Heun": "dpmpp_2m_sde_heun",
    "DPM++ 3M SDE": "dpmpp_3m_sde", "DPM fast": "dpm_fast", "DPM adaptive": "dpm_adaptive", "DDIM": "ddim",
    "PLMS": "plms", "UniPC": "uni_pc", "LCM": "lcm",
}
SCHEDULES = {
    "Karras": "karras", "Exponential": "exponential", "SGM Uniform": "sgm_uniform", "Simple": "simple",
    "Normal": "normal", "DDIM": "ddim_uniform", "Beta": "beta", "Uniform": "normal", "Automatic": "normal",
    "KL Optimal": "kl_optimal",
}
SAMPLER_LABELS = {value: key for key, value in SAMPLERS.items()}
SCHEDULE_LABELS = {value: key for key, value in reversed(SCHEDULES.items())}
QUOTED = re.compile(r'\s*+"(?:\\.|[^"\\])*+"')  # matched where a value begins, and never goes back
DEFAULTS = {"Steps": "20", "CFG scale": "7", "Seed": "0", "Size": "512x512"}


@dataclass(frozen=True)
class Parameters:
    """What the text says: the prompts, and the fields of its last line as they are written."""

    prompt: str
    negative: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def read_parameters(text: str) -> Parameters:
    """Read the text. Raises ValueError if it has no line of settings (``Steps: 20, …``) or is too long."""
    if len(text) > MAX_PARAMETERS:
        raise ValueError(f"the text has {len(text)} characters; at most {MAX_PARAMETERS} are read")
    lines = text.strip().split("\n")
    fields = _fields(lines[-1])
    if "Steps" not in fields:
        raise ValueError('this is no text of parameters: its last line has to begin like "Steps: 20, Sampler: Euler"')
    before = "\n".join(lines[:-1])
    prompt, _, negative = before.partition("Negative prompt:")
    return Parameters(prompt.strip(), negative.strip(), fields)


def _fields(line: str) -> dict[str, str]:
    """The pairs of a line, ``name: value, name: "a, b"``; what has no colon is passed over.

    Each character is looked at a few times at most: a stranger sends the line.
    """
    found: dict[str, str] = {}
    start = 0
    while start < len(line):
        end = _next(line, ",", start)
        colon = line.find(":", start, end)
        if colon >= 0:
            if quoted := QUOTED.match(line, colon + 1):
                end = _next(line, ",", quoted.end())
            if name := line[start:colon].strip():
                found[name] = line[colon + 1 : end].strip().strip('"')
        start = end + 1
    return found


def _next(text: str, letter: str, start: int) -> int:
    found = text.find(letter, start)
    return found if found >= 0 else len(text)


def sampler_of(fields: Mapping[str, str]) -> tuple[str, str]:
    """The sampler and schedule; a name that is not known stays as it is, so that it is seen in the editor."""
    name, schedule = fields.get("Sampler", "Euler"), fields.get("Schedule type", "")
    for label in SCHEDULES:  # older texts: "DPM++ 2M Karras"
        if name not in SAMPLERS and name.endswith(f" {label}"):
            name, schedule = name.removesuffix(f" {label}"), schedule or label
    return SAMPLERS.get(name, name), SCHEDULES.get(schedule, schedule or "normal")


def graph_of(parameters: Parameters, checkpoint: Callable[[str], str]) -> dict[str, Any]:
    """The API graph that makes the picture anew. ``checkpoint`` gives the file of a model's name.

    Raises ValueError that names a field with no number in it.
    """
    fields = {**DEFAULTS, **parameters.fields}
    width, height = _size(fields["Size"])
    sampler, scheduler = sampler_of(fields)
    clip: list[Any] = ["1", 1]
    graph: dict[str, Any] = {"1": _node("CheckpointLoaderSimple", ckpt_name=checkpoint(fields.get("Model", "")))}
    skip = int(_number(fields.get("Clip skip", "1"), "Clip skip"))
    if skip > 1:
        graph["8"] = _node("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-skip)
        clip = ["8", 0]
    graph["2"] = _node("CLIPTextEncode", text=parameters.prompt, clip=clip)
    graph["3"] = _node("CLIPTextEncode", text=parameters.negative, clip=clip)
    graph["4"] = _node("EmptyLatentImage", width=width, height=height, batch_size=1)
    graph["5"] = _node(
        "KSampler", model=["1", 0], seed=int(_number(fields["Seed"], "Seed")),
        steps=int(_number(fields["Steps"], "Steps")), cfg=_number(fields["CFG scale"], "CFG scale"),
        sampler_name=sampler, scheduler=scheduler, positive=["2", 0], negative=["3", 0], latent_image=["4", 0],
        denoise=1.0,
    )
    graph["6"] = _node("VAEDecode", samples=["5", 0], vae=["1", 2])
    graph["7"] = _node("SaveImage", images=["6", 0], filename_prefix="Easel")
    return graph


def _node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def _number(text: str, name: str) -> float:
    if not re.fullmatch(r"-?\d{1,20}(\.\d{0,20})?", text, re.ASCII):
        raise ValueError(f"{name} has to be a number; found {text[:80]!r}")
    return int(text) if "." not in text else float(text)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII)
    if match is None:
        raise ValueError(f"Size is written like 512x768; found {text[:80]!r}")
    return int(match[1]), int(match[2])


def write_parameters(workflow: Workflow) -> str | None:
    """The text for a workflow; None if it has no sampler to tell of."""
    found = {name: workflow.nodes[node].inputs[wanted] for name, (node, wanted) in named_inputs(workflow).items()}
    if "prompt" not in found or "steps" not in found:
        return None
    lines = [str(found["prompt"])]
    if found.get("negative"):
        lines.append(f"Negative prompt: {found['negative']}")
    sampler, scheduler = found.get("sampler_name", ""), found.get("scheduler", "")
    fields = {
        "Steps": found["steps"], "Sampler": SAMPLER_LABELS.get(sampler, sampler),
        "Schedule type": SCHEDULE_LABELS.get(scheduler, scheduler), "CFG scale": found.get("cfg"),
        "Seed": found.get("seed"),
    }
    if "width" in found and "height" in found:
        fields["Size"] = f"{found['width']}x{found['height']}"
    if "checkpoint" in found:
        fields["Model"] = str(found["checkpoint"]).rpartition("/")[2].rpartition(".")[0]
    if "clip_skip" in found:
        fields["Clip skip"] = -int(found["clip_skip"])
    written = {name: value for name, value in fields.items() if value not in (None, "")}
    return "\n".join([*lines, ", ".join(f"{name}: {_quoted(value)}" for name, value in written.items())])


def _quoted(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if "," in text or ":" in text else text
