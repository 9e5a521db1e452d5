"""A study as the page shows it: the verdict in few words, and where the marks of its figure go."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from limner.refine.verdict_types import Test, Verdict
from limner.refine.verdict_words import span
from limner.serve.studies.views import Side, SideRequest, StudyView

SIGNS = {"better": "▲", "worse": "▼", "traded off": "⇄", "no evidence": "○", "kept": "○", "chosen": "○", "stopped": "○"}
WORDS = {
    "better": "Better",
    "worse": "Worse",
    "traded off": "Traded off",
    "no evidence": "No evidence",
    "kept": "Your words stay",
    "chosen": "Best pictures",
    "stopped": "Not verified",
    "drawn": "Drawn",
    "": "Not finished",
}
TONES = {"better": "good", "worse": "bad", "traded off": "warn"}
WIDE = 1000.0  # the figure's width in its own units
ROOM = 0.16
NOTHING = 1e-9  # what rounding leaves of no difference


@dataclass(frozen=True, slots=True)
class Bar:
    """A scorer's line in the figure: where zero, the gain and its interval lie, 0 to 1000; ``edge`` is the margin that
    may not be lost. ``told`` says the same in words."""

    name: str
    role: str
    zero: float
    gain: float
    low: float | None
    high: float | None
    edge: float | None
    told: str
    mark: str


@dataclass(frozen=True, slots=True)
class Row:
    """A scorer's line in the table."""

    name: str
    role: str
    a: str
    b: str
    gain: str
    p: str
    finding: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A side's verdict, as it is read: headline, numbers, figure, table."""

    side: Side
    a: str
    b: str
    sign: str
    word: str
    tone: str
    headline: str
    numbers: str
    more: str
    bars: tuple[Bar, ...]
    rows: tuple[Row, ...]
    use_a: str
    use_b: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A study's head and its verdicts. ``use`` is the Create page with who won."""

    sign: str
    word: str
    tone: str
    judged: tuple[Judged, ...]
    use: str


def shown(study: StudyView) -> Shown:
    """As the page shows it."""
    judged = tuple(_judged(study, side) for side in study.sides)
    best = study.best[0] if study.best and study.outcome == "better" else None
    use = "" if study.winner is None else create(study.winner, best)
    return Shown(
        SIGNS.get(study.outcome, ""), WORDS.get(study.outcome, study.outcome), TONES.get(study.outcome, ""), judged, use
    )


def create(side: SideRequest, picture: str | None = None) -> str:
    """The Create page with a side's settings: by prompt and model, or where more is said like a picture of it."""
    more = set(side.request) - {"prompt", "model"}
    if more and picture is not None:
        return f"/?{urlencode({'from': picture})}"
    said: dict[str, str] = {name: str(side.request[name]) for name in ("prompt", "model") if name in side.request}
    return f"/?{urlencode(said)}"


def _judged(study: StudyView, side: Side) -> Judged:
    verdict = side.verdict
    first = next(iter(verdict.judges))
    made = next((pair for pair in side.pairs if pair.mark == "best"), None)
    return Judged(
        side,
        _named(study, side.a, verdict.a, "A"),
        _named(study, side.b, verdict.b, "B"),
        SIGNS[verdict.outcome],
        WORDS[verdict.outcome],
        TONES.get(verdict.outcome, ""),
        _headline(study, verdict),
        f"{_gain(first)}  {_p(first)}  {verdict.n} pairs",
        _more(verdict),
        tuple(_bar(test, verdict) for test in verdict.tests),
        tuple(_row(test) for test in verdict.tests),
        create(side.a, None if made is None else made.a),
        create(side.b, None if made is None else made.b),
    )


def _headline(study: StudyView, verdict: Verdict) -> str:
    a, b = verdict.a, verdict.b
    refined = study.kind == "refine"
    match verdict.outcome:
        case "better":
            return f"Better: {'the rewrite wins' if refined else f'{b} wins over {a}'}"
        case "worse":
            return f"Worse: {'your words win' if refined else f'{a} wins over {b}'}"
        case "traded off":
            return f"Traded off: {_traded(verdict)}"
    if all(test.finding == "slight" for test in verdict.judges):
        return f"No difference worth having between {a} and {b}"
    found = {test.finding for test in verdict.judges} & {"A", "B"}
    if found:
        open_ = " and ".join(test.role for test in verdict.guards if test.finding == "open")
        return f"No evidence yet: {b if 'B' in found else a} scores higher, but may lose {open_}"
    return f"No evidence that {a} and {b} differ"


def _traded(verdict: Verdict) -> str:
    found = {test.finding for test in verdict.judges} & {"A", "B"}
    lost = " and ".join(test.role for test in verdict.guards if test.finding == "lost")
    if len(found) == 2:
        return "the judges disagree"
    winner = verdict.b if "B" in found else verdict.a
    return f"{winner} scores higher, but loses {lost}" if lost else f"{winner} scores higher, at a price"


def _named(study: StudyView, side: SideRequest, name: str, letter: str) -> str:
    """A side in a few words: its name, or where that is a letter its prompt or what it sets."""
    if study.kind == "refine" or len(side.name) > 1:
        return name
    prompt = str(side.request.get("prompt", ""))
    rest = [f"{key} {value}" for key, value in side.request.items() if key != "prompt"]
    said = ", ".join([f"\N{LEFT DOUBLE QUOTATION MARK}{prompt}\N{RIGHT DOUBLE QUOTATION MARK}", *rest])
    return said if side.name == letter else f"{side.name}, {said}"


def _more(verdict: Verdict) -> str:
    if verdict.outcome != "no evidence":
        return ""
    if verdict.more is None:
        return "More seeds would hardly settle it: any difference is too small to be worth having."
    return f"About {verdict.more} more {verdict.unit}s would settle it, if the difference is as large as it looks."


def _gain(test: Test) -> str:
    if test.low is None or test.high is None:
        return f"{_minus(test.gain)}"
    return f"{_minus(test.gain)} [{_minus(test.low)}, {_minus(test.high)}]"


def _minus(value: float) -> str:
    return f"{value if abs(value) > NOTHING else 0.0:+.2g}".replace("-", "\N{MINUS SIGN}")


def _p(test: Test) -> str:
    p = test.p if test.adjusted is None else test.adjusted
    return "p < .001" if p < 0.001 else f"p {p:.3f}".replace(" 0.", " .")


def _bar(test: Test, verdict: Verdict) -> Bar:
    """Each scorer has a scale of its own, laid out so that zero and the whole interval are seen; to the right is B."""
    guard = test.role != "judge" and test.margin is not None
    winner = -1 if verdict.outcome == "worse" or any(each.finding == "A" for each in verdict.judges) else 1
    edge = -winner * (test.margin or 0.0) if guard else None
    low, high = (test.low, test.high) if test.low is not None and test.high is not None else (None, None)
    values = [0.0, test.gain, *(each for each in (low, high, edge) if each is not None)]
    least, most = min(values), max(values)
    room = ROOM * (most - least) or 1.0
    least, most = least - room, most + room

    def at(value: float) -> float:
        return round(WIDE * (value - least) / (most - least), 1)

    crosses = low is not None and high is not None and low <= 0 <= high
    where = "inside" if crosses else "outside"
    told = f"{test.scorer.name}, {test.role}: gain of B {span(test)}; zero is {where} the interval"
    return Bar(
        test.scorer.name,
        test.role,
        at(0.0),
        at(test.gain),
        None if low is None else at(low),
        None if high is None else at(high),
        None if edge is None else at(edge),
        told,
        _mark(test),
    )


def _mark(test: Test) -> str:
    marks = {"kept": "✓ kept", "lost": "✗ lost", "open": "? not shown to be kept"}
    judged = {"A": "A better", "B": "B better", "neither": "no difference shown", "slight": "none worth having"}
    return marks.get(test.finding) or judged.get(test.finding, test.finding)


def _row(test: Test) -> Row:
    p = test.p if test.adjusted is None else test.adjusted
    return Row(
        test.scorer.name,
        test.role,
        f"{test.mean_a:.3g}",
        f"{test.mean_b:.3g}",
        _gain(test),
        "<0.001" if p < 0.001 else f"{p:.3f}",
        _mark(test),
    )
