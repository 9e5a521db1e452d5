"""Which rows go into the next model call. Policy only: no tensor is touched here.

Rows that may share a call form a *lane*: one lane a bucket for jobs that share, and one lane for the oldest job that
runs alone (so jobs alone finish one after another). The lane that has been served least predicted work goes next
(deficit round robin, Shreedhar & Varghese 1995), and within a lane the oldest jobs come first, up to a budget of
predicted FLOPs. A lane that appears starts level with the least served, so it can neither starve others nor be starved.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Waiting:
    """One row that waits: whose it is, its place in the Eval, its bucket and predicted cost."""

    job: str
    order: int
    position: int
    bucket: Hashable
    cost: float
    alone: bool


@dataclass(slots=True)
class Scheduler:
    """``budget`` bounds the predicted FLOPs of one shared call; ``most`` its rows. One Eval's rows of a bucket are
    taken whole, so that guidance is not torn, and the oldest job's are taken even above the budget."""

    budget: float = float("inf")
    most: int = 16
    served: dict[Hashable, float] = field(default_factory=dict)

    def pick(self, waiting: Sequence[Waiting]) -> list[Waiting]:
        """The rows of the next call: all of one bucket. Empty if nothing waits."""
        lanes = self._lanes(waiting)
        if not lanes:
            self.served.clear()
            return []
        level = min((self.served[k] for k in lanes if k in self.served), default=0.0)
        self.served = {k: max(self.served.get(k, level), 0.0) for k in lanes}
        name = min(lanes, key=lambda k: (self.served[k], lanes[k][0].order))
        chosen = self._fill(lanes[name])
        self.served[name] += sum(w.cost for w in chosen)
        return chosen

    def _lanes(self, waiting: Sequence[Waiting]) -> dict[Hashable, list[Waiting]]:
        lanes: dict[Hashable, list[Waiting]] = {}
        first_alone = min((w.order for w in waiting if w.alone), default=None)
        for w in sorted(waiting, key=lambda w: (w.order, w.position)):
            if not w.alone:
                lanes.setdefault(("shared", w.bucket), []).append(w)
            elif w.order == first_alone:
                lane = lanes.setdefault("alone", [])
                if not lane or lane[0].bucket == w.bucket:
                    lane.append(w)
        return lanes

    def _fill(self, lane: list[Waiting]) -> list[Waiting]:
        chosen: list[Waiting] = []
        cost = 0.0
        for job in dict.fromkeys(w.job for w in lane):
            rows = [w for w in lane if w.job == job]
            cost += sum(w.cost for w in rows)
            if chosen and (cost > self.budget or len(chosen) + len(rows) > self.most):
                break
            chosen += rows
        return chosen
