"""Tokens: without one nothing is answered, with one what its role and its own jobs allow. And silent connections."""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import stat
import uuid
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from engine.graph.node import Files, node
from engine.graph.types import Image
from engine.jobs.gallery import Kept, Output
from engine.jobs.job import Job, NewJob, Record
from engine.messages import events
from tests.security.test_origins import EVERY, OPEN, filled, raw, status_of
from tests.web.support import CHAIN, SPECS, FakeDispatcher, Running, png, ready, running, upload
from web import access, gate
from web.access import COOKIE, Access, add_token, cookie_of, make_token, read_tokens, remove_token, write_tokens
from web.app import ROUTES
from web.errors import Refusal
from web.options import add_serving_flags, printed_address, read_door, token_command
from web.routes.jobs import KEYS
from web.security import listen_addresses


@node("LoadMade", category="test")
def load_made(*, image: Annotated[str, Files("output")]) -> Image:
    """Load a picture that was made."""
    raise NotImplementedError


TOKEN = "a token of some length"
PATIENCE = 25.0


def host_of(site: Running) -> tuple[str, str]:
    return ("Host", f"127.0.0.1:{site.port}")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def named(tmp_path: Path, **roles: Any) -> Access:
    """Tokens of these names, each its name's letters ten times; a role, or what make_token takes."""
    path = tmp_path / "tokens.json"
    for name, given in roles.items():
        more = given if isinstance(given, dict) else {"role": given}
        add_token(path, make_token(name * 10, name, **more))
    return Access(None, path)


# -- without it --------------------------------------------------------------------------------------------------


async def test_exposed_servers_2026_without_the_token_every_route_is_closed(tmp_path: Path) -> None:
    """An open port was enough."""
    async with running(tmp_path, token=TOKEN) as site:
        for method, path in EVERY:
            for wrong in (("X", "none"), ("Authorization", "Bearer wrong"), ("Authorization", f"Basic {TOKEN}"),
                          ("Cookie", f"{COOKIE}={TOKEN}"), ("Authorization", "Bearer "), ("Cookie", f"{COOKIE}=")):
                wanted = 200 if path in OPEN else 401
                assert await status_of(site, method, filled(path), [host_of(site), wrong]) == wanted, (method, path)
        assert await status_of(site, "GET", f"/queue?token={TOKEN.replace(' ', '%20')}", [host_of(site)]) == 401


async def test_the_bearer_header_basic_and_the_cookie_open_every_route_and_the_socket(tmp_path: Path) -> None:
    basic = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
    async with running(tmp_path, token=TOKEN) as site:
        for right in (("Authorization", f"Bearer {TOKEN}"), ("authorization", f"bearer {TOKEN}"),
                      ("Authorization", f"Basic {basic}"), ("Cookie", f"{COOKIE}={cookie_of(TOKEN)}")):
            assert await status_of(site, "GET", "/queue", [host_of(site), right]) == 200
            assert await status_of(site, "POST", "/queue", [host_of(site), right]) == 200
            assert await status_of(site, "GET", "/ws", [host_of(site), right]) == 101


async def test_secrets_of_any_length_and_any_bytes_are_compared_and_refused(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as site:
        for wrong in ("Bearer \xff\xfe", "Bearer " + "x" * 8_000, "Bearer a b c", "Basic ====", "Basic /w==", "Bearer"):
            assert await status_of(site, "GET", "/queue", [host_of(site), ("Authorization", wrong)]) == 401, wrong
            assert await status_of(site, "GET", "/queue", [host_of(site), ("Cookie", f"{COOKIE}={wrong}")]) == 401


async def test_an_address_with_the_token_is_exchanged_for_a_cookie(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as site:
        async with site.http.get(f"{site.url}/", params={"token": TOKEN}, allow_redirects=False) as answer:
            assert answer.status == 303 and answer.headers["Location"] == "/"
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        kept = ("Cookie", cookie.partition(";")[0])
        assert await status_of(site, "GET", "/queue", [host_of(site), kept]) == 200, "what the browser keeps is enough"
        async with site.http.get(f"{site.url}/", params={"token": "wrong"}, headers={"Cookie": "x=1"}) as answer:
            assert answer.status == 401 and "Set-Cookie" not in answer.headers


async def test_a_foreign_page_makes_nobody_somebody_else(tmp_path: Path) -> None:
    """Cross-site log-in: a link of another's with their token in it."""
    async with running(tmp_path, access=named(tmp_path, ada="admin", eve="submit")) as site:
        headers = {"Cookie": f"{COOKIE}={cookie_of('ada' * 10)}", "Sec-Fetch-Site": "cross-site"}
        async with site.http.get(f"{site.url}/", params={"token": "eve" * 10}, headers=headers) as answer:
            assert "Set-Cookie" not in answer.headers


async def test_cve_2024_47084_a_foreign_page_is_refused_though_the_browser_has_the_cookie(tmp_path: Path) -> None:
    """The origin was not checked when a cookie was there."""
    async with running(tmp_path, token=TOKEN) as site:
        cookie = ("Cookie", f"{COOKIE}={cookie_of(TOKEN)}")
        for more in (("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")):
            assert await status_of(site, "POST", "/queue", [host_of(site), cookie, more]) == 403
            assert await status_of(site, "GET", "/ws", [host_of(site), cookie, more]) == 403
        assert await status_of(site, "GET", "/queue", [("Host", "evil.example"), cookie]) == 403


async def test_with_a_token_our_addresses_are_good_hosts_and_names_only_if_given(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN, hosts=frozenset({"easel.lan"})) as site:
        right = ("Authorization", f"Bearer {TOKEN}")
        for host, status in (("192.168.1.5:8188", 200), ("[fe80::1]", 200), ("easel.lan", 200), ("evil.example", 403)):
            assert await status_of(site, "GET", "/queue", [("Host", host), right]) == status


# -- listening beyond loopback -----------------------------------------------------------------------------------


def options_of(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_serving_flags(parser)
    return parser.parse_args(words)


def test_listening_beyond_loopback_needs_a_token_and_an_address() -> None:
    assert listen_addresses("0.0.0.0,::", True) == ["0.0.0.0", "::"]
    for host, token in (("0.0.0.0", False), ("example.org", True), ("", True)):
        with pytest.raises(ValueError, match="loopback"):
            listen_addresses(host, token)


def test_listening_beyond_loopback_makes_a_token_unless_there_is_one(tmp_path: Path) -> None:
    door = read_door(options_of("--listen", "0.0.0.0"), tmp_path, {})
    assert door.access.needed and door.made is not None and len(door.made) == 32
    assert printed_address("http://10.0.0.5:8188", door.made) == f"http://10.0.0.5:8188/?token={door.made}"
    assert "0.0.0.0" not in printed_address("http://0.0.0.0:8188", None)
    assert not read_door(options_of(), tmp_path, {}).access.needed
    assert read_door(options_of("--token"), tmp_path, {}).made is not None
    environment = {"EASEL_TOKEN": TOKEN}
    given = read_door(options_of("--listen", "0.0.0.0"), tmp_path, environment)
    assert given.access.needed and given.made is None
    assert environment == {}, "workers and packs do not inherit it"
    add_token(tmp_path / "tokens.json", make_token("x" * 30, "ada"))
    assert read_door(options_of("--listen", "0.0.0.0"), tmp_path, {}).made is None
    assert read_door(options_of(), tmp_path, {}).access.needed


@pytest.mark.parametrize(("words", "environment", "says"), [
    (["--token", "my own secret token"], {}, "everybody on this machine can read a command line"),
    ([], {"EASEL_TOKEN": "short"}, "at least 16 characters"),
    (["--listen", "example.org"], {}, "IP addresses"),
])
def test_a_token_that_will_not_do_is_refused(
    tmp_path: Path, words: list[str], environment: dict[str, str], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        read_door(options_of(*words), tmp_path, environment)


# -- told nowhere ------------------------------------------------------------------------------------------------


async def test_the_token_is_told_nowhere(tmp_path: Path) -> None:
    """InvokeAI 6.13.7: configuration with keys was readable."""
    async with running(tmp_path, token=TOKEN, argv=("server.py", "--token", TOKEN, f"--token={TOKEN}")) as site:
        job = {"prompt": CHAIN, "extra_data": {"api_key_comfy_org": TOKEN}}
        assert (await site.post("/prompt", job, headers=bearer(TOKEN)))[0] == 200
        for path in ("/system_stats", "/features", "/settings", "/internal/logs", "/openapi.json", "/history", "/queue",
                     "/api/jobs", "/metrics"):
            async with site.http.get(site.url + path, headers=bearer(TOKEN)) as answer:
                told = await answer.text()
                assert answer.status == 200 and TOKEN not in told and cookie_of(TOKEN) not in told


def test_the_file_of_tokens_holds_no_secret_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    add_token(path, make_token(TOKEN, "ada"))
    kept = path.read_text()
    assert TOKEN not in kept and cookie_of(TOKEN) not in kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = Access(None, path)
    assert not any(found.exchange(each) for each in json.loads(kept)[0].values() if isinstance(each, str))
    assert found.exchange(TOKEN)


# -- the file of tokens ------------------------------------------------------------------------------------------


def test_tokens_are_made_listed_and_removed_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data-directory", str(tmp_path)]
    assert token_command([*data, "add", "bot", "--role", "submit", "--queued", "3", "--per-minute", "9"]) == 0
    secret = capsys.readouterr().out.strip()
    assert Access(None, tmp_path / "tokens.json").exchange(secret)
    assert token_command([*data, "list"]) == 0
    listed = capsys.readouterr().out
    assert "bot" in listed and "queued 3, per minute 9" in listed and secret not in listed
    for words, says in ((["add", "bot"], "already"), (["add", "a b"], "name"), (["remove", "cat"], "there are: bot")):
        assert token_command([*data, *words]) == 1
        assert says in capsys.readouterr().err
    assert token_command([*data, "remove", "bot"]) == 0
    assert read_tokens(tmp_path / "tokens.json") == ()


def test_tokens_added_and_removed_while_the_server_runs_count_at_once_and_never_open_it(tmp_path: Path) -> None:
    now = [0.0]
    path = tmp_path / "tokens.json"
    add_token(path, make_token("a" * 20, "ada"))
    found = Access(None, path, clock=lambda: now[0])

    def lets_in(secret: str) -> bool:
        now[0] += 2.0
        found.look()
        return found.exchange(secret)

    assert lets_in("a" * 20) and not lets_in("b" * 20)
    add_token(path, make_token("b" * 20, "bob"))
    assert lets_in("b" * 20)
    remove_token(path, "ada")
    assert not lets_in("a" * 20)
    path.write_text("{")
    assert lets_in("b" * 20), "a file that cannot be read changes nothing"
    write_tokens(path, [])
    assert not lets_in("b" * 20) and found.needed, "without any token left nobody is let in, not everybody"
    path.unlink()
    assert not lets_in("b" * 20) and found.needed


async def test_a_token_that_is_removed_loses_its_socket_too(tmp_path: Path) -> None:
    async with (running(tmp_path, access=named(tmp_path, ada="submit", eve="submit")) as site,
                site.http.ws_connect(f"{site.url}/ws", headers=bearer("ada" * 10)) as ada,
                site.http.ws_connect(f"{site.url}/ws", headers=bearer("eve" * 10)) as eve):
        for socket in (ada, eve):
            await socket.receive_json(timeout=PATIENCE)
        remove_token(tmp_path / "tokens.json", "eve")
        closed = await eve.receive(timeout=PATIENCE)
        assert closed.data == 1008 and len(site.server.hub.connections) == 1 and not ada.closed


def test_a_file_of_tokens_that_cannot_be_read_is_refused_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    for text in ("{", '[{"name": "a"}]', '[{"name": "a", "role": "king"}]'):
        path.write_text(text)
        with pytest.raises(ValueError, match="cannot be read"):
            Access(None, path)


# -- roles -------------------------------------------------------------------------------------------------------

ADMIN_ONLY = {
    ("POST", "/free"), ("DELETE", "/view"), ("POST", "/users"), ("PATCH", "/internal/logs/subscribe"),
    ("GET", "/internal/logs"),
    ("GET", "/internal/logs/raw"), ("GET", "/internal/folder_paths"), ("GET", "/internal/files/{directory_type}"),
    ("PATCH", "/api/jobs/{job_id}"), ("POST", "/api/queue/pause"), ("POST", "/api/queue/resume"),
    ("POST", "/api/queue/at_once"),
}


def test_what_only_administrators_may_do_is_listed_here() -> None:
    assert {(each.method, each.path) for each in ROUTES if each.wanted() == "admin"} == ADMIN_ONLY
    assert {each.path for each in ROUTES if each.wanted() == "anybody"} == OPEN
    roles: dict[Any, set[str]] = {}
    for each in ROUTES:
        roles.setdefault(each.handler, set()).add(each.wanted())
    assert all(len(each) == 1 for each in roles.values()), "a function has one role"


async def test_each_role_does_what_it_may_on_every_route_and_no_more(tmp_path: Path) -> None:
    async with running(tmp_path, access=named(tmp_path, reader="read", poster="submit", boss="admin")) as site:
        for route in ROUTES:
            for path in route.paths():
                for name, rank in (("reader", 0), ("poster", 1), ("boss", 2)):
                    header = ("Authorization", f"Bearer {name * 10}")
                    status = await status_of(site, route.method, filled(plain(path)), [host_of(site), header])
                    wanted = route.wanted()
                    allowed = wanted == "anybody" or ("read", "submit", "admin").index(wanted) <= rank
                    assert (status == 403) is not allowed, (route.method, path, name, status)


def plain(path: str) -> str:
    from tests.security.test_origins import plain as without_patterns

    return without_patterns(path)


async def test_a_token_sees_and_changes_only_its_own_jobs(tmp_path: Path) -> None:
    async with running(tmp_path, access=named(tmp_path, ada="submit", bob="submit", boss="admin")) as site:
        ada, bob, boss = (bearer(name * 10) for name in ("ada", "bob", "boss"))
        job = (await site.post("/prompt", {"prompt": CHAIN}, headers=ada))[1]["prompt_id"]
        assert site.dispatcher.submitted[0].owner == "ada"
        for who, sees in ((ada, True), (bob, False), (boss, True)):
            queue = (await site.get("/queue", headers=who))[1]
            assert [each[1] for each in queue["queue_pending"]] == ([job] if sees else [])
            listed = (await site.get("/api/jobs", headers=who))[1]
            assert [each["id"] for each in listed["jobs"]] == ([job] if sees else []) and listed["total"] == sees
            assert (await site.get(f"/api/jobs/{job}", headers=who))[0] == (200 if sees else 404)
        assert (await site.post(f"/api/jobs/{job}/cancel", headers=bob))[0] == 404
        await site.post("/queue", {"delete": [job]}, headers=bob)
        await site.post("/queue", {"delete": [job]}, headers=ada)
        assert site.dispatcher.calls == [("delete_pending", []), ("delete_pending", [job])], "bob's names nothing"
        site.dispatcher.take_up()
        for who in (bob, ada):
            await site.post("/interrupt", {"prompt_id": job}, headers=who)
            await site.post("/interrupt", headers=who)
        assert site.dispatcher.calls[2:] == [("interrupt", job)] * 2
        await site.post("/history", {"clear": True}, headers=bob)
        await site.post("/history", {"clear": True}, headers=boss)
        assert site.dispatcher.calls[4:] == [("clear_history", "bob"), ("clear_history", None)]


async def test_a_token_that_sees_all_but_may_not_administer_changes_only_its_own_jobs(tmp_path: Path) -> None:
    tokens = named(tmp_path, ada="submit", eve={"role": "submit", "sees_all": True})
    async with running(tmp_path, access=tokens) as site:
        job = (await site.post("/prompt", {"prompt": CHAIN}, headers=bearer("ada" * 10)))[1]["prompt_id"]
        assert (await site.get(f"/api/jobs/{job}", headers=bearer("eve" * 10)))[0] == 200
        assert (await site.post(f"/api/jobs/{job}/cancel", headers=bearer("eve" * 10)))[0] == 403


async def test_the_same_client_id_or_key_of_another_token_is_not_the_same(tmp_path: Path) -> None:
    async with running(tmp_path, access=named(tmp_path, ada="submit", eve="submit")) as site:
        ada, eve = bearer("ada" * 10), bearer("eve" * 10)
        async with (site.http.ws_connect(f"{site.url}/ws?clientId=me", headers=ada) as hers,
                    site.http.ws_connect(f"{site.url}/ws?clientId=me", headers=eve) as spy):
            for socket in (hers, spy):
                assert (await socket.receive_json(timeout=PATIENCE))["data"]["sid"] == "me"
            body = {"workflow": CHAIN, "client_id": "me"}
            made = [await site.post("/api/jobs", body, headers={**who, "Idempotency-Key": "k"}) for who in (ada, eve)]
            assert [status for status, _ in made] == [201, 201] and made[0][1]["id"] != made[1][1]["id"]
            first = site.dispatcher.take_up()
            site.dispatcher.run(first)
            site.dispatcher.run(site.dispatcher.take_up())

            async def jobs_told(socket: Any) -> set[str]:
                told: set[str] = set()
                while True:
                    message = json.loads(await socket.receive_str(timeout=PATIENCE))
                    told |= {message["data"]["prompt_id"]} if "prompt_id" in message["data"] else set()
                    if message["type"] == "executing" and message["data"]["node"] is None:
                        return told

            assert await jobs_told(hers) == {made[0][1]["id"]}
            assert await jobs_told(spy) == {made[1][1]["id"]}


async def test_messages_without_a_client_go_to_those_who_may_see_the_job(tmp_path: Path) -> None:
    async with running(tmp_path, access=named(tmp_path, ada="submit", eve="submit", boss="admin")) as site:
        sockets = {}
        async with contextlib.AsyncExitStack() as stack:
            for name in ("ada", "eve", "boss"):
                socket = site.http.ws_connect(f"{site.url}/ws?clientId={name}", headers=bearer(name * 10))
                sockets[name] = await stack.enter_async_context(socket)
                await sockets[name].receive_json(timeout=PATIENCE)
            await site.post("/prompt", {"prompt": CHAIN}, headers=bearer("ada" * 10))
            job = site.dispatcher.take_up()
            site.dispatcher.tell(job, events.NodeProgress("1", "1", 1, 2))
            site.dispatcher.end(job, events.Interrupted(time=1.0))
            for name, seen in (("ada", True), ("boss", True), ("eve", False)):
                kinds = set()
                while True:
                    message = await sockets[name].receive_json(timeout=PATIENCE)
                    kinds.add(message["type"])
                    status = message["data"].get("status")
                    if status and status["exec_info"]["queue_remaining"] == 0 and (not seen or "progress" in kinds):
                        break
                assert ("progress" in kinds) is seen, name


async def test_a_token_sees_only_files_of_its_own_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, access=named(tmp_path, ada="submit", eve="submit", boss="admin")) as site:
        for folder in ("output", "temp", "input"):
            (tmp_path / "data" / folder / "secret.png").write_bytes(png())
        monkeypatch.setattr(
            site.dispatcher, "owns", lambda kind, subfolder, name, owner: (owner, name) == ("ada", "secret.png"))
        for name, statuses in (("ada", [200, 200, 200, 200]), ("boss", [200, 200, 200, 200]),
                               ("eve", [404, 404, 404, 200])):
            found = [
                (await site.http.get(f"{site.url}/view?{query}", headers=bearer(name * 10))).status
                for query in ("filename=secret.png", "filename=secret.png&type=temp",
                              "filename=secret.png%20[output]&type=input", "filename=secret.png&type=input")
            ]
            assert found == statuses, name
        graph = {"1": {"class_type": "LoadPicture", "inputs": {"image": "secret.png [output]"}},
                 "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}
        assert (await site.post("/prompt", {"prompt": graph}, headers=bearer("ada" * 10)))[0] == 200
        for path, body in (("/prompt", {"prompt": graph}), ("/api/jobs", {"workflow": graph})):
            status, answer = await site.post(path, body, headers=bearer("eve" * 10))
            assert status == 400 and "secret.png [output]" in answer["error"]["message"]
        mask = upload(png(), original_ref=json.dumps({"filename": "secret.png"}))
        assert (await site.post("/upload/mask", mask, headers=bearer("eve" * 10)))[0] == 400
        for fields in ({"type": "output"}, {"overwrite": "true"}):
            assert (await site.post("/upload/image", upload(png(), **fields), headers=bearer("eve" * 10)))[0] == 403
        assert (await site.post("/upload/image", upload(png()), headers=bearer("eve" * 10)))[0] == 200


async def test_the_output_folder_is_read_and_told_only_to_those_whose_jobs_made_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name without ``[output]`` passed for one of the input folder, and lists named everybody's pictures."""
    dispatcher = FakeDispatcher(specs=ready({**SPECS, "LoadMade": load_made.spec}))
    async with running(tmp_path, dispatcher, access=named(tmp_path, ada="submit", eve="submit", boss="admin")) as site:
        (site.folders.output / "hers.png").write_bytes(png())
        kept = Kept(1, Output("output", "", "hers.png"), "j", 1.0)
        monkeypatch.setattr(site.dispatcher, "owns", lambda kind, subfolder, name, owner: owner == "ada")
        monkeypatch.setattr(
            site.dispatcher, "find_outputs", lambda look: ([kept], 1) if look.owner == "ada" else ([], 0))
        for name, status in (("ada", 200), ("boss", 200), ("eve", 400)):
            for written in ("hers.png", "hers.png [output]"):
                graph = {"1": {"class_type": "LoadMade", "inputs": {"image": written}},
                         "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}
                assert (await site.post("/prompt", {"prompt": graph}, headers=bearer(name * 10)))[0] == status
            graph["1"]["inputs"]["image"] = "other.png"
            told = str(await site.post("/prompt", {"prompt": graph}, headers=bearer(name * 10)))
            for path in ("/object_info", "/object_info/LoadMade"):
                status, answer = await site.get(path, headers=bearer(name * 10))
                assert status == 200
                assert ("hers.png" in str(answer)) is (name != "eve"), (name, path)
            assert ("hers.png" in told) is (name != "eve")


async def test_a_jobs_picture_is_not_served_to_those_who_may_not_see_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names in the temp folder begin anew with each start: an old job's may be another's picture by now."""
    async with running(tmp_path, access=named(tmp_path, ada="submit", boss="admin")) as site:
        (site.folders.temp / "x.png").write_bytes(png())
        job = (await site.post("/api/jobs", {"workflow": CHAIN}, headers=bearer("ada" * 10)))[1]["id"]
        ended = msgspec.structs.replace(site.dispatcher.pending.pop(), state="succeeded")
        shown = {"3": {"images": [{"filename": "x.png", "subfolder": "", "type": "temp"}]}}
        monkeypatch.setattr(site.dispatcher, "job", lambda job_id: ended)
        monkeypatch.setattr(site.dispatcher, "record", lambda _: Record((), events.Succeeded(time=1.0, outputs=shown)))
        for name, status in (("ada", 422), ("boss", 200)):
            headers = {**bearer(name * 10), "Accept": "image/png"}
            assert (await site.http.get(f"{site.url}/api/jobs/{job}", headers=headers)).status == status


async def test_a_token_that_sees_all_but_may_not_administer_writes_over_nothing_of_others(tmp_path: Path) -> None:
    tokens = named(tmp_path, eve={"role": "submit", "sees_all": True}, boss="admin")
    async with running(tmp_path, access=tokens) as site:
        eve, boss = bearer("eve" * 10), bearer("boss" * 10)
        assert (await site.post("/userdata/workflows%2Fx.json", {"a": 1}, headers=boss))[0] == 200
        async with site.http.delete(f"{site.url}/userdata/workflows%2Fx.json", headers=eve) as answer:
            assert answer.status == 404
        for path, body in (("/userdata/workflows%2Fx.json", {"a": 2}), ("/settings", {"a": 2})):
            await site.post(path, body, headers=eve)
        assert await site.get("/userdata/workflows%2Fx.json", headers=boss) == (200, {"a": 1})
        assert await site.get("/settings", headers=boss) == (200, {})
        for fields in ({"type": "output", "overwrite": "true"}, {"type": "output"}, {"overwrite": "true"}):
            assert (await site.post("/upload/image", upload(png(), **fields), headers=eve))[0] == 403


async def test_each_submit_token_has_files_and_settings_of_its_own(tmp_path: Path) -> None:
    async with running(tmp_path, access=named(tmp_path, ada="submit", eve="submit")) as site:
        await site.post("/userdata/notes.json", {"a": 1}, headers=bearer("ada" * 10))
        assert (await site.get("/userdata/notes.json", headers=bearer("ada" * 10))) == (200, {"a": 1})
        assert (await site.get("/userdata/notes.json", headers=bearer("eve" * 10)))[0] == 404


# -- limits ------------------------------------------------------------------------------------------------------


async def test_a_token_may_have_so_many_jobs_and_post_so_many_a_minute(tmp_path: Path) -> None:
    tokens = named(tmp_path, ada={"role": "submit", "queued": 1}, bob={"role": "submit", "per_minute": 2})
    now = [100.0]
    tokens.clock = lambda: now[0]
    async with running(tmp_path, access=tokens) as site:
        async def post(name: str) -> int:
            return (await site.post("/prompt", {"prompt": CHAIN}, headers=bearer(name * 10)))[0]

        assert [await post("ada"), await post("ada"), await post("bob"), await post("bob"), await post("bob")] == [
            200, 429, 200, 200, 429]
        site.dispatcher.run(site.dispatcher.take_up())
        assert await post("ada") == 200, "the first has ended"
        now[0] += 59.0
        assert await post("bob") == 429
        now[0] += 1.0
        assert await post("bob") == 200


async def test_jobs_that_are_posted_at_once_are_counted_while_they_are_put_on_disk(tmp_path: Path) -> None:
    class Slow(FakeDispatcher):
        async def submit(self, new: NewJob) -> Job:
            await asyncio.sleep(0.2)
            return await super().submit(new)

    async with running(tmp_path, Slow(), access=named(tmp_path, ada={"role": "submit", "queued": 2})) as site:
        posts = [site.post("/prompt", {"prompt": CHAIN}, headers=bearer("ada" * 10)) for _ in range(10)]
        found = sorted([status for status, _ in await asyncio.gather(*posts)])
        assert found == [200] * 2 + [429] * 8 and len(site.dispatcher.pending) == 2


async def test_a_key_whose_id_somebody_else_has_taken_replays_nothing(tmp_path: Path) -> None:
    """The id that a key makes can be foretold."""
    async with running(tmp_path, access=named(tmp_path, eve="submit", ada="submit")) as site:
        foretold = str(uuid.uuid5(KEYS, "ada\nk"))
        assert (await site.post("/api/jobs", {"workflow": CHAIN, "id": foretold}, headers=bearer("eve" * 10)))[0] == 201
        status, answer = await site.post(
            "/api/jobs", {"workflow": CHAIN}, headers={**bearer("ada" * 10), "Idempotency-Key": "k"})
        assert (status, answer["error"]["type"]) == (409, "duplicate_id")


def test_a_refusal_for_haste_says_when_to_come_back(tmp_path: Path) -> None:
    found = Access("x" * 20, clock=lambda: 10.0)
    who = access.Identity("bob", "submit", False, per_minute=1)
    found.count_job(who, lambda: 0)
    with pytest.raises(Refusal, match="1 jobs a minute") as refused:
        found.count_job(who, lambda: 0)
    assert refused.value.status == 429 and 0 < int(refused.value.headers["Retry-After"]) <= 61


async def test_only_administrators_choose_a_jobs_place(tmp_path: Path) -> None:
    async with running(tmp_path, access=named(tmp_path, ada="submit", boss="admin")) as site:
        for more in ({"front": True}, {"number": -5}):
            body = {"prompt": CHAIN, **more}
            assert (await site.post("/prompt", body, headers=bearer("ada" * 10)))[0] == 403
            assert (await site.post("/prompt", body, headers=bearer("boss" * 10)))[0] == 200


# -- silent connections ------------------------------------------------------------------------------------------


async def test_a_head_that_does_not_come_ends_the_connection(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slowloris: heads that drip in hold a connection each."""
    monkeypatch.setattr(gate, "HEAD_SECONDS", 0.3)
    silent, dripping, served = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(3)]
    dripping[1].write(b"GET /queue HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
    served[1].write(f"GET /queue HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
    assert (await served[0].readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    for reader, _ in (silent, dripping):
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
    await served[0].readuntil(b"}")
    served[1].write(f"GET /queue HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
    assert b"HTTP/1.1 200" in await asyncio.wait_for(served[0].readuntil(b"}"), PATIENCE), "this one stays"
    for _, writer in (silent, dripping, served):
        writer.transport.abort()


async def test_a_request_that_takes_long_is_not_silent(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HEAD_SECONDS", 0.2)
    job = (await site.post("/api/jobs", {"workflow": {"1": {"class_type": "Show", "inputs": {"value": 1}}}}))[1]["id"]
    assert (await site.get(f"/api/jobs/{job}?wait=1.5"))[0] == 202, "longer than a head may take, and two sweeps"


async def test_too_many_connections_cost_the_oldest_idle_ones(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_CONNECTIONS", 5)
    many = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(20)]
    reads = [asyncio.ensure_future(reader.read()) for reader, _ in many]
    async with asyncio.timeout(PATIENCE):
        while sum(each.done() for each in reads) < 14:
            await asyncio.sleep(0.05)
    head = f"GET /prompt HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nConnection: close\r\n\r\n"
    assert (await raw(site, head.encode())).startswith(b"HTTP/1.1 200")
    for _, writer in many:
        writer.transport.abort()
    await asyncio.gather(*reads, return_exceptions=True)
