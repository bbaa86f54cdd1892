"""Recipe keys and order: what can be said of a graph before anything runs. Pure, linear, without recursion.

A node's recipe key is a hash of its class, version, literals, its token of the world outside, and the recipe
keys of its inputs. It does not hold the node's id, so equal nodes have equal keys wherever they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from engine.graph.graph import Graph, GraphNode
from engine.graph.node import NodeSpec

KEY_SIZE = 16
_canonical = msgspec.msgpack.Encoder(order="deterministic")


class Plan(msgspec.Struct, frozen=True):
    """keys: each node's recipe key. position: its place in the order. readers: who reads it, once per link."""

    keys: Mapping[str, bytes]
    position: Mapping[str, int]
    readers: Mapping[str, tuple[str, ...]]


def make_plan(graph: Graph, specs: Mapping[str, NodeSpec], tokens: Mapping[str, Any]) -> Plan:
    """Plan a graph whose nodes come after those they read. ``tokens``: node id → what it depends on outside."""
    keys: dict[str, bytes] = {}
    readers: dict[str, list[str]] = {node.id: [] for node in graph.nodes}
    for node in graph.nodes:
        keys[node.id] = recipe_key(node, specs[node.class_type], keys, tokens.get(node.id))
        for link in node.links.values():
            readers[link.node].append(node.id)
    position = {node.id: index for index, node in enumerate(graph.nodes)}
    return Plan(keys, position, {name: tuple(each) for name, each in readers.items()})


def recipe_key(node: GraphNode, spec: NodeSpec, keys: Mapping[str, bytes], token: Any) -> bytes:
    """The recipe key of one node, given those of the nodes it reads."""
    links = [(name, link.slot, keys[link.node]) for name, link in node.links.items()]
    if len(links) > 1:
        links.sort()
    unique = node.id if "UNIQUE_ID" in spec.hidden.values() else None
    return blake2b(
        _canonical.encode((node.class_type, spec.version, node.literals, token, links, unique)), digest_size=KEY_SIZE
    ).digest()
