"""Limner turns words into pictures with pre-trained models, measures them, and refines the words.

>>> import limner
>>> picture = limner.draw("a red fox in the snow")
>>> picture.save("fox.png")

Names are imported when first used, so that ``import limner`` costs nothing.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from limner.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from limner.errors import LimnerError as LimnerError
    from limner.image import Image as Image
    from limner.library.store import Library as Library
    from limner.refine.compare import Comparison as Comparison
    from limner.refine.compare import compare as compare
    from limner.refine.refinement import Refinement as Refinement
    from limner.refine.refining import refine as refine
    from limner.session import Session as Session
    from limner.session import draw as draw
    from limner.session import generate as generate
    from limner.session import score as score
    from limner.session.evaluating import Evaluation as Evaluation
    from limner.session.evaluating import evaluate as evaluate
    from limner.types import Plan as Plan
    from limner.types import Record as Record
    from limner.types import Request as Request

_HOMES = {
    "Comparison": "limner.refine.compare",
    "Evaluation": "limner.session.evaluating",
    "Image": "limner.image",
    "Library": "limner.library.store",
    "LimnerError": "limner.errors",
    "Plan": "limner.types",
    "Record": "limner.types",
    "Refinement": "limner.refine.refinement",
    "Request": "limner.types",
    "Session": "limner.session",
    "compare": "limner.refine.compare",
    "draw": "limner.session",
    "generate": "limner.session",
    "score": "limner.session",
}

__all__ = [
    "Comparison",
    "Evaluation",
    "Image",
    "Library",
    "LimnerError",
    "Plan",
    "Record",
    "Refinement",
    "Request",
    "Session",
    "__version__",
    "compare",
    "draw",
    "evaluate",
    "generate",
    "refine",
    "score",
]


class _Evaluate(ModuleType):
    """The package of metrics, which can be called: ``limner.evaluate(pictures, "a red fox", ["pocket-clip"])`` is
    `limner.session.evaluating.evaluate`. Made so here, above the session, since the package itself is below it."""

    def __call__(self, *args: object, **fields: object) -> Evaluation:
        from limner.session.evaluating import evaluate

        return evaluate(*args, **fields)  # type: ignore[arg-type]  # checked there


importlib.import_module("limner.evaluate").__class__ = _Evaluate


def __getattr__(name: str) -> object:
    if name == "refine":  # the package itself, which can be called: importing it sets the name to it in any case
        return importlib.import_module("limner.refine")
    if name not in _HOMES:
        raise AttributeError(f"module 'limner' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
