"""Which prompt, setting or model is better: arms drawn over the same seeds, scored, judged, and searched for.

The package is also the function of its name: ``limner.refine("a red fox in the snow")`` is
`limner.refine.refining.refine`, whichever of the two was imported first.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limner.refine.refinement import Refinement


class _Callable(ModuleType):
    """A module that can be called."""

    def __call__(self, *args: object, **fields: object) -> Refinement:
        from limner.refine.refining import refine

        return refine(*args, **fields)  # type: ignore[arg-type]  # checked there


sys.modules[__name__].__class__ = _Callable
