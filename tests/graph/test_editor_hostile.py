"""Files made to cost much: each is refused or read within seconds, whatever it would unfold to."""

import time

import pytest

from engine.graph.editor_format import read_editor, write_editor
from engine.graph.problems import WorkflowError
from engine.graph.workflow import Link, Workflow, WorkflowNode
from tests.graph.editor_files import defining, file, node, subgraph
from tests.graph.specs import SPECS


@pytest.fixture(autouse=True)
def _in_seconds():
    start = time.process_time()
    yield
    assert time.process_time() - start < 10  # the slowest takes 3 s here


def refused(data, message):
    with pytest.raises(WorkflowError, match=message):
        read_editor(data, SPECS)


def test_many_copies_of_an_instance_with_many_shown_fields():
    proxies = {"proxyWidgets": [["1", str(index)] for index in range(10_000)]}
    leaf = node(1, "c", [0] * 10_000, properties=proxies)
    data = file(*[node(index, "b") for index in range(300)],
                definitions=defining(subgraph("b", [leaf]), subgraph("c", [node(1, "LoadImage", ["x"])])))
    refused(data, "unfold to more than")


def test_many_copies_of_nodes_with_many_inputs():
    wide = node(1, "Alien", None, [f"i{index}:INT" for index in range(10_000)])
    refused(file(*[node(index, "b") for index in range(300)], definitions=defining(subgraph("b", [wide]))),
            "unfold to more than")


def test_long_ids_in_deep_places():
    levels = [subgraph(f"s{index}", [node("x" * 4000, f"s{index + 1}"), node(1, "Alien")]) for index in range(50)]
    refused(file(node(1, "s0"), definitions=defining(*levels)), "longer than")


def test_many_ports_in_another_order_than_the_instances_inputs():
    names = [f"p{index}" for index in range(5000)]
    inner = node(1, "Alien", None, [f"{name}:INT=-10.{index}" for index, name in enumerate(names)])
    data = file(node(5, "Source", None, [], "INT"),
                node(9, "sub", None, [f"{name}:INT=5.0" for name in reversed(names)]),
                definitions=defining(subgraph("sub", [inner], [f"{name}:INT" for name in names])))
    assert read_editor(data, SPECS).workflow.nodes["9:1"].inputs["p7"] == Link("5", 0)


def test_output_ports_that_name_none_of_many_links():
    definition = subgraph("sub", [node(1, "Alien", None, [f"i{index}:X=1.0" for index in range(9000)], "X")],
                          [], ["out:X=1.0"])
    definition["outputs"][0]["linkIds"] = []
    readers = [node(index, "Taker", None, ["it:X=9.0"]) for index in range(100, 5000)]
    data = file(node(9, "sub", None, [], "X"), *readers, definitions=defining(definition))
    assert read_editor(data, SPECS).workflow.nodes["100"].inputs == {"it": Link("9:1", 0)}


def test_a_long_chain_of_reroutes_read_as_many_types():
    chain = [node(index, "Reroute", None, [f"={index - 1}.0"], "*") for index in range(2, 3000)]
    readers = [node(index, "Alien", None, [f"it:TYPE{index}=2999.0"]) for index in range(4000, 7000)]
    refused(file(node(1, "LoadImage", ["x"], [], "IMAGE"), *chain, *readers), "steps")


def test_a_group_node_with_many_links_and_inputs():
    slots = [{"name": f"i{index}", "type": "X", "link": None} for index in range(9000)]
    nodes = [{"type": "Alien", "inputs": slots, "outputs": [{"name": "X", "type": "X"}]} for _ in range(3)]
    nodes += [{"type": "PrimitiveNode", "widgets_values": [1], "outputs": [{"type": "X"}]} for _ in range(3000)]
    links = [[3 + index % 3000, 0, index % 3, index % 9000, 1, "X"] for index in range(20_000)]
    data = file(node(1, "workflow/G", list(range(3000))), extra={"groupNodes": {"G": {"nodes": nodes, "links": links}}})
    assert len(read_editor(data, SPECS).workflow.nodes) == 3


def test_many_links_that_lead_nowhere_are_refused_without_looking_for_all_nearest_names():
    nodes = {str(index): WorkflowNode("Alien", {"a": Link(f"gone-{index}", 0)}) for index in range(5000)}
    with pytest.raises(WorkflowError) as caught:
        write_editor(Workflow(nodes), SPECS)
    assert len(caught.value.problems) == 5000


def test_a_node_far_along_a_chain_of_bypassed_nodes():
    chain = [node(index, "Alien", None, [f"it:X={index - 1}.0"], "X", mode=4) for index in range(2, 19_000)]
    data = file(node(1, "Source", None, [], "X"), *chain, node(20_001, "Taker", None, ["it:X=18999.0"]))
    assert read_editor(data, SPECS).workflow.nodes["20001"].inputs == {"it": Link("1", 0)}


def test_subgraphs_nested_to_the_limit_pass_values_through_all_borders():
    depth = 90
    levels = [subgraph(f"s{index}", [node(1, f"s{index + 1}", [index], ["w!:INT=-10.0"], "LATENT")],
                       ["w:INT"], ["out:LATENT=1.0"]) for index in range(depth)]
    levels.append(subgraph(f"s{depth}", [node(1, "EmptyLatentImage", [8, 8, 1], ["width!:INT=-10.0"], "LATENT")],
                           ["w:INT"], ["out:LATENT=1.0"]))
    data = file(node(1, "s0", [640], ["w!:INT"], "LATENT"), node(2, "VAEDecode", [], ["samples:LATENT=1.0"]),
                definitions=defining(*levels))
    found = read_editor(data, SPECS).workflow.nodes
    inner = ":".join(["1"] * (depth + 2))
    assert found[inner].inputs["width"] == 640 and found["2"].inputs["samples"] == Link(inner, 0)
