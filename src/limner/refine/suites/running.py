"""A suite run against a model: prompt after prompt drawn, scored and written down, so that a kill costs one prompt."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from limner.canonical import content_hash
from limner.disk import write_atomic
from limner.errors import CorruptFile, GenerationError, InvalidRequest, Refused, StorageError
from limner.refine.arms import Scored, Trial
from limner.refine.compare_cells import Cell, Draw, draw_cell
from limner.refine.compare_scoring import ScoreCall, check_scorers, default_scorers, scored, world_of
from limner.refine.compare_study import said
from limner.refine.suites.catalog import Suite
from limner.refine.suites.reading import SuitePrompt
from limner.session import Session
from limner.types import MAX_IMAGES, Frozen, Plan, Request

FOLDER = "benches"
BENCH, ROWS = "bench.json", "rows.jsonl"
SEEDS = 4
_ROOM = 2**32 - MAX_IMAGES


class Shot(Frozen):
    """A picture of a prompt with its values by scorer; what a scorer could not value is in ``failures``. ``atoms`` are
    the chances of yes to the prompt's questions, where a scorer asks such."""

    seed: int
    values: Mapping[str, float]
    failures: Mapping[str, str] = Field(default_factory=dict)
    atoms: Mapping[str, float] = Field(default_factory=dict)
    picture: str | None = None
    seconds: float | None = None


class Row(Frozen):
    """What became of a prompt. ``problem``: why it could not be drawn; then there are no shots."""

    key: str
    words: str
    category: str
    shots: tuple[Shot, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """A bench as it will be run: what is drawn of each prompt, from which seeds, scored by whom at which revision.

    ``recipe`` is the first prompt's Plan identity: settings that change pixels make another bench of it."""

    suite: Suite
    prompts: tuple[SuitePrompt, ...]
    request: Request
    n: int
    seed: int | None
    scorers: tuple[str, ...]
    revisions: tuple[str, ...]
    model: str
    licence: str
    recipe: str

    @property
    def id(self) -> str:
        """The same for the same bench: the same command goes on where it stopped."""
        return content_hash(self.stored()).removeprefix("sha256:")[:16]

    def stored(self) -> dict[str, object]:
        """JSON-ready."""
        keys = [key_of(prompt) for prompt in self.prompts]
        return {
            "suite": {**self.suite.model_dump(mode="json"), **({"path": ""} if self.suite.layout == "own" else {})},
            "prompts": content_hash(keys),
            "count": len(keys),
            "request": {name: value for name, value in said(self.request).items() if name != "prompt"},
            "model": self.model,
            "n": self.n,
            "seed": self.seed,
            "scorers": dict(zip(self.scorers, self.revisions, strict=True)),
            "recipe": self.recipe,
        }

    def seeds(self, prompt: SuitePrompt) -> range:
        """Each prompt's own, from a hash of its words unless a seed is given: the same for every model."""
        first = int(content_hash(prompt.words).removeprefix("sha256:")[:8], 16) % _ROOM
        start = first if self.seed is None else self.seed
        return range(start, start + self.n)


@dataclass(frozen=True, slots=True)
class Ran:
    """A bench with its rows, in the suite's order. ``folder`` is where it is kept, ``None`` where nothing is."""

    bench: Bench
    rows: tuple[Row, ...]
    folder: Path | None


def key_of(prompt: SuitePrompt) -> str:
    """What tells a prompt from all others of its suite."""
    whole = [prompt.prompt, prompt.negative, prompt.category, dict(prompt.fields)]
    return content_hash(whole).removeprefix("sha256:")[:16]


def bench_of(
    suite: Suite,
    prompts: Sequence[SuitePrompt],
    request: Request,
    session: Session,
    *,
    n: int = SEEDS,
    seed: int | None = None,
    scorers: Sequence[str] = (),
) -> Bench:
    """A Bench with scorers chosen where none are named. Raises what planning raises, and before anything is drawn
    ``ScorerOutOfDomain`` and ``ModelNotFound`` for scorers that cannot judge these pictures."""
    (plan, *_) = session.plan(asked(request, prompts[0], range(1)), literal=suite.layout != "own")
    card = session.catalog.find(plan.model.name)
    world = world_of(card)
    chosen = tuple(dict.fromkeys(scorers)) or default_scorers(session, world, plan.device).metrics
    check_scorers(session, chosen, {plan.model.name: world})
    licence = "not known" if card is None else card.licence
    revisions = tuple(session.scoring.of_pictures(name).card.revision for name in chosen)
    return Bench(suite, tuple(prompts), request, n, seed, chosen, revisions, plan.model.name, licence, plan.identity)


def asked(request: Request, prompt: SuitePrompt, seeds: range) -> Request:
    """The Request of a prompt's pictures; what the command says wins over the file. Raises ``InvalidRequest``."""
    own = {name: value for name, value in prompt.fields.items() if name not in said(request)}
    if prompt.negative and not request.negative:
        own["negative"] = prompt.negative
    own = {name: value for name, value in own.items() if name not in ("seed", "n")}
    merged = request.model_dump(exclude_unset=True) | own
    return Request.of(**merged | {"prompt": prompt.prompt, "seed": seeds.start, "n": len(seeds)})


def run(
    bench: Bench,
    session: Session,
    *,
    score: ScoreCall | None = None,
    draw: Draw | None = None,
    tell: Callable[[Row], None] = lambda row: None,
) -> Ran:
    """Draw and score what is missing; each prompt is on the disk before the next begins. A prompt that cannot be drawn
    is told in its row and leaves the rest. Raises any other ``LimnerError``; the same bench goes on from there."""
    folder = folder_of(bench, session)
    known = done(bench, session)
    if folder is not None:
        write_atomic(folder / BENCH, json.dumps(bench.stored(), indent=1).encode())
    rows = []
    for prompt in bench.prompts:
        row = known.get(key_of(prompt))
        if row is None:
            row = _row(bench, prompt, session, score or session.score, draw or _drawing(session))
            if folder is not None:
                _append(folder / ROWS, row)
            tell(row)
        rows.append(row)
    return Ran(bench, tuple(rows), folder)


def done(bench: Bench, session: Session) -> dict[str, Row]:
    """The rows of an earlier run by key; one that a kill tore is done again. Raises ``CorruptFile``."""
    folder = folder_of(bench, session)
    if folder is None or not (folder / ROWS).is_file():
        return {}
    lines = (folder / ROWS).read_text("utf-8").split("\n")
    found = dict(_rows(lines, folder / ROWS))
    if lines[-1]:  # torn: the next row must not go on in its line
        kept = "".join(f"{row.model_dump_json()}\n" for row in found.values())
        write_atomic(folder / ROWS, kept.encode())
    return found


def _rows(lines: Sequence[str], path: Path) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            row = Row.model_validate_json(line)
        except ValidationError as error:
            if number == len(lines):
                return
            raise CorruptFile(
                f"{path}, line {number}, is damaged", hint="remove that line; its prompt is drawn again"
            ) from error
        yield row.key, row


def folder_of(bench: Bench, session: Session) -> Path | None:
    """Where a bench is kept."""
    return session.settings.library_root / FOLDER / bench.id if session.keep else None


def _drawing(session: Session) -> Draw:
    return lambda plans: session.run(plans).result()


def _row(bench: Bench, prompt: SuitePrompt, session: Session, score: ScoreCall, draw: Draw) -> Row:
    row = Row(key=key_of(prompt), words=prompt.words, category=prompt.category)
    seeds = bench.seeds(prompt)
    try:
        plans: tuple[Plan, ...] = session.plan(asked(bench.request, prompt, seeds), literal=bench.suite.layout != "own")
        images = draw_cell(Cell(0, 0, plans), range(len(seeds)), session, draw)
        trials = [Trial(request=bench.request, seed=seed) for seed in seeds]
        found = scored(score, images, trials, prompt.words, bench.scorers)
    except (InvalidRequest, GenerationError, Refused) as error:
        return row.model_copy(update={"problem": error.message})
    shots = tuple(_shot(each, _atoms(bench, each, prompt.words, session)) for each in found)
    return row.model_copy(update={"shots": shots})


def _atoms(bench: Bench, each: Scored, words: str, session: Session) -> Mapping[str, float]:
    """By the first scorer that asks questions and could value the picture."""
    asking = (name for name in bench.scorers if name in each.scores)
    if each.image is None:
        return {}
    pixels = each.image.pixels
    return next((found for name in asking if (found := session.scoring.answers(pixels, words, name))), {})


def _shot(each: Scored, atoms: Mapping[str, float]) -> Shot:
    values = {name: score.value for name, score in each.scores.items()}
    seconds = None if each.image is None else each.image.record.timings.get("total")
    return Shot(
        seed=each.trial.seed,
        values=values,
        failures=each.failures,
        atoms=atoms,
        picture=each.picture,
        seconds=seconds,
    )


def _append(path: Path, row: Row) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(row.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}", hint="free some space; the same command goes on"
        ) from error
