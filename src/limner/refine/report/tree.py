"""The search as a ladder: each rewrite under what it was made from, how far it came, and why it went no further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limner.refine.ranking import Standing
from limner.refine.report.changes import Piece, changes
from limner.refine.strategy import USER, Candidate


@dataclass(frozen=True, slots=True)
class Rung:
    """How a candidate stood over so many seeds; ``gain`` is its mean over the user's words by the first scorer that
    gave one, ``None`` where it was not compared."""

    seeds: int
    gain: float | None
    says: str
    out: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """A candidate: ``depth`` rewrites away from the user's words."""

    id: str
    depth: int
    edit: str
    reason: str
    strategy: str
    prompt: tuple[Piece, ...]
    rungs: tuple[Rung, ...]
    fate: str
    finalist: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """All candidates, each after its parent, and the numbers of seeds that they were compared over."""

    seeds: tuple[int, ...]
    branches: tuple[Branch, ...]
    dropped: tuple[str, ...] = ()


def tree_of(
    candidates: Sequence[Candidate],
    history: Sequence[Sequence[Standing]],
    finalists: Sequence[str],
    prompt: str,
    dropped: Sequence[str] = (),
) -> Tree:
    """``history``: the standings at each rung, as the search left them; ``prompt`` is the user's own."""
    seeds = tuple(max((each.seeds for each in rung), default=0) for rung in history)
    by_rung = [{each.candidate: each for each in rung} for rung in history]
    children: dict[str, list[Candidate]] = {}
    known = {each.id for each in candidates}
    for each in candidates:
        children.setdefault(each.parent if each.parent in known else USER, []).append(each)
    last = {each.candidate: (each.place or len(known) + 1) for rung in history for each in rung}
    far = {each.candidate: k for k, rung in enumerate(history) for each in rung}

    def below(parent: str, depth: int) -> list[Branch]:
        order = sorted(children.get(parent, ()), key=lambda c: (-far.get(c.id, -1), last.get(c.id, len(known) + 1)))
        found: list[Branch] = []
        for candidate in order:
            found.append(_branch(candidate, depth, by_rung, seeds, candidate.id in finalists, prompt))
            found += below(candidate.id, depth + 1)
        return found

    return Tree(seeds, tuple(below(USER, 0)), tuple(dropped))


def _branch(
    candidate: Candidate,
    depth: int,
    by_rung: Sequence[Mapping[str, Standing]],
    seeds: Sequence[int],
    finalist: bool,
    prompt: str,
) -> Branch:
    stood = [rung.get(candidate.id) for rung in by_rung]
    out = next((each.out for each in reversed(stood) if each is not None), "")
    fate = "in the final" if finalist else out or _fate(stood)
    rungs = tuple(_rung(each, count) for each, count in zip(stood, seeds, strict=True))
    return Branch(
        candidate.id,
        depth,
        candidate.edit,
        candidate.reason,
        candidate.strategy,
        changes(prompt, candidate.request.prompt),
        rungs,
        fate,
        finalist,
    )


def _fate(stood: Sequence[Standing | None]) -> str:
    """Of one that was never put out, and is no finalist."""
    last = next((each for each in reversed(stood) if each is not None), None)
    if last is None:
        return "not compared"
    return "ahead of your words; others stood higher" if last.ahead else "not ahead of your words"


def _rung(stood: Standing | None, seeds: int) -> Rung:
    if stood is None:
        return Rung(seeds, None, "", False)
    says = ", ".join(f"{name} {gain:+.3g}" for name, gain in stood.gains.items())
    place = "" if stood.place is None else f"place {stood.place}; "
    return Rung(seeds, next(iter(stood.gains.values()), None), f"{place}{says}" or stood.out, bool(stood.out))
