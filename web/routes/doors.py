"""Doors for clients of other servers: A1111's ``/sdapi/v1`` and OpenAI's ``/v1/images``.

Both fill the saved workflow ``txt2img`` or ``img2img`` (the user's own of that name, else ours) and queue a job.
What they cannot do is refused, not left out.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import secrets
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from engine.files.uploads import UploadError, check_picture, safe_name, store
from engine.graph.problems import nearest_file, said, shown
from engine.graph.workflow import read_api
from engine.jobs.job import ENDED
from web.access import who
from web.bodies import read_object
from web.errors import Refusal, json_response
from web.jobview import JobView, view
from web.parameters import SAMPLERS, SCHEDULES, write_parameters
from web.routes import Route
from web.routes.files import GATES, find_own_file, read_form, release, upload_slot
from web.routes.jobs import wait_for_end
from web.routes.prompt import submit
from web.routes.queue import stop_running
from web.routes.workflows import prepare_saved
from web.state import SERVER, Server

MAX_SECONDS = 600.0  # a client of these doors knows no job to come back for
MAX_N = 8
THEIRS = re.compile("dall-e|gpt-image")  # models that OpenAI's clients name: they mean the workflow's own checkpoint

# A1111's names → ours; what is absent keeps the value of the saved workflow.
FIELDS = {
    "prompt": "prompt", "negative_prompt": "negative", "steps": "steps", "cfg_scale": "cfg", "width": "width",
    "height": "height", "batch_size": "batch_size", "denoising_strength": "denoise",
}
# What changes the picture and has no place in the workflow: refused if it is switched on.
UNKNOWN = ("enable_hr", "mask", "script_name", "tiling", "restore_faces", "refiner_checkpoint", "styles",
           "alwayson_scripts")


@dataclass
class Chosen:
    """What ``POST /sdapi/v1/options`` chose, by the token's name, until the server ends."""

    options: dict[str, dict[str, Any]] = field(default_factory=dict)


CHOSEN: web.AppKey[Chosen] = web.AppKey("chosen", Chosen)


# -- A1111 -------------------------------------------------------------------------------------------------------


async def text_to_image(request: web.Request) -> web.Response:
    """POST /sdapi/v1/txt2img: pictures of a text."""
    asked = await read_object(request, request.app[SERVER].config.max_upload)
    return await _answer_a1111(request, "txt2img", asked, _inputs(request, asked))


async def image_to_image(request: web.Request) -> web.Response:
    """POST /sdapi/v1/img2img: pictures of a text and a picture."""
    asked = await read_object(request, request.app[SERVER].config.max_upload)
    given = _inputs(request, asked)
    pictures = asked.get("init_images")
    if not isinstance(pictures, list) or len(pictures) != 1 or not isinstance(pictures[0], str):
        raise Refusal(422, "invalid_body", "init_images is a list of one picture in base64")
    given["image"] = await _keep_base64(request, pictures[0])
    return await _answer_a1111(request, "img2img", asked, given)


def _inputs(request: web.Request, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The named inputs that A1111's fields mean. Raises Refusal 422 for what cannot be done."""
    for name in UNKNOWN:
        if asked.get(name):
            raise Refusal(422, "not_supported", f"{name} is not supported by this door; save a workflow that does it")
    if asked.get("n_iter") not in (None, 1):
        raise Refusal(422, "not_supported", "n_iter is not supported; use batch_size")
    given = {ours: asked[theirs] for theirs, ours in FIELDS.items() if asked.get(theirs) is not None}
    seed = asked.get("seed", -1)
    given["seed"] = secrets.randbelow(2**32) if seed in (-1, None) else seed
    sampler = asked.get("sampler_name") or asked.get("sampler_index")
    if sampler is not None:
        given["sampler_name"] = SAMPLERS.get(str(sampler), sampler)
    scheduler = asked.get("scheduler")
    if scheduler and str(scheduler).lower() != "automatic":
        given["scheduler"] = SCHEDULES.get(str(scheduler), scheduler)
    overrides = asked.get("override_settings")
    chosen = {**_chosen(request), **(overrides if isinstance(overrides, Mapping) else {})}
    if model := chosen.get("sd_model_checkpoint"):
        given["checkpoint"] = _model(request.app[SERVER], str(model))
    return given


def _chosen(request: web.Request) -> dict[str, Any]:
    return request.app[CHOSEN].options.setdefault(who(request).name, {})


def _model(server: Server, title: str) -> str:
    """The file that a title means: with its folder and extension, or without. Raises Refusal 422."""
    names = server.files.list("checkpoints")
    plain = re.sub(r" \[[0-9a-f]+\]\Z", "", title)
    for name in names:
        if plain in (name, name.rpartition(".")[0], name.rpartition("/")[2], Path(name).stem):
            return name
    raise Refusal(422, "unknown_model", f"no checkpoint is called {shown(title)!r}{said(nearest_file(title, names))}")


async def _answer_a1111(
    request: web.Request, name: str, asked: Mapping[str, Any], given: Mapping[str, Any]
) -> web.Response:
    done = await _run(request, name, given)
    if isinstance(done, web.Response):
        return done
    found = await _pictures(request, done)
    pictures = [base64.b64encode(content).decode() for content, _ in found]
    # A batch has one seed here; clients read one for each picture.
    info = {"seed": given["seed"], "all_seeds": [given["seed"]] * len(found), "job": done.id,
            "prompt": given.get("prompt", ""), "negative_prompt": given.get("negative", ""),
            "infotexts": [_infotext(request, done)] * len(found), "flagged": [flagged for _, flagged in found]}
    told = {key: value for key, value in asked.items() if key != "init_images"}
    return json_response({"images": pictures, "parameters": told, "info": msgspec.json.encode(info).decode()})


def _infotext(request: web.Request, done: JobView) -> str:
    """The text of parameters of a job's pictures; empty if it tells nothing."""
    job = request.app[SERVER].dispatcher.job(done.id)
    return (write_parameters(read_api(msgspec.json.decode(job.prompt))) if job is not None else None) or ""


async def get_options(request: web.Request) -> web.Response:
    """GET /sdapi/v1/options: the checkpoint in use, and what else was chosen."""
    names = await asyncio.to_thread(request.app[SERVER].files.list, "checkpoints")
    return json_response({"sd_model_checkpoint": names[0] if names else "", **_chosen(request)})


async def post_options(request: web.Request) -> web.Response:
    """POST /sdapi/v1/options: choose the checkpoint of the jobs to come; other options have no effect."""
    asked = await read_object(request)
    model = asked.get("sd_model_checkpoint")
    if model is not None:
        name = await asyncio.to_thread(_model, request.app[SERVER], str(model))
        _chosen(request)["sd_model_checkpoint"] = name
    return json_response({})


async def get_models(request: web.Request) -> web.Response:
    """GET /sdapi/v1/sd-models: the checkpoints."""
    names = await asyncio.to_thread(request.app[SERVER].files.list, "checkpoints")
    return json_response([
        {"title": name, "model_name": Path(name).stem, "hash": None, "sha256": None, "filename": name, "config": None}
        for name in names
    ])


async def get_samplers(request: web.Request) -> web.Response:
    """GET /sdapi/v1/samplers: the samplers by A1111's names."""
    return json_response([{"name": name, "aliases": [ours], "options": {}} for name, ours in SAMPLERS.items()])


async def get_schedulers(request: web.Request) -> web.Response:
    """GET /sdapi/v1/schedulers: the schedules by A1111's names."""
    return json_response([{"name": ours, "label": name, "aliases": None} for name, ours in SCHEDULES.items()])


async def get_progress(request: web.Request) -> web.Response:
    """GET /sdapi/v1/progress: how far the running job is."""
    server = request.app[SERVER]
    running = [job for job in server.dispatcher.queue().running if who(request).sees(job)]
    shown_job = view(server, running[0]) if running else None
    return json_response({
        "progress": shown_job.progress if shown_job else 0.0, "eta_relative": 0.0, "current_image": None,
        "textinfo": None, "state": {
            "job": shown_job.id if shown_job else "", "job_count": server.dispatcher.remaining(), "skipped": False,
            "interrupted": False, "sampling_step": 0, "sampling_steps": 0,
        },
    })


async def interrupt(request: web.Request) -> web.Response:
    """POST /sdapi/v1/interrupt: stop the running job."""
    stop_running(request)
    return json_response({})


# -- OpenAI ------------------------------------------------------------------------------------------------------


async def generations(request: web.Request) -> web.Response:
    """POST /v1/images/generations: pictures of a text."""
    asked = await read_object(request)
    return await _answer_openai(request, "txt2img", asked, {})


async def edits(request: web.Request) -> web.Response:
    """POST /v1/images/edits: pictures of a text and a picture, as a form."""
    server = request.app[SERVER]
    if not request.content_type.startswith("multipart/form-data"):
        raise Refusal(415, "unsupported_body", "an edit is multipart/form-data with the fields image and prompt")
    temp = server.files.folders.temp
    temp.mkdir(parents=True, exist_ok=True)
    async with upload_slot(request):
        with tempfile.TemporaryDirectory(prefix=".upload-", dir=temp) as scratch:
            form = await read_form(request, Path(scratch), server.config.max_upload)
            assert form.picture is not None
            image = await _keep(request, form.picture, form.filename)
    return await _answer_openai(request, "img2img", form.fields, {"image": image})


async def _answer_openai(
    request: web.Request, name: str, asked: Mapping[str, Any], given: dict[str, Any]
) -> web.Response:
    prompt, count = asked.get("prompt"), str(asked.get("n") or 1)
    if not isinstance(prompt, str) or not prompt:
        raise Refusal(422, "invalid_body", "prompt is missing")
    if asked.get("mask"):
        raise Refusal(422, "not_supported", "mask is not supported by this door")
    if not (re.fullmatch(r"\d", count, re.ASCII) and 1 <= int(count) <= MAX_N):
        raise Refusal(422, "invalid_body", f"n is 1 to {MAX_N}; found {shown(count)}")
    model = asked.get("model")
    if isinstance(model, str) and model and not THEIRS.match(model):
        given["checkpoint"] = await asyncio.to_thread(_model, request.app[SERVER], model)
    given |= {"prompt": prompt, "seed": asked.get("seed", secrets.randbelow(2**32))}
    if int(count) > 1:
        given["batch_size"] = int(count)
    size = str(asked.get("size") or "auto")
    if match := re.fullmatch(r"(\d{1,5})x(\d{1,5})", size, re.ASCII):
        given |= {"width": int(match[1]), "height": int(match[2])}
    elif size != "auto":
        raise Refusal(422, "invalid_body", f"size is written like 512x512; found {shown(size)!r}")
    done = await _run(request, name, given)
    if isinstance(done, web.Response):
        return done
    if asked.get("response_format") == "url":
        data = [
            {"url": f"{request.scheme}://{request.host}{each.url}", "flagged": bool(each.flagged)}
            for each in done.outputs if each.url
        ]
    else:
        data = [
            {"b64_json": base64.b64encode(content).decode(), "flagged": flagged}
            for content, flagged in await _pictures(request, done)
        ]
    return json_response({"created": int(time.time()), "data": data})


# -- both --------------------------------------------------------------------------------------------------------


async def _run(request: web.Request, name: str, given: Mapping[str, Any]) -> JobView | web.Response:
    """Run a saved workflow to its end; a response if it was refused or cannot be waited for.

    Raises Refusal if it did not succeed.
    """
    server = request.app[SERVER]
    new = await prepare_saved(request, name, given)
    if isinstance(new, web.Response):
        return new
    made = await submit(request, new)
    job = await wait_for_end(request, made, MAX_SECONDS)
    if job is None:  # too many wait: it will run, and can be asked for
        return json_response(view(server, made, whole=False), status=202)
    done = view(server, job, whole=False)
    if job.state not in ENDED:
        raise Refusal(504, "timeout", f"job {job.id} takes longer than {MAX_SECONDS:g} s; see /api/jobs/{job.id}")
    if job.state != "succeeded":
        raise Refusal(422, f"job_{job.state}", "; ".join(each.message for each in done.errors))
    return done


async def _pictures(request: web.Request, done: JobView) -> list[tuple[bytes, bool]]:
    """A job's pictures, and whether the safety policy has them labelled. Raises Refusal for one that is held back."""
    found: list[tuple[bytes, bool]] = []
    for each in done.outputs:
        name = each.filename or ""
        path = find_own_file(request, name, each.type or "", each.subfolder or "") if each.url else None
        if path is not None and each.kind == "images":
            released = await release(request, path)
            source = released.source
            read = source.read_bytes if isinstance(source, Path) else source.getvalue
            found.append((await asyncio.to_thread(read), released.flagged))
    return found


async def _keep_base64(request: web.Request, text: str) -> str:
    """Put a picture in base64 into the input folder; gives its name. Raises Refusal."""
    try:
        content = base64.b64decode(text.rpartition("base64,")[2], validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(422, "invalid_picture", "the picture is not base64") from None
    temp = request.app[SERVER].files.folders.temp
    temp.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".upload-", dir=temp) as scratch:
        part = Path(scratch) / "picture.part"
        await asyncio.to_thread(part.write_bytes, content)
        return await _keep(request, part, "init.png")


async def _keep(request: web.Request, part: Path, name: str) -> str:
    server = request.app[SERVER]

    def work() -> str:
        check_picture(part)
        server.config.safety.sent(part)
        return store(part, server.files.folders.input, safe_name(name))

    try:
        async with request.app[GATES].decoders:
            kept = await asyncio.to_thread(work)
    except UploadError as error:
        raise Refusal(415 if error.unsupported else 422, "invalid_picture", str(error)) from error
    server.files.forget("input")
    return kept


ROUTES = (
    Route("POST", "/sdapi/v1/txt2img", text_to_image, doubled=False),
    Route("POST", "/sdapi/v1/img2img", image_to_image, doubled=False),
    Route("GET", "/sdapi/v1/options", get_options, doubled=False),
    Route("POST", "/sdapi/v1/options", post_options, doubled=False),
    Route("GET", "/sdapi/v1/sd-models", get_models, doubled=False),
    Route("GET", "/sdapi/v1/samplers", get_samplers, doubled=False),
    Route("GET", "/sdapi/v1/schedulers", get_schedulers, doubled=False),
    Route("GET", "/sdapi/v1/progress", get_progress, doubled=False),
    Route("POST", "/sdapi/v1/interrupt", interrupt, doubled=False),
    Route("POST", "/v1/images/generations", generations, doubled=False),
    Route("POST", "/v1/images/edits", edits, doubled=False),
)
