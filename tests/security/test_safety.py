"""The safety policy holds on every route that can return a picture: without a verdict nothing is served."""

from __future__ import annotations

import ast
import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from engine.files.verdicts import Exit, HeldBack, Verdict, Verdicts
from tests.web.support import Running, png, running, upload
from web.jobview import JobView, OutputView
from web.routes.files import LABEL

BODY = {"prompt": "a cube"}
ROOT = Path(__file__).resolve().parents[2]
SECRET, OTHER = png((16, 16), (200, 10, 10, 255)), png((16, 16), (0, 99, 0, 255))
VIEWS = ("", "&preview=webp;90", "&preview=jpeg", "&channel=rgb", "&channel=a", "&preview=webp&channel=rgb")


@pytest.fixture
def verdicts(tmp_path: Path) -> Verdicts:
    return Verdicts(tmp_path / "safety.db")


@pytest.fixture(params=["label", "blur", "block"])
async def site(request: pytest.FixtureRequest, tmp_path: Path, verdicts: Verdicts) -> AsyncIterator[Running]:
    async with running(tmp_path, safety=Exit(request.param, verdicts)) as found:
        yield found


def policy(site: Running) -> str:
    return str(site.server.config.safety.policy)


async def fetch(site: Running, query: str) -> tuple[int, bytes, str | None]:
    async with site.http.get(f"{site.url}/view?{query}") as answer:
        return answer.status, await answer.read(), answer.headers.get(LABEL)


async def test_other_clients_doors_tell_which_pictures_are_flagged(
    site: Running, verdicts: Verdicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = []
    for name, content, flagged in (("a.png", SECRET, True), ("b.png", OTHER, False)):
        (site.folders.output / name).write_bytes(content)
        verdicts.note(content, Verdict(flagged, policy(site)))  # type: ignore[arg-type]
        outputs.append(OutputView("7", "images", filename=name, type="output", subfolder="",
                                  url=f"/view?filename={name}", flagged=flagged))  # fmt: skip

    async def done(*_: object) -> JobView:
        return JobView(id="j", state="succeeded", number=1, created=0, outputs=outputs)

    monkeypatch.setattr("web.routes.doors._run", done)
    _, made = await site.post("/sdapi/v1/txt2img", BODY)
    assert json.loads(made["info"])["flagged"] == [True, False]
    assert [base64.b64decode(each) for each in made["images"]] == [SECRET, OTHER]
    for form, key in ({}, "b64_json"), ({"response_format": "url"}, "url"):
        _, made = await site.post("/v1/images/generations", {**BODY, **form})
        assert [(each["flagged"], bool(each[key])) for each in made["data"]] == [(True, True), (False, True)]


async def test_a_file_without_a_verdict_is_not_served_in_any_form(site: Running) -> None:
    for kind in ("output", "temp", "input"):
        folder = site.folders.files_kind(kind)
        assert folder is not None
        (folder / "x.png").write_bytes(SECRET)
        (folder / "x.latent").write_bytes(b"numbers")
        for form in VIEWS:
            for name in ("x.png", f"x.png [{kind}]"):
                status, body, _ = await fetch(site, f"filename={name}&type={kind}{form}")
                assert status == 403, (kind, form)
                assert b"held_back" in body and SECRET not in body
        assert (await fetch(site, f"filename=x.latent&type={kind}"))[0] == 403
    assert (await fetch(site, "filename=missing.png"))[0] == 404


async def test_a_checked_file_is_served_in_every_form(site: Running, verdicts: Verdicts) -> None:
    (site.folders.output / "x.png").write_bytes(OTHER)
    verdicts.note(OTHER, Verdict(False, "label"))
    for form in VIEWS:
        status, body, label = await fetch(site, f"filename=x.png{form}")
        assert (status, label) == (200, None)
        assert Image.open(io.BytesIO(body)).size == (16, 16)
    assert (await fetch(site, "filename=x.png"))[1] == OTHER


async def test_a_flagged_file_is_served_with_a_label_if_it_was_treated_as_strictly_as_the_policy(
    site: Running, verdicts: Verdicts
) -> None:
    strict = {"label": ("label", "blur", "block"), "blur": ("blur", "block"), "block": ("block",)}[policy(site)]
    (site.folders.output / "x.png").write_bytes(SECRET)
    for treatment in ("label", "blur", "block"):
        verdicts.note(SECRET, Verdict(True, treatment))
        for form in VIEWS:
            status, _, label = await fetch(site, f"filename=x.png{form}")
            assert (status, label) == ((200, "flagged") if treatment in strict else (403, None)), (treatment, form)


async def test_a_verdict_is_on_the_bytes_and_not_on_the_name(site: Running, verdicts: Verdicts) -> None:
    (site.folders.output / "x.png").write_bytes(OTHER)
    verdicts.note(OTHER, Verdict(False, "block"))
    assert (await fetch(site, "filename=x.png"))[0] == 200
    (site.folders.output / "x.png").write_bytes(SECRET)  # another file under the same name
    assert (await fetch(site, "filename=x.png"))[0] == 403
    (site.folders.output / "x.png").write_bytes(OTHER + b"\0")
    assert (await fetch(site, "filename=x.png"))[0] == 403


async def test_what_a_client_sent_is_shown_to_it(site: Running) -> None:
    status, answer = await site.post("/upload/image", upload(SECRET))
    assert status == 200
    status, body, label = await fetch(site, f"filename={answer['name']}&type=input")
    assert (status, body, label) == (200, SECRET, None)


async def test_an_upload_does_not_undo_a_verdict(site: Running, verdicts: Verdicts) -> None:
    verdicts.note(SECRET, Verdict(True, "label"))
    (site.folders.output / "x.png").write_bytes(SECRET)
    await site.post("/upload/image", upload(SECRET))
    expected = 200 if policy(site) == "label" else 403
    assert (await fetch(site, "filename=x.png"))[0] == expected
    assert verdicts.find(SECRET) == Verdict(True, "label")


async def test_a_mask_is_no_way_round(site: Running, verdicts: Verdicts) -> None:
    """``/upload/mask`` writes a copy of the picture that it names."""
    (site.folders.output / "x.png").write_bytes(SECRET)
    fields = {"original_ref": '{"filename": "x.png", "type": "output"}'}
    mask = png((16, 16), (0, 0, 0, 0))
    status, answer = await site.post("/upload/mask", upload(mask, **fields))
    assert (status, answer["error"]["type"]) == (403, "held_back")
    assert list(site.folders.input.iterdir()) == []
    verdicts.note(SECRET, Verdict(True, policy(site)))
    status, answer = await site.post("/upload/mask", upload(mask, **fields))
    assert status == 200
    status, _, label = await fetch(site, f"filename={answer['name']}&type=input")
    assert (status, label) == (200, "flagged"), "the copy is known to be of a flagged one"


async def test_without_a_policy_everything_is_served_and_nothing_is_written(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        (site.folders.output / "x.png").write_bytes(SECRET)
        assert (await fetch(site, "filename=x.png"))[:2] == (200, SECRET)
        await site.post("/upload/image", upload(OTHER))
    assert not (tmp_path / "safety.db").exists()


def test_the_rule_reads_the_bytes_once(tmp_path: Path, verdicts: Verdicts) -> None:
    """What was judged is what is sent, even if the file is another one by then."""
    path = tmp_path / "x.png"
    path.write_bytes(OTHER)
    verdicts.note(OTHER, Verdict(False, "block"))
    released = Exit("block", verdicts).release(path)
    path.write_bytes(SECRET)
    assert released.source.read() == OTHER
    with pytest.raises(HeldBack, match=r"x\.png was never checked; run the workflow"):
        Exit("block", verdicts).release(path)


# Who reads or sends files in the server, and why each is no way round. A function that is not here fails the test:
# let it ask `release` first, then write it down.
READS = {"FileResponse", "read_bytes", "make_preview", "make_rgb", "make_alpha", "make_thumbnail", "open_picture",
         "serve_user_file", "_serve_file", "serve_bytes", "serve_released"}  # fmt: skip
KNOWN = {
    "routes/files.py": {
        "view": "asks release", "serve_released": "sends what release gave", "_serve_file": "its callers ask",
        "serve_user_file": "its callers ask",
    },
    "routes/jobs.py": {"_picture": "asks release"},
    "routes/doors.py": {"_pictures": "asks release"},
    "routes/gallery.py": {"thumbnail": "asks release"},
    "gallery.py": {"thumbnail": "makes it from what release gave"},
    "access.py": {"*": "tokens"},
    "webhooks.py": {"*": "the key of messages"},
    "routes/models.py": {"get_preview": "covers in model folders, which no graph writes pictures to"},
    "routes/templates.py": {"*": "workflows that come with Easel and packs"},
    "routes/userdata.py": {"*": "what users themselves sent"},
    "routes/pages.py": {"*": "the editor's own files, and scripts of packs, which are programs"},
    "packs.py": {"*": "translations of packs, JSON"},
    "saved.py": {"*": "saved workflows, JSON"},
    "specs.py": {"*": "node specifications"},
}  # fmt: skip


def test_every_function_of_the_server_that_reads_files_is_accounted_for() -> None:
    for path in sorted((ROOT / "web").rglob("*.py")):
        name = path.relative_to(ROOT / "web").as_posix()
        known = KNOWN.get(name, {})
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or "*" in known:
                continue
            used = {each.attr if isinstance(each, ast.Attribute) else each.id for each in ast.walk(function)
                    if isinstance(each, ast.Attribute | ast.Name)}  # fmt: skip
            if used & READS:
                assert function.name in known, f"web/{name}: {function.name} uses {sorted(used & READS)}"
                if known[function.name] == "asks release":
                    assert "release" in used
