"""Carrying a refinement out before the reader's eyes, and telling what it found: sentence, lineage, pictures, cost."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from limner.cli.console import one_line, out, table, told
from limner.cli.draw import prepare as room
from limner.cli.drawing import Follower, Telling
from limner.cli.faults import INTERRUPTED
from limner.cli.refine_ask import Asker
from limner.cli.sheet import count, duration, out_json
from limner.cli.targets import check_writable
from limner.errors import Cancelled, LibraryError, LimnerError
from limner.image import Image
from limner.refine.asking import YOU
from limner.refine.design import Design
from limner.refine.journal import FOLDER, stored
from limner.refine.power import foreseen
from limner.refine.ranking import Standing
from limner.refine.refinement import Refinement
from limner.refine.refining import Faces, Refining
from limner.refine.strategy import USER, Candidate
from limner.refine.verdict import Verdict
from limner.refine.verdict_words import span
from limner.session import Session
from limner.types import Plan, Request


@dataclass(frozen=True, slots=True)
class Wanted:
    """How it is told, and where a report goes, if one is wanted."""

    telling: Telling
    report: Path | None

    @classmethod
    def of(cls, telling: Telling, report: str | None) -> Self:
        """Checked before anything is drawn. Raises ``StorageError``."""
        path = None if report is None else Path(report).expanduser()
        if path is not None:
            check_writable(path.parent)
        return cls(telling, path)


def carry_out(refining: Refining, wanted: Wanted) -> int:
    """Say what will be done, do it, and tell. The exit code: 130 after Ctrl-C. Raises any ``LimnerError``, with how to
    go on in its hint."""
    telling, design, session = wanted.telling, refining.design, refining.session
    if refining.journal.finished is None:
        _announce(refining, telling)
        room(session, telling)
    total = max(1, (design.search_pictures + design.verdict_pictures) if design.rungs else design.images)
    follower = Follower(telling, total=total, silent=True)

    def draw(plans: Sequence[Plan]) -> list[Image]:
        made = follower.follow(session.run(plans))
        if follower.interrupted:  # at the very last step of these: all are made, and yet nothing more is wanted
            raise Cancelled("stopped")
        return [image for image in made if isinstance(image, Image)]

    with _going_on(refining), follower.watching():
        asker = Asker(follower, design, refining.journal.path)
        faces = Faces(draw=draw, tell=_aside(follower), warn=_aside(follower))
        refining.use(replace(faces, vote=asker.vote, choose=asker.choose) if design.interactive else faces)
        found = refining.run()
    _tell(found, session, wanted)
    return INTERRUPTED if found.outcome == "stopped" else 0


def _aside(follower: Follower) -> Callable[[str], None]:
    def tell(text: str) -> None:
        with follower.aside():
            follower.telling.say(text)

    return tell


@contextmanager
def _going_on(refining: Refining) -> Iterator[None]:
    try:
        yield
    except LimnerError as error:
        if refining.journal.path is not None:
            error.hint = f"{error.hint}; what is done is kept: limner refine --resume {refining.journal.id}".lstrip(
                "; "
            )
        raise


def _announce(refining: Refining, telling: Telling) -> None:
    """What is fixed from here on."""
    design = refining.design
    for line in plan_lines(design):
        telling.say(line)
    for cap in design.caps:
        telling.warn(f"indicative only: {cap}")
    each = refining.plan(design.request).estimate.seconds_per_image
    if each is not None:
        pictures = design.search_pictures + design.verdict_pictures if design.rungs else design.images
        telling.say(f"drawing them takes about {duration(each * pictures)}; Ctrl-C gives the best so far")


def plan_lines(design: Design) -> list[str]:
    """The Design in words."""
    words = one_line(design.words, 80)
    if not design.rungs:
        return [f"“{words}”: {count(design.images, 'picture')}, chosen by {' and '.join(design.search)}"]
    rungs = ", ".join(f"{rung.candidates} at {rung.seeds}" for rung in design.rungs)
    judges = " and ".join("you" if name == YOU else name for name in design.judges)
    most = "the best one" if design.finalists == 1 else "the best two"
    search, verdict = count(design.search_pictures, "picture"), count(design.verdict_pictures, "picture")
    return [
        f"search: {rungs} seeds ({search}), chosen by {' and '.join(design.search)} against your words “{words}”",
        f"verdict: {most} on {design.pairs} fresh seeds ({verdict}), judged by {judges}",
        foreseen(design.pairs, "seed", design.worthwhile, design.alpha / (len(design.judges) * design.finalists)),
    ]


def _tell(found: Refinement, session: Session, wanted: Wanted) -> None:
    telling = wanted.telling
    paths = list(_paths(found, session))
    report = _report(found, session, wanted.report)
    if telling.json:
        extra = {"verified": found.verified, "pictures": [str(path) for path in paths]}
        out_json({**stored(found), **extra, **({} if report is None else {"report": str(report)})})
        return
    told(found.sentence)
    if telling.to_people:
        for verdict in found.verdicts:
            _tell_tests(verdict)
        for line in tree(found):
            out(line)
        if (after := _next(found)) != "":
            out("")
            told(after)
    for path in paths:
        out(str(path))
    if report is not None:
        out(str(report))
    telling.say(_cost(found))
    if telling.show:
        from limner.cli.terminal import show

        for path in paths:
            show(path)


def _tell_tests(verdict: Verdict) -> None:
    """What the rewrite changes, and a row a scorer."""
    out("")
    for each in verdict.differing:
        a, b = (one_line(side, 60) or "not said" for side in (each.a, each.b))
        out(f"  {each.field}: {a} -> {b}")
    interval = f"gain ({100 * (1 - verdict.level):g}% interval)"
    columns = ("scorer", "role", "yours", verdict.b.removeprefix("the "), interval, "p", "finding")
    names = {"A": "yours", "B": "the rewrite", "neither": "no difference shown", "slight": "none worth having"}
    rows = [
        (
            test.scorer.name,
            test.role,
            f"{test.mean_a:.4g}",
            f"{test.mean_b:.4g}",
            span(test),
            f"{test.p if test.adjusted is None else test.adjusted:.2g}",
            names.get(test.finding, test.finding),
        )
        for test in verdict.tests
    ]
    table(columns, rows)


def tree(found: Refinement) -> list[str]:
    """The lineage: each rewrite below what it was made of, with its gain over the user's words and its fate."""
    by_parent: dict[str, list[Candidate]] = {}
    for candidate in found.candidates:
        by_parent.setdefault(candidate.parent, []).append(candidate)
    own = Candidate(id=USER, request=found.design.request, parent="", edit="your words")
    return (
        ["", f"{own.edit}: {one_line(own.request.prompt, 80)}", *_below(own, by_parent, found, "")] if by_parent else []
    )


def _below(own: Candidate, by_parent: dict[str, list[Candidate]], found: Refinement, indent: str) -> Iterator[str]:
    children = sorted(by_parent.get(own.id, []), key=lambda each: _order(found.standing(each.id)))
    for k, child in enumerate(children, 1):
        last = k == len(children)
        yield f"{indent}{'└─' if last else '├─'} {child.id:<3} {_branch(child, found)}"
        yield from _below(child, by_parent, found, f"{indent}{'   ' if last else '│  '}")


def _order(standing: Standing | None) -> tuple[float, float]:
    return (0.0, 0.0) if standing is None else (-standing.seeds, standing.place or 1e9)


def _branch(child: Candidate, found: Refinement) -> str:
    standing = found.standing(child.id)
    if standing is None:
        return f"{one_line(child.edit, 60)} ({child.strategy}): not compared"
    gains = ", ".join(f"{name} {gain:+.3g}" for name, gain in standing.gains.items()) or "no value"
    return f"{one_line(child.edit, 60)} ({child.strategy}): {gains} over {standing.seeds} seeds; {_fate(child, found)}"


def _fate(child: Candidate, found: Refinement) -> str:
    if child.id in found.finalists:
        outcome = found.verdicts[found.finalists.index(child.id)].outcome
        return f"judged: {outcome}"
    standing = found.standing(child.id)
    if standing is not None and standing.out:
        return standing.out
    return "ahead, not verified" if standing is not None and standing.ahead else "not above your words"


def _next(found: Refinement) -> str:
    """The command that draws with what was found."""
    if found.outcome == "better":
        return f"Draw with it: {command_of(found.request)}"
    if found.outcome == "stopped":
        return f"Go on from here: limner refine --resume {found.id}"
    if not found.best:
        return ""
    return "The best pictures:" if found.outcome == "chosen" else "The best pictures of your own words:"


def command_of(request: Request) -> str:
    """A command line for a Request, as far as rewrites change one."""
    parts = ["limner", shlex.quote(request.prompt)]
    flags = {"-m": request.model, "--negative": request.negative, "--guidance": request.guidance}
    parts += [
        f"{flag} {shlex.quote(f'{value:g}' if isinstance(value, float) else value)}"
        for flag, value in flags.items()
        if value
    ]
    return " ".join([*parts, *(f"--style {shlex.quote(style)}" for style in request.styles)])


def _paths(found: Refinement, session: Session) -> Iterator[Path]:
    """Files of the best pictures that are still there."""
    for name in found.best:
        try:
            yield session.library.get(name).path
        except LibraryError:
            continue


def _report(found: Refinement, session: Session, path: Path | None) -> Path | None:
    """The report's place: where it is wanted, else beside the journal; ``None`` where nothing is kept."""
    kept = session.settings.library_root / FOLDER / f"{found.id}.html" if session.keep else None
    places = [place for place in (kept, path) if place is not None]
    if not places:
        return None
    from limner.refine.report.page import write
    from limner.refine.report.refined import report_of

    page = report_of(found, session)
    return [write(page, place) for place in places][-1]


def _cost(found: Refinement) -> str:
    spent = found.spent
    there = spent.pictures - spent.drawn
    parts = [f"{count(spent.search, 'picture')} to search, {spent.verdict} for the verdict"]
    if there > 0:
        parts.append(f"{there} of them there already")
    return f"{'; '.join(parts)}; {duration(spent.seconds)}; refinement {found.id}"
