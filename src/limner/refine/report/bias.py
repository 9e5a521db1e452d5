"""The sheet of a bias audit: numbers, prompts, a picture of each, and what must not be read into them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from limner.disk import write_atomic
from limner.errors import LibraryError
from limner.library.files import decode
from limner.refine.bias.audit import Audit, Audited
from limner.refine.bias.numbers import Measured, Number
from limner.refine.bias.skin import MONK
from limner.refine.report.embed import Fetch, album
from limner.refine.report.page import Fact, Plate
from limner.session import Session
from limner.types import Pixels, now
from limner.version import VERSION

SHEET = "bias.html"
PROXY = (
    "The median colour of skin-coloured pixels, as the nearest of the ten tones of the Monk scale. It measures a "
    "picture's colours, not a person: light, make-up and backgrounds move it, and both ends of the scale are missed "
    "more often than the middle."
)
LOOKS = (
    "A classifier reads looks. Nobody's gender, age or origin can be read from a picture, and nobody is in these: they "
    "are what a model draws when it is not told."
)


def sheet(audit: Audit, found: Audited, session: Session) -> str:
    """The page, as one file that needs nothing else."""
    style = (Path(__file__).parent / "templates" / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template("bias.html.j2")
        .render(
            found=found,
            headline=headline(found),
            caveats=caveats(found),
            plates=_plates(found, session),
            facts=tuple(_facts(audit, found)),
            numbers=numbers,
            percent=percent,
            proxy=PROXY,
            monk=MONK,
            style=Markup(style),  # our own file
            style_hash=f"'sha256-{digest}'",
            version=VERSION,
            created=now(),
        )
    )


def write(audit: Audit, found: Audited, session: Session, path: Path) -> Path:
    """Write the page; its path. Raises ``StorageError``."""
    write_atomic(path, sheet(audit, found, session).encode("utf-8", "replace"))
    return path


def headline(found: Audited) -> str:
    """The first axis in one sentence, with its interval and what chance alone would give."""
    first = found.axes[0]
    if first.share is None or first.one_sided is None:
        return f"Of {first.pictures} pictures by {found.model}, none could be read for {first.axis}."
    chance = "" if first.one_sided.chance is None else f"; chance alone: {first.one_sided.chance:.2f}"
    return (
        f"Of {found.model}'s people, {percent(first.share.value)} look like a {first.classes[0]} to {found.classifier} "
        f"({percent(first.share.low)} to {percent(first.share.high)}); a prompt is one-sided by "
        f"{first.one_sided.value:.2f} of at most 0.50{chance}."
    )


def caveats(found: Audited) -> tuple[str, ...]:
    """What must be said beside the numbers."""
    said = [LOOKS]
    for axis in found.axes:
        error = found.error.get(axis.axis)
        if error is None:
            said.append(
                f"{axis.axis}: the error of {found.classifier} on pictures like these is not known, and no interval "
                "here holds it; --labelled FOLDER measures it."
            )
            continue
        wrong = ", ".join(
            f"{true} taken for the other in {percent(rate)} ({percent(low)} to {percent(high)}) of {error.clear(true)}"
            for true in error.classes
            for rate, low, high in [error.wrong(true)]
        )
        use = (
            ""
            if error.usable
            else "; it is too close to guessing to be corrected for, and no number here is to be used"
        )
        said.append(f"{axis.axis}: {found.classifier} is wrong on your labelled pictures: {wrong}{use}.")
    if found.refused:
        said.append(f"{found.refused} pictures were refused by the policy and are not counted.")
    return tuple(said)


def numbers(axis: Measured) -> list[tuple[str, Number | None]]:
    """The numbers of an axis with their names."""
    return [
        (f"share of {axis.classes[0]}, mean of prompts", axis.share),
        ("one-sidedness of a prompt (0 even, 0.5 all alike)", axis.one_sided),
        ("entropy of a prompt (1 even, 0 all alike)", axis.entropy),
        ("difference between prompts (standard deviation)", axis.between),
    ]


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _plates(found: Audited, session: Session) -> list[Plate]:
    named = {each.name: each.seen[0].picture for each in found.read if each.seen}
    shown = album({name: _fetch(picture, session) for name, picture in named.items()})
    return [Plate(picture, name) for name, picture in shown.shown.items()]


def _fetch(picture: str | None, session: Session) -> Fetch:
    def fetch() -> Pixels | None:
        try:
            return None if picture is None else decode(session.library.get(picture).path)
        except LibraryError:
            return None

    return fetch


def _facts(audit: Audit, found: Audited) -> Iterator[Fact]:
    yield Fact("model", f"{audit.model}, {audit.licence}{f': {audit.restrictions}' if audit.restrictions else ''}")
    yield Fact("prompts", f"{len(audit.subjects)}, such as “{audit.subjects[0].prompt}”")
    yield Fact("seeds", f"{audit.seed} to {audit.seed + audit.n - 1} for each prompt")
    yield Fact("classifier", f"{found.classifier} {found.revision}, zero-shot")
    yield Fact("unclear", f"a lead of less than {found.margin:g} in cosine")
    yield Fact("intervals", "95 %, bootstrap over prompts; of one prompt, Wilson's")
    yield Fact("chance", "what a model without any leaning gets with so few seeds")
    yield Fact("after", "DALL-Eval, Stable Bias, Bianchi et al. and HEIM; the lists of prompts are our own choice")


@cache
def _environment() -> Environment:
    loader = PackageLoader("limner.refine.report", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
