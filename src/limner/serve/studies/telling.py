"""From a stored study to what is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from limner.refine.compare_study import said
from limner.refine.pairs import Paired
from limner.refine.refinement import Refinement
from limner.refine.report.cases import chosen, values_in
from limner.refine.report.changes import changes
from limner.refine.report.refined import paired_of
from limner.refine.report.tree import Branch as Rewrite
from limner.refine.report.tree import tree_of
from limner.refine.strategy import USER
from limner.refine.verdict_types import Verdict
from limner.serve.studies.facts import comparison_costs, comparison_facts, refinement_costs, refinement_facts
from limner.serve.studies.store import Compared, Gridded, Refined, Stored, id_of, read, stamp
from limner.serve.studies.views import Branch, Brief, GridView, Pair, Piece, Side, SideRequest, StudyView
from limner.types import Request

MOST_PAIRS = 100
FEW = 4


def brief(path: Path) -> Brief:
    """A study for a list. Raises ``LibraryError``."""
    return _brief(path, stamp(path))


@lru_cache(maxsize=1_000)
def _brief(path: Path, _: tuple[int, ...]) -> Brief:
    return brief_of(read(path), path)


def brief_of(study: Stored, path: Path) -> Brief:
    """The same of one that is read already."""
    changed = max(stamp(path)) / 1e6
    match study:
        case Refined(found, finished):
            outcome = found.outcome if found.verdict is None or found.outcome == "better" else found.verdict.outcome
            title, sentence, count = found.design.request.prompt, found.sentence, found.spent.pictures
            return Brief(
                id=found.id,
                kind="refine",
                title=title,
                outcome=outcome,
                sentence=sentence,
                finished=finished,
                changed=changed,
                pictures=count,
            )
        case Compared(plan, _, verdicts):
            return Brief(
                id=id_of(path),
                kind="compare",
                title=title_of([(arm.name, arm.request.prompt) for arm in plan.arms]),
                outcome=_headline(verdicts)[0],
                sentence=_headline(verdicts)[1],
                finished=bool(verdicts),
                changed=changed,
                pictures=plan.pictures,
            )
        case Gridded():
            prompts = [str(each.get("prompt", "")) for each in study.requests]
            return Brief(
                id=study.id,
                kind="grid",
                title=title_of(list(zip(study.names, prompts, strict=True))),
                outcome="drawn" if study.whole else "",
                sentence=f"{len(study.names)} sides from seed {study.seed}; nothing is said of which is better.",
                finished=study.whole,
                changed=changed,
                pictures=sum(map(len, study.pictures)),
            )


def title_of(sides: Sequence[tuple[str, str]]) -> str:
    """The words where they are the same for all sides, else each side's; names where there are no other words."""
    prompts = list(dict.fromkeys(prompt for _, prompt in sides if prompt))
    if len(sides) > FEW:
        return f"{prompts[0]}: {len(sides)} sides" if len(prompts) == 1 else f"{len(sides)} sides"
    if len(prompts) == 1:
        return f"{prompts[0]}: {', '.join(name for name, _ in sides)}"
    return " / ".join(prompts) if prompts else ", ".join(name for name, _ in sides)


def _headline(verdicts: Sequence[Verdict]) -> tuple[str, str]:
    if not verdicts:
        return "", "Not finished: there is no verdict yet."
    if len(verdicts) == 1:
        return verdicts[0].outcome, verdicts[0].sentence
    outcomes = [each.outcome for each in verdicts]
    order = ("better", "traded off", "worse", "no evidence")
    said = (f"{outcomes.count(each)} {each}" for each in order if each in outcomes)
    return next(each for each in order if each in outcomes), (
        f"{len(outcomes)} sides, each beside its reference: {', '.join(said)}."
    )


def view(study: Stored, path: Path) -> StudyView:
    """Everything of a study."""
    match study:
        case Refined():
            more = _refinement(study)
        case Compared():
            more = _comparison(study)
        case Gridded():
            more = _grid(study)
    return StudyView.model_validate({**brief_of(study, path).model_dump(), **more})


def _refinement(study: Refined) -> Mapping[str, object]:
    found = study.found
    sides = tuple(_refined_side(found, k) for k in range(len(found.verdicts)))
    own = found.design.request.prompt
    tree = tree_of(found.candidates, found.rounds, found.finalists, own) if found.candidates else None
    ahead = found.winner if found.winner != USER else None
    winner = found.candidate(ahead) if ahead is not None else None
    if winner is None and not study.finished and found.ahead is not None:
        winner = found.candidate(found.ahead)
    return {
        "words": found.design.words,
        "sides": sides,
        "tree": () if tree is None else _nested(tree.branches),
        "facts": refinement_facts(found),
        "costs": refinement_costs(found),
        "notices": found.notices,
        "best": found.best,
        "winner": None if winner is None else _request(winner.edit, winner.request),
        "grid": None,
        "report": study.report.is_file(),
        "ballot": study.finished and bool(sides),
    }


def _refined_side(found: Refinement, k: int) -> Side:
    paired = paired_of(found, k)
    verdict, theirs = found.verdicts[k], found.candidate(found.finalists[k])
    own = found.design.request
    shots = {(shot.candidate, str(shot.seed)): shot.picture for shot in found.shots if shot.phase == "verdict"}
    by = {unit: (shots.get((USER, unit)), shots.get((theirs.id, unit))) for unit in paired.units}
    return _side(verdict, paired, by, (verdict.a, own), (verdict.b, theirs.request))


def _comparison(study: Compared) -> Mapping[str, object]:
    plan = study.study
    sides = tuple(
        _side(
            verdict,
            paired,
            units(study, reference, k),
            *((plan.arms[arm].name, plan.arms[arm].request) for arm in (reference, k)),
        )
        for k, (reference, paired, verdict) in enumerate(
            zip(plan.references, study.pairs, study.verdicts, strict=False), 1
        )
    )
    return {
        "words": plan.texts[0].words if plan.unit == "seed" else "",
        "sides": sides,
        "tree": (),
        "facts": comparison_facts(plan),
        "costs": comparison_costs(study),
        "notices": tuple(
            dict.fromkeys([*plan.notices, *(each.message for pair in study.pairs for each in pair.notices)])
        ),
        "best": (),
        "winner": _won(sides),
        "grid": None,
        "report": study.report.is_file(),
        "ballot": study.finished and len(plan.arms) == 2 and bool(study.pictures),
    }


def units(study: Compared, a: int, b: int) -> dict[str, tuple[str | None, str | None]]:
    """The pictures of two arms by unit: at that seed, or the first of that prompt."""
    plan = study.study
    if plan.unit == "seed":
        rows = study.pictures.get((a, 0), ()), study.pictures.get((b, 0), ())
        return {str(plan.seed + k): pair for k, pair in enumerate(zip(*rows, strict=False))}
    first = {where: row[0] if row else None for where, row in study.pictures.items()}
    return {text.words: (first.get((a, k)), first.get((b, k))) for k, text in enumerate(plan.texts)}


def _side(
    verdict: Verdict,
    paired: Paired,
    by: Mapping[str, tuple[str | None, str | None]],
    a: tuple[str, Request],
    b: tuple[str, Request],
) -> Side:
    judge = verdict.judges[0].scorer.name
    rows = [
        Pair(
            unit=paired.units[each.place],
            mark=each.mark,
            gain=each.gain,
            words=values_in(paired, each.place),
            a=by.get(paired.units[each.place], (None, None))[0],
            b=by.get(paired.units[each.place], (None, None))[1],
        )
        for each in chosen(paired, judge, MOST_PAIRS)
    ]
    same = paired.unit == "prompt" or a[1].prompt == b[1].prompt
    return Side(
        verdict=verdict,
        a=_request(*a),
        b=_request(*b),
        prompt=() if same else pieces(a[1].prompt, b[1].prompt),
        pairs=tuple(rows),
    )


def pieces(before: str, after: str) -> tuple[Piece, ...]:
    """What was changed, word by word."""
    return tuple(Piece(kind=each.kind, text=each.text) for each in changes(before, after))


def _won(sides: Sequence[Side]) -> SideRequest | None:
    better = [side for side in sides if side.verdict.outcome == "better"]
    if better:
        return min(better, key=lambda side: min(test.p for test in side.verdict.judges)).b
    return sides[0].a if len(sides) == 1 and sides[0].verdict.outcome == "worse" else None


def _nested(branches: Sequence[Rewrite]) -> tuple[Branch, ...]:
    """A list in which each comes after what it was made of, as a tree."""
    found: list[Branch] = []
    k = 0
    while k < len(branches):
        end = k + 1
        while end < len(branches) and branches[end].depth > branches[k].depth:
            end += 1
        found.append(_branch(branches[k], _nested(branches[k + 1 : end])))
        k = end
    return tuple(found)


def _branch(each: Rewrite, below: tuple[Branch, ...]) -> Branch:
    stood = [rung for rung in each.rungs if rung.gain is not None or rung.says]
    last = stood[-1] if stood else None
    return Branch(
        id=each.id,
        edit=each.edit,
        reason=each.reason,
        strategy=each.strategy,
        words=tuple(Piece(kind=piece.kind, text=piece.text) for piece in each.prompt),
        gain=None if last is None else last.gain,
        seeds=0 if last is None else last.seeds,
        says="" if last is None else last.says,
        fate=each.fate,
        finalist=each.finalist,
        branches=below,
    )


def _grid(study: Gridded) -> Mapping[str, object]:
    rows, columns = axes(study.names) if study.n * max(1, len(study.prompts)) == 1 else ((), ())
    grid = GridView(
        names=study.names,
        requests=tuple(dict(each) for each in study.requests),  # type: ignore[arg-type]  # read as JSON
        prompts=study.prompts,
        n=study.n,
        seed=study.seed,
        pictures=study.pictures,
        rows=rows,
        columns=columns,
    )
    nothing: tuple[()] = ()
    return {
        "words": "",
        **dict.fromkeys(("sides", "tree", "facts", "costs", "notices", "best"), nothing),
        "winner": None,
        "grid": grid,
        "report": False,
        "ballot": False,
    }


def axes(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Rows and columns where names are all combinations of two axes in order (``steps 4, guidance 2``), else none."""
    parts = [tuple(name.split(", ")) for name in names]
    if any(len(each) != 2 for each in parts):
        return (), ()
    rows, columns = (tuple(dict.fromkeys(each[k] for each in parts)) for k in (0, 1))
    whole = [(row, column) for row in rows for column in columns]
    return (rows, columns) if whole == parts and len(rows) > 1 and len(columns) > 1 else ((), ())


def _request(name: str, request: Request) -> SideRequest:
    return SideRequest.model_validate({"name": name, "request": said(request)})
