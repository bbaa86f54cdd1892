"""What people do in the editor, against the real server; each flow also fails on any error, warning or refused
resource in the browser's console, and on any request that leaves the server's origin."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import ROOT, finish, serving

pytestmark = pytest.mark.full
Flow = Callable[..., str]


def test_the_page_opens_with_a_finished_graph_and_no_complaint(flow: Flow) -> None:
    flow("opens")


def test_ctrl_enter_gives_a_picture_whose_file_opens_as_its_workflow(flow: Flow) -> None:
    flow("runs")


def test_undo_goes_back_to_the_first_graph_and_redo_to_the_last(flow: Flow) -> None:
    flow("undoes")


def test_nodes_are_added_and_linked_by_keyboard_alone(flow: Flow) -> None:
    flow("connectsByKeyboard")


def test_a_wrong_link_is_refused_with_its_reason_and_a_right_one_is_made(flow: Flow) -> None:
    flow("linksByMouse")


def test_a_link_dropped_on_the_canvas_offers_nodes_that_fit(flow: Flow) -> None:
    flow("offersNodesForALink")


def test_errors_stand_on_their_node_with_the_allowed_values(flow: Flow) -> None:
    flow("showsErrors")


def test_every_shipped_workflow_opens_and_is_saved_as_it_was(flow: Flow) -> None:
    flow("keepsFiles", *sorted((ROOT / "workflows").glob("*.json")))


def test_unknown_nodes_keep_all_they_hold_and_markup_stays_text(flow: Flow) -> None:
    flow("keepsUnknownNodes")


def test_open_workflows_come_back_after_a_reload(flow: Flow) -> None:
    flow("comesBack")


def test_no_view_has_a_serious_accessibility_fault_in_either_theme(flow: Flow) -> None:
    flow("isAccessible")


def test_a_thousand_nodes_are_drawn_with_few_elements(flow: Flow) -> None:
    assert "elements" in flow("holdsAThousandNodes")


def test_a_page_recovers_when_its_server_is_killed_in_the_middle_of_a_run(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    with serving(tmp_path) as (address, server):
        process = start(address, "recovers")
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip() == "running", line + process.stdout.read()
        server.kill()
        server.wait(timeout=30)
    with serving(tmp_path, int(address.rsplit(":", 1)[1])):
        finish(process)


def test_running_is_within_reach_on_a_phone(flow: Flow) -> None:
    flow("fitsAPhone")
