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


# Each flow and what it shows. Flows that need more than a server and a name have tests of their own below.
SHOWN = {
    "opens": "the page opens with a finished graph and no complaint",
    "undoes": "undo goes back to the first graph and redo to the last",
    "connectsByKeyboard": "nodes are added and linked by keyboard alone",
    "linksByMouse": "a wrong link is refused with its reason and a right one is made",
    "keepsLinksWhenNodesCome": "links stay as they were drawn when a node is added and taken away",
    "offersNodesForALink": "a link dropped on the canvas offers nodes that fit",
    "buildsByMouse": "text to image is built from an empty page by mouse and makes a picture",
    "buildsByKeyboard": "text to image is built from an empty page by keyboard alone and makes a picture",
    "undoesTwoHundredCommands": "two hundred random commands are taken back and done again byte for byte",
    "copiesBetweenTabs": "nodes are copied between tabs, and with their incoming links",
    "movesAndCutsLinks": "the end of a link is moved to another input or dropped, and all links of a node are removed",
    "holdsTwoThousandNodes": "two thousand nodes can be worked on",
    "runs": "ctrl enter gives a picture whose file opens as its workflow",
    "showsErrors": "errors stand on their node with the allowed values",
    "ordersTheQueue": "the queue is paused, reordered, thinned out and resumed, and its history opens",
    "runsBeforeOthers": "a job runs before the others and all that wait are cleared",
    "findsARunAgain": "a page that is reloaded during a run shows how far it is and then its picture",
    "showsHowFarItIs": "a run shows its progress and preview on the node and in the title, and can be stopped",
    "keepsUnknownNodes": "unknown nodes keep all they hold and markup stays text",
    "comesBack": "open workflows come back after a reload",
    "savesToTheServer": "a workflow is saved on the server, opened, renamed and deleted",
    "keepsFavourites": "favourites stand first, keep their star over a new name and a reload",
    "startsFromTemplates": "templates are shown with a picture of their graph, sought and opened",
    "exportsBothForms": "a workflow is exported in both forms and the one for programs can be drawn again",
    "opensPictures": "a dropped picture opens as its workflow and one without says so",
    "opensPicturesOfAnotherProgram": "a picture of another program opens as a graph that the server makes of it",
    "keepsAGallery": "pictures are kept in a gallery, looked at with their recipe, compared and deleted",
    "downloadsPictures": "the chosen pictures are downloaded as the server has them",
    "sendsAPictureToTheInput": "a picture that was made becomes an input of the workflow",
    "paintsAMask": "a mask is painted, filled, inverted, erased, taken back and saved over its picture",
    "feelsThePen": "a pen that is pressed lightly paints a thinner line",
    "makesAndOpensSubgraphs": "a selection becomes a subgraph that is opened, edited, run and unpacked",
    "nestsSubgraphs": "subgraphs nest and what is edited deep inside is in the file and in the run",
    "linksPrimitives": "one value feeds a field through a primitive",
    "framesNodesInGroups": "a group is made, named, coloured, moved with its nodes and taken away",
    "bendsLinks": "a link runs through points that are dragged, kept in the file and removed",
    "looksAround": "the view is moved, zoomed, locked and kept, and nodes are chosen by dragging and resized by keys",
    "snapsToTheGrid": "nodes that are dragged snap to the grid when asked",
    "dragsNumbers": "a number is changed by dragging as one step, and by typing arithmetic",
    "movesAllLinks": "all links of an output go to another one, and a held link says why it is refused",
    "takesPictures": "pictures that are dropped, pasted or picked become inputs",
    "writesNotes": "notes are drawn as Markdown and markup in them stays text",
    "listsProblems": "missing models and links are listed on load with the nearest choice and a report",
    "browsesABatch": "the pictures of a batch are shown one by one with their size, or as a grid",
    "reopensWorkflows": "a workflow is duplicated, closed unsaved and opened again with its history",
    "worksByTouch": "fingers move and zoom the view and make a link",
    "isAccessible": "no view has a serious accessibility fault in either theme",
    "fitsAPhone": "a phone shows the form, the queue and the pictures, and the graph when asked",
    "showsProperties": "the properties, the tools of a selection and the help of a node are at hand",
    "weighsWords": "the arrow keys weigh words of a prompt",
    "changesShortcutsAndSettings": "shortcuts and settings are changed and kept, clashes are named",
    "carriesSettingsAway": "settings are sought, exported, put back and imported, and other files change nothing",
    "speaksGerman": "the editor speaks another language from the moment it is chosen and after a reload",
    "findsNodesAndModels": "nodes are found in the graph and models in their folders",
    "fillsInAForm": "a workflow is filled in as a form, which shows the fields that were chosen",
    "tellsWhatRanAndWhy": "each node says whether it ran, why, how long it took and whether it would again",
    "sweepsValues": "a sweep runs every combination and shows the pictures as a table",
    "comparesWorkflows": "a workflow is compared with what was saved",
    "toursNewcomers": "newcomers are shown around once in four steps",
}


@pytest.mark.parametrize("name", SHOWN, ids=lambda name: SHOWN[name].replace(" ", "_"))
def test_in_the_editor(flow: Flow, name: str) -> None:
    flow(name)


def test_every_shipped_workflow_opens_and_is_saved_as_it_was(flow: Flow) -> None:
    flow("keepsFiles", *sorted((ROOT / "workflows").glob("*.json")))


def test_a_thousand_nodes_are_drawn_with_few_elements(flow: Flow) -> None:
    assert "elements" in flow("holdsAThousandNodes")


def test_cve_2026_111984_a_models_name_is_only_text(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    models = tmp_path / "models"
    (models / "checkpoints").mkdir(parents=True)
    standin = next((ROOT / "models" / "starter").rglob("standin.safetensors"))
    (models / "checkpoints" / "<img src=x onerror=alert(1)>.safetensors").symlink_to(standin)
    paths = tmp_path / "paths.yaml"
    paths.write_text(f"hostile:\n  base_path: {models}\n  checkpoints: checkpoints\n")
    with serving(tmp_path / "data", more=("--extra-model-paths-config", str(paths))) as (address, _):
        finish(start(address, "showsHostileNames"))


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
