"""A stopped run's state: what was learnt, the optimizer's moments, means and the best weights. One safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from limner.disk import write_atomic
from limner.errors import CorruptFile, MismatchedWeights, ModelNotFound

KEY = "limner.tuning"
SAID = ("step", "facts", "held", "best", "seconds", "turn", "again", "rested")


@dataclass(slots=True)
class State:
    """``groups``: name (``now``, ``first``, ``second``, ``mean``, ``best``) to values by parameter; none at all where
    it begins anew. ``facts`` are what must be the same when it goes on: base, data, settings.

    ``turn`` counts how often training came apart and went back: what is drawn by lot depends on it. ``again`` says that
    it went back to this very state already; ``rested`` is how many looks do not count for patience."""

    step: int
    groups: dict[str, Mapping[str, Tensor]]
    facts: Mapping[str, object]
    held: list[tuple[int, float]] = field(default_factory=list)
    best: int | None = None
    seconds: float = 0.0
    turn: int = 0
    again: bool = False
    rested: int = 0

    def write(self, path: Path) -> None:
        """Whole or not at all. Raises ``StorageError``."""
        tensors = {
            f"{group}/{name}": value.detach().cpu().contiguous()
            for group, values in self.groups.items()
            for name, value in values.items()
        }
        said = {name: getattr(self, name) for name in SAID}
        write_atomic(path, save(tensors, {KEY: json.dumps(said)}))

    def gone_back(self) -> State:
        """Where to go on from once training came apart behind this state: from here, with other things drawn by lot;
        where that was done before and led nowhere, from the best step on held-out pictures, else from the beginning."""
        turn = self.turn + 1
        if not self.again or self.step == 0:
            return replace(self, turn=turn, again=True)
        if not self.best or self.best == self.step:
            return State(0, {}, self.facts, seconds=self.seconds, turn=turn, again=True)
        groups = dict.fromkeys(("now", "best", *({"mean"} & self.groups.keys())), self.groups["best"])
        held = [(step, loss) for step, loss in self.held if step <= self.best]
        return State(self.best, groups, self.facts, held, self.best, self.seconds, turn, again=True)

    @classmethod
    def read(cls, path: Path) -> State:
        """Raises ``ModelNotFound`` where there is none, ``CorruptFile`` for a damaged one."""
        if not path.is_file():
            raise ModelNotFound(f"there is no stopped run at {path}", hint="leave --resume out to begin")
        groups: dict[str, dict[str, Tensor]] = {}
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                said = json.loads(file.metadata()[KEY])
                for key in file.keys():  # noqa: SIM118  # it is no mapping
                    group, _, name = key.partition("/")
                    groups.setdefault(group, {})[name] = file.get_tensor(key)
            said["held"] = [(int(step), float(loss)) for step, loss in said["held"]]
            return cls(groups=dict(groups), **{name: said[name] for name in SAID})
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptFile(f"{path} cannot be read: {error}", hint="begin anew, without --resume") from error


def refuse_other(state: State, facts: Mapping[str, object], names: Mapping[str, str]) -> None:
    """Raises ``MismatchedWeights`` naming what is not as it was; ``names`` are what each fact is called."""
    other = [names[key] for key in names if state.facts.get(key) != facts.get(key)]
    if "settings" in names and names["settings"] in other:
        then, now = state.facts.get("settings"), facts.get("settings")
        if isinstance(then, Mapping) and isinstance(now, Mapping):
            changed = [
                f"{k} was {then.get(k)!r}, is {now.get(k)!r}"
                for k in sorted({*then, *now})
                if then.get(k) != now.get(k)
            ]
            other[other.index(names["settings"])] = "; ".join(changed)
    if other:
        raise MismatchedWeights(
            f"this is not the run that was stopped at step {state.step}: {', '.join(other)}",
            hint="give what it was begun with, or begin anew under another --out",
        )
