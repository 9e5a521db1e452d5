"""Jobs done in this process, with painted pictures: what the worker's handlers leave for a server to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from limner.config import Settings
from limner.serve.jobs import Ask, Kind, TidingType
from limner.serve.work.tell import Work
from limner.session import Session
from tests.unit.refine.painting import Painter

JUDGED: Mapping[str, JsonValue] = {"judges": ["warmth"], "scorers": ["reds"], "strategies": ["redder"]}


@dataclass
class Told:
    """What a job told, in order; ``on`` may act on each."""

    tidings: list[tuple[TidingType, Mapping[str, JsonValue]]] = field(default_factory=list)

    def __call__(self, type: TidingType, data: Mapping[str, JsonValue], preview: bytes) -> None:
        self.tidings.append((type, data))

    def of(self, type: TidingType) -> list[Mapping[str, JsonValue]]:
        return [data for kind, data in self.tidings if kind == type]


def open_session(home: Path, painter: Painter | None = None) -> Session:
    """A session of ``home`` whose pictures are painted; new ones are not scored."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text('[score]\ndefault = "none"\n')
    return Session(settings=Settings.load(home, env={}), backend=painter or Painter())


def work(
    kind: Kind, body: Mapping[str, JsonValue], *, job: str = "1" * 14, made: Sequence[str] = ()
) -> tuple[Work, Told]:
    """A job as the worker gets it, and what it tells."""
    told = Told()
    ask = Ask(kind=kind, body={"kind": kind, **body}, title="a test")
    return Work(job, ask, dict(enumerate(made)), told), told


def refine_body(**more: JsonValue) -> dict[str, JsonValue]:
    return {"request": {"prompt": "a fox"}, "images": 40, **JUDGED, **more}


def compare_body(b: str = "a red red fox", **more: JsonValue) -> dict[str, JsonValue]:
    arms: JsonValue = [{"request": {"prompt": "a fox"}}, {"request": {"prompt": b}}]
    return {"arms": arms, "n": 9, "judges": ["warmth"], "alignment": "reds", **more}
