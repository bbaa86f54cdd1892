"""Easel's command line.

    python server.py                              serve the editor and the API on http://127.0.0.1:8188
    python server.py run FILE --set 6.text="…"    run a workflow here, without a server
    python server.py verify PICTURE               make it again from what it carries, and compare
    python server.py convert FILE                 the editor's file to the API form, or back
    python server.py nodes [NAME]                 list the nodes, or describe one
    python server.py token add NAME --role submit  make a token; also: list, remove
    python server.py doctor                       what this machine can run, and what is in the way
    python server.py openapi                      the description of the API that /openapi.json gives

``run``, ``verify``, ``convert``, ``nodes`` and ``doctor`` import torch; the server leaves that to its workers.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import math
import os
import shutil
import signal
import sys
import webbrowser
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.runtime.peer_flags import add_peer_flags, peer_notes
from engine.runtime.precision_flags import precision_notes
from engine.runtime.settings import (
    add_worker_flags,
    check_devices,
    check_safety_flags,
    collect_seldom,
    read_folders,
    read_packs,
    read_settings,
    share_cores,
    verdicts_file,
    worker_arguments,
)

if TYPE_CHECKING:
    from engine.files.folders import Folders
    from engine.files.verdicts import Exit
    from engine.messages.events import Event

ROOT = Path(__file__).resolve().parent
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MOST_DEVICES = 32
PREVIEW_METHODS = ("none", "auto", "latent2rgb", "taesd")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; gives the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words.pop(0) if words and words[0] in CARRIED_OUT_BY else "serve"
    share_cores(os.environ)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return CARRIED_OUT_BY[command](words)
    except BrokenPipeError:  # whoever read the output has read enough
        sys.stdout = None
        return 0


def _plain(error: BaseException) -> str:
    """What an error says, without the numbers that the system gives to its errors."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}"


# -- serve -------------------------------------------------------------------------------------------------------


def serve(words: Sequence[str]) -> int:
    """Serve until interrupted."""
    parser = serving_parser()
    options = parser.parse_args(words)
    logging.getLogger().setLevel(options.verbose)
    _say_what_has_no_effect(options)
    _choose_devices(options)
    try:
        return asyncio.run(_serve(options))
    except (ValueError, OSError, RuntimeError) as error:
        print(f"Easel cannot start: {_plain(error)}", file=sys.stderr)
        return 1


def serving_parser() -> argparse.ArgumentParser:
    """All that may be said to ``serve``, ComfyUI's flags included."""
    from web.options import add_serving_flags

    others = ", ".join(name for name in CARRIED_OUT_BY if name != "serve")
    parser = argparse.ArgumentParser(
        prog="server.py", description=f"Serve the editor and the API. Other commands: {others}.")
    add_serving_flags(parser)
    group = parser.add_argument_group("serving")
    group.add_argument("--front-end-root", type=Path, metavar="DIR", help="serve another front-end's built files")
    group.add_argument("--multi-user", action="store_true", help="keep files and settings apart by user")
    group.add_argument("--metadata", choices=("none", "parameters", "full"), default="full",
                       help="what pictures carry: nothing, A1111's text of parameters, or the graph and a workflow")
    group.add_argument("--disable-metadata", action="store_true", help="the same as --metadata none")
    group.add_argument("--preview-method", choices=PREVIEW_METHODS, default="none",
                       help="show pictures while they are made (default: none)")
    group.add_argument("--max-upload-size", type=_megabytes, default=100.0, metavar="MB",
                       help="the largest request body in MiB (default: 100)")
    group.add_argument("--auto-launch", "--windows-standalone-build", action="store_true",
                       help="open the editor in the browser")
    group.add_argument("--cuda-device", metavar="N", help="the only CUDA devices to see, such as 0 or 0,1")
    group.add_argument("--default-device", metavar="N", help="the CUDA device to see first")
    group.add_argument("--verbose", nargs="?", const="DEBUG", default="INFO", choices=LEVELS, metavar="LEVEL",
                       help=f"how much the log says: {', '.join(LEVELS)} (default: INFO)")
    group.add_argument("--quick-test-for-ci", action="store_true", help="end when the nodes are loaded")
    add_peer_flags(parser)
    group.add_argument("--durable", choices=("normal", "full"), default="normal",
                       help="full: a job survives a power cut too, each POST waits for the disk")
    add_worker_flags(parser)
    return parser


def _say_what_has_no_effect(options: argparse.Namespace) -> None:
    for note in (*precision_notes(options), *peer_notes(options)):
        logging.warning(note)


def _choose_devices(options: argparse.Namespace) -> None:
    """Say which devices the workers see; they inherit it."""
    if options.default_device is not None:
        first = str(options.default_device)
        others = [str(number) for number in range(MOST_DEVICES) if str(number) != first]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join([first, *others])
    if options.cuda_device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(options.cuda_device)


def _megabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 2**20:
        raise argparse.ArgumentTypeError(f"a size is a number of MiB above 0; found {text!r}")
    return value


async def _serve(options: argparse.Namespace) -> int:
    from engine.jobs.dispatcher import Dispatcher
    from engine.jobs.job import StoreError
    from engine.jobs.store import open_store
    from web.app import make_app, start
    from web.options import printed_address, read_door, read_tls, use_log_format
    from web.state import WebConfig
    from web.webhooks import read_hosts, read_secret

    check_safety_flags(options)
    check_devices(options)
    use_log_format(options.log_format)
    data = options.data_directory.resolve()
    hosts = read_hosts(options.webhook_host) if options.webhook_host else None
    door, tls = read_door(options, data, os.environ), read_tls(options)  # refused before anything is written
    folders = read_folders(options)
    try:
        store = open_store(data, durable=options.durable)
    except StoreError as error:
        raise RuntimeError(str(error)) from error
    if store.notice:
        logging.warning(store.notice)
    shutil.rmtree(folders.temp, ignore_errors=True)  # what is in it outlives no server
    _make_folders(folders)
    command = (
        sys.executable, "-u", "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from engine.runtime.start import main; main()",
        *worker_arguments(options),
    )
    dispatcher = Dispatcher(
        store, worker_command=command, data_directory=data, artefact_roots=(folders.output, folders.temp),
        workers=[("--place", str(place)) for place in range(len(options.devices))] or [()],
        cancel_grace=options.cancel_seconds,
    )
    previews = "none" if options.preview_method == "none" else "latent2rgb"
    config = WebConfig(
        host=options.listen, port=options.port, previews=previews,
        hosts=frozenset(name.lower() for name in options.host_name),
        metadata="none" if options.disable_metadata else options.metadata,
        argv=tuple(sys.argv), max_upload=int(options.max_upload_size * 2**20), safety=_exit(options),
        data=data, webhook_hosts=hosts, webhook_secret=read_secret(data) if hosts else b"",
        tell_jobs=options.log_format == "json", multi_user=options.multi_user, **_front_end(options.front_end_root),
    )
    stopped, drained = asyncio.Event(), asyncio.Event()

    def stop(number: int) -> None:
        # SIGTERM lets the running job end; SIGINT, and a second signal of either kind, does not.
        (stopped if number == signal.SIGINT or drained.is_set() else drained).set()
        drained.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        await dispatcher.start()
        kept = data / "cache" / "specs.msgpack"
        if read_packs(options):  # they are not in the key of the kept specifications: the worker's are waited for
            kept.unlink(missing_ok=True)
        runner, addresses = await start(make_app(config, dispatcher, folders, kept, access=door.access), tls)
        collect_seldom()
        address = printed_address(addresses[0], door.made)
        print(f"Easel is at {address}", flush=True)
        if options.auto_launch:
            await asyncio.to_thread(webbrowser.open, address)
        try:
            if options.quick_test_for_ci:
                ready = await dispatcher.wait_ready()
                for module, trace in ready.failures.items():
                    logging.error("%s could not be imported:\n%s", module, trace)
                return 1 if ready.failures else 0
            await drained.wait()
            await _either(stopped.wait(), dispatcher.drain(0.0 if stopped.is_set() else options.drain_seconds))
        finally:
            await runner.cleanup()
    finally:
        await dispatcher.stop()
        store.close()
    return 0


def _exit(options: argparse.Namespace) -> Exit:
    """By what rule pictures leave the server; the examples that come with Easel may."""
    from engine.files.verdicts import Exit, Verdicts

    if options.safety == "off":
        return Exit()
    rule = Exit(options.safety, Verdicts(verdicts_file(options)))
    for example in (ROOT / "workflows" / "input").iterdir():
        rule.sent(example)
    return rule


async def _either(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait for the first of several things; the others are given up."""
    tasks = [asyncio.ensure_future(each) for each in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _front_end(root: Path | None) -> dict[str, Any]:
    """What ``--front-end-root`` changes. Raises ValueError if there is no front-end."""
    if root is None:
        return {}
    if not (root / "index.html").is_file():
        raise ValueError(f"--front-end-root {root}: there is no index.html; name the folder of the built files")
    return {"ui": root.resolve(), "foreign_ui": True}


def _make_folders(folders: Folders) -> None:
    """Have the folders that users look for, and in the input folder what the saved workflows start from."""
    for folder in (folders.input, folders.output, folders.temp, folders.user):
        folder.mkdir(parents=True, exist_ok=True)
    for example in (ROOT / "workflows" / "input").iterdir():
        if not (folders.input / example.name).exists():
            shutil.copyfile(example, folders.input / example.name)


# -- run ---------------------------------------------------------------------------------------------------------


def run(words: Sequence[str]) -> int:
    """Run a workflow file in this process."""
    parser = argparse.ArgumentParser(prog="server.py run", description="Run a workflow without a server.")
    parser.add_argument("file", type=Path, help="a workflow in either form, or a picture that carries one")
    parser.add_argument("--set", action="append", default=[], metavar="NODE.INPUT=VALUE", dest="changes",
                        help='change an input, such as 6.text="a red cube"; may be repeated')
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="where pictures go")
    parser.add_argument("--disable-metadata", action="store_true", help="do not save the workflow in pictures")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--server", metavar="URL", help="run it on this server and fetch the files")
    parser.add_argument("--token", metavar="TOKEN", default=os.environ.get("EASEL_TOKEN"),
                        help="the server's token, if it asks for one; better in the environment variable EASEL_TOKEN")
    add_worker_flags(parser)
    options = parser.parse_args(words)
    if options.output:
        options.output_directory = options.output
    changes = dict(text.partition("=")[::2] for text in options.changes)
    if options.server:
        return _run_elsewhere(options, changes)
    _say_what_has_no_effect(options)

    contents = _contents(options.file, "run")
    if contents is None:
        return 2

    from engine.messages.events import Failed, Interrupted
    from engine.runtime.start import begin

    begin(plain=options.plain)
    from engine.runtime.headless import WorkflowError, run_file
    from engine.runtime.tasks import CancelToken

    collect_seldom()
    cancel = CancelToken()
    signal.signal(signal.SIGINT, lambda number, frame: cancel.cancel())
    try:
        settings = read_settings(options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    bar = _Bar(options.quiet)
    try:
        _make_folders(settings.folders)
        ending = run_file(
            options.file, settings, bar.tell, contents=contents, changes=changes, cancel=cancel,
            metadata=not options.disable_metadata,
        )
    except (WorkflowError, OSError) as error:
        print(f"{options.file} cannot run:\n{_plain(error)}", file=sys.stderr)
        return 2
    finally:
        bar.close()
    if isinstance(ending, Interrupted):
        print("interrupted", file=sys.stderr)
        return 130
    if isinstance(ending, Failed):
        print(f"node {ending.node} ({ending.class_type}): {ending.message}", file=sys.stderr)
        return 1
    for node_id, shown in ending.outputs.items():
        for line in _shown_lines(shown, settings.folders):
            print(f"{node_id}: {line}")
    return 0


def _contents(file: Path, wanted: str) -> Any:
    """The workflow in a file, or None, having said what is wrong. Read first: loading what runs it takes seconds."""
    from engine.graph.problems import WorkflowError
    from engine.runtime.workflow_file import read_file

    try:
        found = read_file(file)
        return {} if found is None else found
    except (WorkflowError, OSError, ValueError) as error:
        print(f"{file} cannot {wanted}:\n{_plain(error)}", file=sys.stderr)
        return None


def _run_elsewhere(options: argparse.Namespace, changes: dict[str, str]) -> int:
    """Run a workflow on a server and put its files into the output folder."""
    from easel_client import Client, EaselError
    from engine.files.uploads import is_hidden
    from engine.graph.problems import WorkflowError
    from engine.graph.workflow import read_json
    from engine.runtime.workflow_file import read_text

    folder = options.output or Path()
    try:
        client = Client(options.server, options.token)
        job = client.run(read_json(read_text(options.file), "the file"), changes)
        for output in job.outputs:
            if "url" in output:
                name = Path(output["filename"]).name  # whatever the server says, only a name
                if not name or is_hidden(name):
                    raise ValueError(f"the server names a file {output['filename']!r}, which is no name")
                folder.mkdir(parents=True, exist_ok=True)
                path = _free_name(folder / name)
                path.write_bytes(client.fetch(output))
                print(f"{output['node']}: {path}")
            else:
                print(f"{output['node']}: {output.get('text', '')}")
    except (EaselError, WorkflowError, OSError, ValueError) as error:
        print(f"{options.file} cannot run on {options.server}:\n{_plain(error)}", file=sys.stderr)
        return 2
    for fault in job.errors:
        print(f"node {fault.get('node')} ({fault.get('class_type')}): {fault['message']}", file=sys.stderr)
    return 0 if job.state == "succeeded" else 1


def _free_name(path: Path) -> Path:
    """The path, or one with a number where there is a file already."""
    candidates = (path.with_name(f"{path.stem} ({number}){path.suffix}") for number in itertools.count(1))
    return path if not path.exists() else next(each for each in candidates if not each.exists())


def _shown_lines(shown: Any, folders: Folders) -> list[str]:
    lines = [str(text) for text in shown.get("text", ())]
    for entry in shown.get("images", ()):
        folder = folders.files_kind(entry["type"])
        assert folder is not None
        lines.append(str(folder / entry["subfolder"] / entry["filename"]))
    return lines


class _Bar:
    """A progress bar for the node that runs."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None

    def tell(self, event: Event) -> None:
        from tqdm import tqdm

        from engine.messages.events import NodeFinished, NodeProgress, NodeText

        if isinstance(event, NodeText):
            tqdm.write(f"node {event.node}: {event.text}", file=sys.stderr)
        if self._quiet:
            return
        if isinstance(event, NodeProgress):
            if self._bar is None:
                self._bar = tqdm(total=event.maximum, desc=f"node {event.display}", leave=False, disable=None)
            self._bar.update(event.value - self._bar.n)
        elif isinstance(event, NodeFinished):
            self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


# -- verify ------------------------------------------------------------------------------------------------------


def verify(words: Sequence[str]) -> int:
    """Make a picture again from what it carries, and compare."""
    parser = argparse.ArgumentParser(
        prog="server.py verify",
        description="Make a picture again from the workflow in it, and compare: exits with 0 if it is the same.",
    )
    parser.add_argument("file", type=Path, help="a picture that Easel or ComfyUI made")
    add_worker_flags(parser)
    options = parser.parse_args(words)
    contents = _contents(options.file, "be verified")
    if contents is None:
        return 2

    from engine.graph.problems import WorkflowError
    from engine.runtime.start import begin

    begin(plain=options.plain)
    from engine.runtime.verify import NotMadeError
    from engine.runtime.verify import verify as verify_picture

    collect_seldom()
    try:
        found = verify_picture(options.file, read_settings(options), contents)
    except (WorkflowError, NotMadeError, OSError, ValueError) as error:
        print(f"{options.file} cannot be verified:\n{error}", file=sys.stderr)
        return 2
    if found.same:
        print(f"{options.file}: the same, bit for bit")
        return 0
    print(f"{options.file}: {found.differing} of {found.pixels} pixels differ, by {found.largest} of 255 at most")
    if found.changes is None:
        print("it does not say what made it, so nobody knows why")
    for each in found.changes or ():
        print(f"  {each}")
    if found.changes == ():
        print("  versions, device, number types and weights are those that it was made with")
    return 1


# -- convert and nodes -------------------------------------------------------------------------------------------


def convert(words: Sequence[str]) -> int:
    """Convert a workflow between its forms."""
    parser = argparse.ArgumentParser(prog="server.py convert", description="Convert a workflow between its forms.")
    parser.add_argument("file", type=Path, help="a workflow in either form, or a picture that carries one")
    parser.add_argument("--to", choices=("api", "editor", "v1"), help="the form wanted (default: the other one)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write here instead of to the terminal")
    options = parser.parse_args(words)

    from engine.graph.editor_format.convert import Form
    from engine.graph.editor_format.convert import convert as convert_text
    from engine.graph.problems import WorkflowError
    from engine.graph.registry import scan
    from engine.runtime.workflow_file import is_picture, read_text

    try:
        text = read_text(options.file)
        to: Form | None = options.to or ("api" if is_picture(options.file) else None)  # a picture holds both forms
        result = convert_text(text, scan().specs, to)
    except (WorkflowError, OSError) as error:
        print(f"{options.file} cannot be converted:\n{_plain(error)}", file=sys.stderr)
        return 2
    for kind, ids in result.missing.items():
        print(f"unknown node type {kind}: nodes {', '.join(ids)}", file=sys.stderr)
    for note in result.notes:
        print(note, file=sys.stderr)
    written = json.dumps(result.data, indent=2, ensure_ascii=False)
    if options.output:
        try:
            options.output.write_text(written + "\n", encoding="utf-8")
        except OSError as error:
            print(f"{options.output} cannot be written: {_plain(error)}", file=sys.stderr)
            return 2
    else:
        print(written)
    return 0


def token(words: Sequence[str]) -> int:
    """Make, list or remove tokens."""
    from web.options import token_command

    return token_command(words)


def doctor(words: Sequence[str]) -> int:
    """Say what this machine can run."""
    parser = argparse.ArgumentParser(prog="server.py doctor", description="Say what this machine can run.")
    parser.add_argument("--json", action="store_true", help="for programs")
    add_worker_flags(parser)
    options = parser.parse_args(words)

    from engine.runtime.device.doctor import examine

    packs = read_packs(options)
    findings = examine(
        read_folders(options), options.data_directory.resolve(), ROOT, cpu=options.cpu,
        packs=packs or [(options.base_directory or ROOT) / "custom_nodes"], are_on=bool(packs))
    if options.json:
        print(json.dumps([vars(each) for each in findings], indent=2))
    else:
        for each in findings:
            print(f"{each.level:5} {each.text}")
    return 1 if any(each.level == "fail" for each in findings) else 0


def openapi(words: Sequence[str]) -> int:
    """Print the description of the API; the same bytes for the same version."""
    parser = argparse.ArgumentParser(prog="server.py openapi", description="Print the API as OpenAPI 3.1.")
    parser.parse_args(words)

    from web.routes.docs import described
    from web.state import WebConfig

    print(json.dumps(described(WebConfig.version), indent=2, ensure_ascii=False))
    return 0


def nodes(words: Sequence[str]) -> int:
    """List the nodes, or describe one."""
    parser = argparse.ArgumentParser(prog="server.py nodes", description="List the nodes, or describe one.")
    parser.add_argument("name", nargs="?", help="a node class")
    parser.add_argument("--markdown", action="store_true", help="print the reference page, docs/nodes.md")
    add_worker_flags(parser)
    options = parser.parse_args(words)

    from engine.graph.problems import nearest
    from engine.graph.registry import scan
    from engine.graph.schema import object_info

    registry = scan()
    for module, trace in registry.failures.items():
        print(f"{module} could not be imported:\n{trace}", file=sys.stderr)
    if options.markdown:
        from engine.graph.page import reference_page
        from nodes.left_out import LEFT_OUT

        print(reference_page(registry.specs, LEFT_OUT), end="")
        return 0
    if options.name is None:
        for name, spec in sorted(registry.specs.items()):
            print(f"{name:32} {spec.category:24} {spec.description.splitlines()[0] if spec.description else ''}")
        return 0
    found = registry.specs.get(options.name)
    if found is None:
        print(f"there is no node {options.name!r}{nearest(options.name, registry.specs)}", file=sys.stderr)
        return 2
    print(json.dumps(object_info(found, read_folders(options).list), indent=2))
    return 0


CARRIED_OUT_BY = {
    "serve": serve, "run": run, "verify": verify, "convert": convert, "nodes": nodes, "token": token, "doctor": doctor,
    "openapi": openapi,
}

if __name__ == "__main__":
    sys.exit(main())
