"""An audit run: neutral prompts drawn over seeds, every picture read by a classifier. What is there is not done again:
pictures lie in the library, values in the scores' cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import Field

from limner.canonical import content_hash
from limner.errors import InvalidRequest, ModelNotFound, NonFinite, Refused
from limner.image import Image
from limner.library.files import decode
from limner.refine.bias.error import Confusion
from limner.refine.bias.numbers import Measured, Number, line, measured
from limner.refine.bias.skin import tone
from limner.refine.bias.subjects import AXES, MARGIN, Axis, Subject, answer, texts_of
from limner.refine.compare_cells import Cell, made_before
from limner.session import Session
from limner.session.scoring import Failures
from limner.types import Frozen, Pixels, Plan, Request

FOLDER = "audits"
SEED = 1000
CLASSIFIER = "clip-l14"
PICTURES = (".png", ".jpg", ".jpeg", ".webp")

Draw = Callable[[Sequence[Plan]], Sequence[Image]]
"""Draws Plans; what it could not or may not keep is left out."""


class Seen(Frozen):
    """One picture as it was read. ``answers`` by axis; ``tone`` on the Monk scale, ``None`` where that is not clear."""

    seed: int
    answers: Mapping[str, str]
    tone: int | None = None
    picture: str | None = None


class Read(Frozen):
    """One prompt's pictures. ``refused`` of them were not kept, by the policy."""

    name: str
    kind: str
    prompt: str
    seen: tuple[Seen, ...]
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit as it will be run. ``error``, by axis, is what is known of the classifier's own."""

    subjects: tuple[Subject, ...]
    request: Request
    n: int
    model: str
    licence: str
    restrictions: str
    classifier: str
    revision: str
    margin: float = MARGIN
    error: Mapping[str, Confusion] | None = None
    seed: int = SEED

    @property
    def id(self) -> str:
        """The same for the same audit."""
        stored = self.request.model_dump(mode="json", exclude={"prompt", "n", "seed"})
        names = [each.prompt for each in self.subjects]
        whole = [stored, names, self.n, self.seed, self.classifier, self.revision, self.margin]
        return content_hash(whole).removeprefix("sha256:")[:16]


class Tones(Frozen):
    """The proxy for skin tone: pictures by tone 1 to 10, the mean of the prompts' means, their entropy in bits (3.32 is
    even over ten), and the share of pictures that said nothing."""

    counts: tuple[int, ...]
    mean: Number | None
    entropy: float | None
    unclear: float


class Audited(Frozen):
    """What came out."""

    model: str
    classifier: str
    revision: str
    seeds: int
    margin: float
    axes: tuple[Measured, ...]
    tones: Tones | None
    error: Mapping[str, Confusion] = Field(default_factory=dict)
    read: tuple[Read, ...]
    refused: int = 0


def audit_of(
    subjects: Sequence[Subject],
    request: Request,
    session: Session,
    *,
    n: int,
    classifier: str = CLASSIFIER,
    margin: float = MARGIN,
    labelled: Path | None = None,
) -> Audit:
    """An Audit, everything looked up before a picture is drawn. Raises what planning raises, ``UnknownName``,
    ``ModelNotFound`` for a classifier that is not here, ``InvalidRequest`` for one that reads no words, or for a
    ``labelled`` folder without folders of the classes."""
    metric = session.scoring.of_pictures(classifier)
    if metric.card.takes != "picture and text":
        raise InvalidRequest(
            f"{classifier} compares no picture with words", field="classifier", hint=f"try {CLASSIFIER}"
        )
    if (command := metric.missing()) is not None:
        raise ModelNotFound(f"the weights of {classifier} are not here", hint=f"fetch them: {command}")
    (plan, *_) = session.plan(request.but(prompt=subjects[0].prompt, n=1, seed=SEED), literal=True)
    card = session.catalog.find(plan.model.name)
    found = Audit(
        tuple(subjects),
        request,
        n,
        plan.model.name,
        "not known" if card is None else card.licence,
        "" if card is None else card.restrictions,
        classifier,
        metric.card.revision,
        margin,
    )
    if labelled is None:
        return found
    return replace(found, error=measure_error(labelled, found, session))


def run(
    audit: Audit,
    session: Session,
    *,
    draw: Draw | None = None,
    tell: Callable[[Read], None] = lambda read: None,
    skin: bool = True,
) -> Audited:
    """Draw and read what is missing, prompt by prompt, and count. Raises ``LimnerError``; the same audit goes on from
    there."""
    read = []
    for subject in audit.subjects:
        read.append(_read(audit, subject, session, draw or drawing(session), skin))
        tell(read[-1])
    return counted(audit, read, skin=skin)


def counted(audit: Audit, read: Sequence[Read], *, skin: bool = True) -> Audited:
    """The numbers of what was read."""
    axes = []
    for axis in AXES:
        lines = [line(r.name, r.kind, [seen.answers[axis.name] for seen in r.seen], axis.classes) for r in read]
        axes.append(measured(axis.name, axis.classes, lines, (audit.error or {}).get(axis.name)))
    return Audited(
        model=audit.model,
        classifier=audit.classifier,
        revision=audit.revision,
        seeds=audit.n,
        margin=audit.margin,
        axes=tuple(axes),
        tones=_tones(read) if skin else None,
        error=audit.error or {},
        read=tuple(read),
        refused=sum(each.refused for each in read),
    )


def drawing(session: Session) -> Draw:
    """Draws with a session; what policy refuses is left out, and counted by whoever asked."""

    def draw(plans: Sequence[Plan]) -> Sequence[Image]:
        generation = session.run(plans)
        try:
            return generation.result()
        except Refused:
            return generation.images

    return draw


def _read(audit: Audit, subject: Subject, session: Session, draw: Draw, skin: bool) -> Read:
    plans = session.plan(audit.request.but(prompt=subject.prompt, n=audit.n, seed=audit.seed), literal=True)
    cell = Cell(0, 0, plans)
    have = made_before(cell, range(audit.n), session)
    if len(have) < audit.n:
        missing = [place for place in range(audit.n) if place not in have]
        have |= {image.record.index: image for image in draw(tuple(_only(plans, missing)))}
    places = sorted(have)
    images = [have[place] for place in places]
    answers = answers_of([image.pixels for image in images], audit, session)
    seen = tuple(
        Seen(
            seed=image.record.seed.seed,
            answers=said,
            tone=tone(image.pixels) if skin else None,
            picture=image.id,
        )
        for image, said in zip(images, answers, strict=True)
    )
    return Read(name=subject.name, kind=subject.kind, prompt=subject.prompt, seen=seen, refused=audit.n - len(images))


def _only(plans: Sequence[Plan], places: Sequence[int]) -> Iterator[Plan]:
    """A Plan for each missing picture, with its own place."""
    wanted = set(places)
    for plan in plans:
        for k, seed in enumerate(plan.seeds):
            if plan.first + k in wanted:
                yield plan.model_copy(update={"seeds": (seed,), "first": plan.first + k})


def answers_of(pictures: Sequence[Pixels], audit: Audit, session: Session) -> list[dict[str, str]]:
    """For each picture an answer by axis. Pixels alone are scored, so that the library keeps none of these values.
    Raises as ``Session.score``."""
    found: list[dict[str, str]] = [{} for _ in pictures]
    for axis in AXES:
        texts = texts_of(axis)
        values = np.empty((len(pictures), len(texts)))
        for column, text in enumerate(texts):
            failures: Failures = {}
            scores = session.score(pictures, text, [audit.classifier], failures=failures, force=True)
            hard = [error for error in failures.values() if not isinstance(error, NonFinite)]
            if hard:
                raise hard[0]
            values[:, column] = [each[0].value if each else np.nan for each in scores]
        for place, row in enumerate(values):
            found[place][axis.name] = _answered(axis, row.tolist(), audit.margin)
    return found


def _answered(axis: Axis, values: Sequence[float], margin: float) -> str:
    return "unclear" if any(value != value for value in values) else answer(axis, values, margin)


def measure_error(folder: Path, audit: Audit, session: Session) -> dict[str, Confusion]:
    """The classifier's error by axis, on the pictures in ``folder/CLASS`` for an axis' two classes; axes without such
    folders are left out. Raises ``InvalidRequest`` where no axis has them."""
    found = {}
    for axis in AXES:
        places = {name: folder / name for name in axis.classes}
        if not all(place.is_dir() for place in places.values()):
            continue
        answers = {}
        for name, place in places.items():
            paths = sorted(path for path in place.iterdir() if path.suffix.lower() in PICTURES)
            said = answers_of([decode(path) for path in paths], audit, session)
            answers[name] = [each[axis.name] for each in said]
        found[axis.name] = Confusion.of(axis.classes, answers)
    if not found:
        wanted = " or ".join(" and ".join(axis.classes) for axis in AXES)
        raise InvalidRequest(f"{folder} has no folders of labelled pictures", hint=f"make folders {wanted} in it")
    return found


def _tones(read: Sequence[Read]) -> Tones:
    by_prompt = [[seen.tone for seen in each.seen if seen.tone is not None] for each in read]
    counts = np.bincount([each for tones in by_prompt for each in tones], minlength=11)[1:11]
    pictures, clear = sum(len(each.seen) for each in read), int(counts.sum())
    if not clear:
        return Tones(counts=(0,) * 10, mean=None, entropy=None, unclear=1.0)
    means = np.array([np.mean(tones) for tones in by_prompt if tones])
    rng = np.random.default_rng(0)
    drawn = means[rng.integers(len(means), size=(4_000, len(means)))].mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    shares = counts[counts > 0] / clear
    return Tones(
        counts=tuple(int(each) for each in counts),
        mean=Number(value=float(means.mean()), low=float(low), high=float(high)),
        entropy=float(-(shares * np.log2(shares)).sum()),
        unclear=1 - clear / pictures,
    )


def folder_of(audit: Audit, session: Session) -> Path | None:
    """Where an audit's result is kept."""
    return session.settings.library_root / FOLDER / audit.id if session.keep else None
