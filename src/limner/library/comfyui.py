"""ComfyUI pictures carry the node graph that made them: walk it from the sampler to the words.

``prompt`` maps node ids to ``{"class_type": ..., "inputs": {...}}``; an input that is ``[node id, slot]`` is a link.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from limner.library import a1111
from limner.library.a1111 import Value

Node = Mapping[str, object]
Graph = Mapping[str, Node]
_TEXTS = ("text", "text_g", "t5xxl", "text_l", "clip_l", "value", "string", "prompt", "positive", "negative")
_MODELS = ("ckpt_name", "unet_name", "model_name")
_DIRECT = {
    "seed": "seed",
    "noise_seed": "seed",
    "steps": "steps",
    "cfg": "guidance",
    "guidance": "guidance",
    "sampler_name": "solver",
    "scheduler": "schedule",
}
_HELPERS = ("noise", "guider", "sampler", "sigmas", "seed", "noise_seed", "steps", "cfg")
_MAX_NODES = 5_000


def comfyui(texts: Mapping[str, str]) -> dict[str, Value]:
    """Fields of the sampler whose picture was saved. Empty where there is no graph with a sampler; never raises."""
    graph = _graph(texts.get("prompt", ""))
    sampler = _sampler(graph)
    if sampler is None:
        return {}
    fields: dict[str, Value] = {}
    nodes = [sampler, *(node for name in _HELPERS for node in _reached(graph, sampler, name))]
    for node in nodes:
        for theirs, ours in _DIRECT.items():
            value = _inputs(node).get(theirs)
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                fields.setdefault(ours, a1111.number(ours, value))
    for role, name in (("positive", "prompt"), ("conditioning", "prompt"), ("negative", "negative")):
        owners = [node for node in nodes if role in _inputs(node)]
        if owners and (words := _words(graph, owners[0], role)):
            fields.setdefault(name, words)
    return fields | _model(graph, nodes) | _size(graph, sampler)


def _graph(text: str) -> Graph:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict) or len(data) > _MAX_NODES:
        return {}
    return {key: node for key, node in data.items() if isinstance(node, dict) and "class_type" in node}


def _inputs(node: Node) -> Mapping[str, object]:
    inputs = node.get("inputs")
    return inputs if isinstance(inputs, dict) else {}


def _linked(graph: Graph, value: object) -> Node | None:
    return graph.get(str(value[0])) if isinstance(value, list) and len(value) == 2 else None


def _reached(graph: Graph, start: Node, name: str) -> Iterator[Node]:
    """The nodes upstream of one input, nearest first, each once."""
    first = _linked(graph, _inputs(start).get(name))
    waiting = [] if first is None else [first]
    known: set[int] = set()
    while waiting:
        node = waiting.pop(0)
        if id(node) in known:
            continue
        known.add(id(node))
        yield node
        waiting += [found for value in _inputs(node).values() if (found := _linked(graph, value)) is not None]


def _is_sampler(node: Node) -> bool:
    inputs = _inputs(node)
    return "latent_image" in inputs and ("positive" in inputs or "guider" in inputs)


def _sampler(graph: Graph) -> Node | None:
    """The sampler upstream of a saved picture that starts from pure noise; a second pass only refines."""
    savers = [node for node in graph.values() if str(node["class_type"]).startswith(("SaveImage", "PreviewImage"))]
    found = [node for saver in savers for node in _reached(graph, saver, "images") if _is_sampler(node)]
    found = found or [node for node in graph.values() if _is_sampler(node)]
    whole = [node for node in found if _inputs(node).get("denoise", 1) == 1]
    return next(iter(whole or found), None)


def _words(graph: Graph, node: Node, role: str) -> str:
    """The words that feed one conditioning input; several encoders' words on lines of their own."""
    texts: list[str] = []
    for reached in _reached(graph, node, role):
        for name in _TEXTS:
            value = _inputs(reached).get(name)
            if isinstance(value, str) and value.strip() and value not in texts:
                texts.append(value)
    return "\n".join(texts)


def _model(graph: Graph, nodes: list[Node]) -> dict[str, Value]:
    for node in nodes:
        for reached in (node, *_reached(graph, node, "model")):
            for name in _MODELS:
                if isinstance(value := _inputs(reached).get(name), str):
                    return {"model": value}
    return {}


def _size(graph: Graph, sampler: Node) -> dict[str, Value]:
    for node in _reached(graph, sampler, "latent_image"):
        width, height = _inputs(node).get("width"), _inputs(node).get("height")
        if isinstance(width, int) and isinstance(height, int):
            return {"width": width, "height": height}
    return {}
