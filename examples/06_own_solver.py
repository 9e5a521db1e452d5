"""Write a solver of your own, and draw with it by name.

A solver takes the noise out of a picture. It is a generator: `x0 = yield from denoise(x, level)` asks the network what
the clean picture would be, and the engine answers. So it reads as its formula does, and needs no model to be written.

    python examples/06_own_solver.py
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from torch import Tensor

from limner import Session
from limner.sampling.course import Course, Denoise, Level, Show, SolverCard


class AdamsBashforth:
    """Second order by looking back: step with 3/2 of this prediction less 1/2 of the last one.

    Exact where the steps are even; `dpmpp-2m` corrects for steps that are not, and is better for it.
    """

    def solve(self, x: Tensor, levels: Sequence[Level], denoise: Denoise, noise: Callable[[], Tensor]) -> Course:
        last: Tensor | None = None
        for step, (here, there) in enumerate(pairwise(levels), start=1):
            x0 = yield from denoise(x, here)
            ends = there.sigma == 0  # the last step lands on the prediction itself
            aim = x0 if last is None or ends else 1.5 * x0 - 0.5 * last
            keep = there.sigma / here.sigma
            x = keep * x + (there.alpha - here.alpha * keep) * aim  # a straight line from `here` to `there`
            last = x0
            yield Show(step, len(levels) - 1, x0)  # progress, and the preview
        return x


CARD = SolverCard(
    name="ab2",
    title="Adams-Bashforth, second order",
    a1111="",  # other tools do not know it
    solver=f"{__name__}:AdamsBashforth",  # imported when it is used
    source="Hairer, Norsett & Wanner 1993, Solving Ordinary Differential Equations I, chapter III.1",
    scheduler="",  # nor does diffusers
    placement="multistep",  # where the noise levels lie: as for diffusers' multistep solvers
)


def main() -> None:
    with pretend_installed(), Session() as session:
        for name in ("ab2", "dpmpp-2m"):
            picture = session.draw("a ghost at night", seed=5, solver=name, steps=6)
            print(f"{name}: {picture.save(f'ghost-{name}.png')}")


def pretend_installed() -> tempfile.TemporaryDirectory[str]:
    """Stands in for installing your package. A real one says the same in its pyproject.toml:

    [project.entry-points."limner.solvers"]
    ab2 = "your_package:CARD"
    """
    folder = tempfile.TemporaryDirectory()
    facts = Path(folder.name, "own_solver-0.1.dist-info")
    facts.mkdir()
    facts.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: own-solver\nVersion: 0.1\n", "utf-8")
    facts.joinpath("entry_points.txt").write_text(f"[limner.solvers]\nab2 = {__name__}:CARD\n", "utf-8")
    sys.path.append(folder.name)
    return folder


if __name__ == "__main__":
    main()
