"""Names of the things that can be added to Limner, importing none of them until it is used.

Built-in names are listed here as ``module:attribute``; other packages add theirs through entry points of the group
``limner.<kind>`` (``limner.families``, ``limner.checks`` ...). A built-in name cannot be replaced by an entry point.
Nothing else is ever imported by name: no dotted path comes from configuration or HTTP.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from limner.errors import UnknownName

Kind = Literal["families", "metrics", "strategies", "checks"]

BUILT_IN: dict[Kind, dict[str, str]] = {
    "families": {
        "sd": "limner.models.sd:StableDiffusion",
        "sdxl": "limner.models.sdxl:StableDiffusionXL",
        "dalle-mini": "limner.models.dalle_mini:DalleMini",
        "pipeline": "limner.models.pipeline:AnyPipeline",
    },
    "metrics": {
        "blank": "limner.evaluate.blank:Blank",
        "clipped": "limner.evaluate.clipped:Clipped",
        "blur": "limner.evaluate.blur:Blur",
        "duplicates": "limner.evaluate.duplicates:Duplicates",
        "lpips": "limner.evaluate.lpips:Lpips",
        "fid": "limner.evaluate.frechet:Fid",
        "kid": "limner.evaluate.kernel_kid:Kid",
        "cmmd": "limner.evaluate.kernel_cmmd:Cmmd",
        "vendi": "limner.evaluate.vendi:Vendi",
        "pocket-clip": "limner.evaluate.pocket_clip:PocketClip",
        "pocket-judge": "limner.evaluate.pocket_judge:PocketJudge",
        "clip-b32": "limner.evaluate.clip_score:ClipB32",
        "clip-l14": "limner.evaluate.clip_score:ClipL14",
        "aesthetic": "limner.evaluate.aesthetic:Aesthetic",
        "pickscore": "limner.evaluate.pick_score:PickScore",
        "hps": "limner.evaluate.hps:Hps",
        "imagereward": "limner.evaluate.image_reward:ImageReward",
        "vqascore": "limner.evaluate.vqa_score:VqaScore",
        "atoms": "limner.evaluate.atoms_vqa:AtomsVqa",
    },
    "strategies": {
        "paraphrase": "limner.refine.strategies.paraphrase:Paraphrase",
        "weakest-atom": "limner.refine.strategies.weakest_atom:WeakestAtom",
        "expand": "limner.refine.strategies.expand:Expand",
        "guidance": "limner.refine.strategies.guidance:Guidance",
        "opt2i": "limner.refine.strategies.opt2i:Opt2i",
        "seeds": "limner.refine.strategies.seeds:Seeds",
    },
    "checks": {
        "compvis": "limner.safety.checks.compvis:CompVis",
        "marqo": "limner.safety.checks.marqo:Marqo",
        "falconsai": "limner.safety.checks.falconsai:Falconsai",
        "shieldgemma": "limner.safety.checks.shieldgemma:ShieldGemma",
    },
}
ONE_OF: dict[Kind, str] = {
    "families": "family",
    "metrics": "metric",
    "strategies": "strategy",
    "checks": "check",
}


@cache
def _plugins(kind: Kind) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"limner.{kind}") if point.name not in BUILT_IN[kind]}


def names(kind: Kind) -> tuple[str, ...]:
    """All names of a kind, sorted; imports nothing."""
    return tuple(sorted({*BUILT_IN[kind], *_plugins(kind)}))


def load(kind: Kind, name: str) -> object:
    """The thing itself, imported now. Raises ``UnknownName``."""
    if target := BUILT_IN[kind].get(name):
        module, attribute = target.split(":")
        found: object = getattr(importlib.import_module(module), attribute)
        return found
    if point := _plugins(kind).get(name):
        plugin: object = point.load()
        return plugin
    raise UnknownName(ONE_OF[kind], name, names(kind))
