"""Windows, bounds and repeated questions of the history; journals of dead attempts."""

from __future__ import annotations

import json

import pytest

from engine.jobs.history import LARGEST, History, entry, history_json, message, window
from engine.jobs.job import Job, Record
from engine.jobs.journal import journal_path, recover, undo
from engine.messages.events import Failed, Interrupted, NodeBlocked, NodeReport, Succeeded


def filled(count: int, limit: int = 10_000) -> tuple[History, list[list[str]]]:
    asked: list[list[str]] = []

    def read(ids):
        asked.append(list(ids))
        return [(each, b'"%b":%b' % (each.encode(), each.encode())) for each in reversed(ids)]

    history = History(read, limit)
    history.load((str(n), "") for n in range(1, count + 1))
    return history, asked


@pytest.mark.parametrize(("max_items", "offset", "wanted"), [
    (None, None, [1, 2, 3, 4, 5]), (2, None, [4, 5]), (9, None, [1, 2, 3, 4, 5]), (0, None, []),
    (None, 3, [4, 5]), (2, 1, [2, 3]), (2, 4, [5]), (None, 5, []), (3, 99, []), (2, -1, [4, 5]), (-1, None, []),
])
def test_windows_are_comfyuis(max_items, offset, wanted):
    history, _ = filled(5)
    assert list(json.loads(history.json(max_items, offset)).values()) == wanted
    assert window(5, max_items, offset)[1] - window(5, max_items, offset)[0] == len(wanted)


def test_the_same_question_is_answered_without_work_until_something_changes():
    history, asked = filled(3)
    first = history.json()
    assert history.json() is first and len(asked) == 1
    history.add("4", b'"4":4')
    assert json.loads(history.json()) == {"1": 1, "2": 2, "3": 3, "4": 4} and len(asked) == 1
    history.remove(["2", "nobody"])
    assert list(json.loads(history.json())) == ["1", "3", "4"]
    assert (history.item("3"), history.item("2"), len(history), "3" in history) == (b'{"3":3}', b"{}", 3, True)


def test_memory_is_bounded_and_the_newest_stay():
    history, asked = filled(0, limit=50)
    for n in range(1, 31):
        history.add(str(n), b'"%d":%d' % (n, n))
    assert history._cached <= 50 and history._cached == sum(map(len, history._cache.values()))
    assert list(json.loads(history.json(3))) == ["28", "29", "30"] and not asked
    assert list(json.loads(history.json()).values()) == list(range(1, 31))
    assert history._cached <= 50


def test_an_entry_of_a_huge_graph_is_read_when_it_is_asked_for():
    history, asked = filled(0, limit=10 * LARGEST)
    history.add("1", b'"1":"%b"' % (b"x" * LARGEST))
    history.add("2", b'"2":2')
    assert history._cached < LARGEST and not asked
    assert history.item("2") == b'{"2":2}' and not asked
    assert history.item("1") == b'{"1":1}' and asked == [["1"]]
    assert history.item("1") == b'{"1":1}' and asked == [["1"]], "then it is kept"


def test_an_entry_names_the_users_node_behind_an_expansion():
    reports = (NodeReport("1", "1", "Loop", "ran"), NodeReport("1.0", "1", "Inner", "ran", parent="1"),
               NodeReport("1.0.1", "7", "Save", "ran", parent="1.0"))
    record = Record((), Succeeded(time=1.0, outputs={"1.0.1": {"text": [b"\xff", float("nan")]}}, reports=reports))
    job = Job(id='a "b"', number=2.0, sequence=1, created=0.0, prompt=b"{}", extra=b"{}")
    read = json.loads(b"{" + entry(job, history_json(job, record)) + b"}")['a "b"']
    assert read["meta"] == {
        "1.0.1": {"node_id": "1.0.1", "display_node": "7", "parent_node": "1.0", "real_node_id": "1"}}
    assert read["outputs"] == {"1.0.1": {"text": ["/w==", None]}}


def test_a_blocked_output_and_an_error_inside_an_expansion_are_reported_as_the_users_node():
    name, data = message("job", NodeBlocked("1.0.0.2", "1", "Show", "no face", ("0",)))
    assert (name, data["node_id"], data["exception_type"]) == ("execution_error", "1", "ExecutionBlocked")
    assert data["exception_message"] == "Execution Blocked: no face"
    assert "timestamp" not in data
    name, data = message("job", Failed(time=1.0, node="1.0.0.2", display="1", class_type="Add"))
    assert (name, data["node_id"], data["node_type"]) == ("execution_error", "1", "Add")
    assert message("job", Interrupted(time=1.0, node="1.0.0.2", display="1"))[1]["node_id"] == "1"
    assert message("job", Failed(time=1.0))[1]["node_id"] is None, "the worker died: no node is to blame"


def note(journal, *files):
    lines = [json.dumps({"part": f"{file}.part", "file": str(file)}) for file in files]
    journal.write_text("\n".join(lines) + '\n{"part": "/torn')


def test_what_a_dead_attempt_wrote_is_removed_and_nothing_else(tmp_path):
    root, outside = tmp_path / "output", tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (root / "link").symlink_to(outside)
    finished, begun, taken = root / "a.png", root / "sub" / "b.png", root / "c.png"
    for file in (finished, root / "sub" / "b.png.part", taken, root / "c.png.part", outside / "x", root / "other.png"):
        file.write_text("")
    journal = journal_path(tmp_path, 1, 1)
    note(journal, finished, begun, taken, outside / "x", root / "link" / "x", root / ".." / "outside" / "x", "rel.png",
         root / "never.png", root / "sub")
    removed = undo(journal, [root])
    assert sorted(file.name for file in removed) == ["a.png", "b.png.part", "c.png.part"]
    # c.png was there before: its part had not been renamed yet.
    assert sorted(file.name for file in root.iterdir()) == ["c.png", "link", "other.png", "sub"]
    assert (outside / "x").exists() and not journal.exists()
    assert undo(journal, [root]) == []


def test_the_files_of_the_attempt_that_ended_stay(tmp_path):
    (tmp_path / "output").mkdir()
    for sequence, attempt in ((1, 1), (1, 2), (2, 1)):
        file = tmp_path / "output" / f"{sequence}-{attempt}.png"
        file.write_text("")
        note(journal_path(tmp_path, sequence, attempt), file)
    (tmp_path / "notes.jsonl").write_text("")
    recover(tmp_path, [tmp_path / "output"], {1: 2}.get)
    assert [file.name for file in (tmp_path / "output").iterdir()] == ["1-2.png"]
    assert [file.name for file in tmp_path.glob("*.jsonl")] == ["notes.jsonl"]
