"""Small editor files, built in code: nodes name their links, and the links' table follows from that."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def node(node_id: Any, kind: str, values: Any = None, inputs: Any = (), outputs: str = "", **more: Any) -> Json:
    """A node. inputs: ``name:TYPE=origin.slot``, ``name:TYPE`` (unlinked); ``!`` after the name marks a widget."""
    made = [slot(text) for text in inputs]
    out = [{"name": kind_, "type": kind_, "links": []} for kind_ in outputs.split()]
    data = {"id": node_id, "type": kind, "pos": [0, 0], "size": [210, 50], "flags": {}, "order": 0, "mode": 0,
            "inputs": made, "outputs": out, "properties": {"Node name for S&R": kind}}
    if values is not None:
        data["widgets_values"] = values
    return {**data, **more}


def slot(text: str) -> Json:
    head, _, source = text.partition("=")
    name, _, kind = head.partition(":")
    data: Json = {"name": name.rstrip("!"), "type": kind or "*", "link": None}
    if name.endswith("!"):
        data["widget"] = {"name": name.rstrip("!")}
    if source:
        origin, _, index = source.rpartition(".")
        data["source"] = (int(origin) if origin.lstrip("-").isdigit() else origin, int(index))
    return data


def connect(nodes: list[Json], outputs: list[Json] = ()) -> list[Json]:
    """Number the links, and give them to inputs and outputs; the links as objects."""
    links: list[Json] = []
    by_id = {each["id"]: each for each in nodes}
    ends = [(each["id"], index, entry) for each in nodes for index, entry in enumerate(each.get("inputs", []))]
    ends += [(-20, index, entry) for index, entry in enumerate(outputs)]
    for target, index, entry in ends:
        if "source" not in entry:
            continue
        origin, place = entry.pop("source")
        link_id = len(links) + 1
        links.append({"id": link_id, "origin_id": origin, "origin_slot": place, "target_id": target,
                      "target_slot": index, "type": entry["type"]})
        if target == -20:
            entry["linkIds"] = [link_id]
        else:
            entry["link"] = link_id
        made = by_id.get(origin, {}).get("outputs", [])
        if place < len(made):
            made[place]["links"].append(link_id)
    return links


def file(*nodes: Json, **more: Any) -> Json:
    """An editor file of version 0.4."""
    links = connect(list(nodes))
    arrays = [[link["id"], link["origin_id"], link["origin_slot"], link["target_id"], link["target_slot"],
               link["type"]] for link in links]
    return {"last_node_id": 99, "last_link_id": len(links), "nodes": list(nodes), "links": arrays, "groups": [],
            "config": {}, "extra": {}, "version": 0.4, **more}


def file_1(*nodes: Json, **more: Any) -> Json:
    """An editor file of version 1."""
    links = connect(list(nodes))
    state = {"lastGroupId": 0, "lastNodeId": 99, "lastLinkId": len(links), "lastRerouteId": 0}
    return {"nodes": list(nodes), "links": links, "state": state, "version": 1, **more}


def subgraph(key: str, nodes: list[Json], inputs: Any = (), outputs: Any = (), **more: Any) -> Json:
    """A definition. inputs: ``name:TYPE``; outputs: ``name:TYPE=origin.slot``; inside, -10.k is input k."""
    out = [slot(text) for text in outputs]
    links = connect(nodes, out)
    ports = [slot(text) for text in inputs]
    for index, port in enumerate(ports):
        port["linkIds"] = [link["id"] for link in links if link["origin_id"] == -10 and link["origin_slot"] == index]
    return {"id": key, "name": key, "version": 1, "revision": 0, "nodes": nodes, "links": links,
            "inputs": [{**port, "id": f"in-{index}"} for index, port in enumerate(ports)],
            "outputs": [{**port, "id": f"out-{index}"} for index, port in enumerate(out)],
            "inputNode": {"id": -10, "bounding": [0, 0, 100, 100]},
            "outputNode": {"id": -20, "bounding": [500, 0, 100, 100]}, "widgets": [],
            "state": {"lastGroupId": 0, "lastNodeId": 9, "lastLinkId": len(links), "lastRerouteId": 0}, **more}


def defining(*subgraphs: Json) -> Json:
    return {"subgraphs": list(subgraphs)}


def sampler(node_id: Any = 3, values: Any = None, **more: Any) -> Json:
    """A KSampler fed by nodes 4 (checkpoint), 6, 7 (texts) and 5 (latent)."""
    if values is None:
        values = [42, "randomize", 20, 8, "euler", "normal", 1]
    return node(node_id, "KSampler", values, [
        "model:MODEL=4.0", "positive:CONDITIONING=6.0", "negative:CONDITIONING=7.0", "latent_image:LATENT=5.0",
    ], "LATENT", **more)


def txt2img(**more: Any) -> Json:
    """Checkpoint → texts → sampler → decode → save: the default graph."""
    return file(
        node(4, "CheckpointLoaderSimple", ["tiny.safetensors"], [], "MODEL CLIP VAE"),
        node(6, "CLIPTextEncode", ["a cat"], ["clip:CLIP=4.1"], "CONDITIONING"),
        node(7, "CLIPTextEncode", ["blurry"], ["clip:CLIP=4.1"], "CONDITIONING"),
        node(5, "EmptyLatentImage", [512, 768, 1], [], "LATENT"),
        sampler(), node(8, "VAEDecode", [], ["samples:LATENT=3.0", "vae:VAE=4.2"], "IMAGE"),
        node(9, "SaveImage", ["out"], ["images:IMAGE=8.0"]), **more,
    )


TXT2IMG_API: Json = {
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
    "3": {"class_type": "KSampler", "inputs": {
        "seed": 42, "steps": 20, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
        "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "out", "images": ["8", 0]}},
}
