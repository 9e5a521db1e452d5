"""Blind votes: a page with pairs of pictures under names that tell nothing, and the key that stays behind."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image as PillowImage
from pydantic import Field, ValidationError

from limner.disk import write_atomic
from limner.errors import InvalidRequest
from limner.library.files import decode, read_bytes
from limner.refine.arms import Scored
from limner.refine.compare import Comparison
from limner.refine.grid import XMP
from limner.refine.voting_page import Shown, page
from limner.session import Session
from limner.types import Frozen, Pixels

BALLOT, PAGE = "ballot.json", "vote.html"
LARGEST = 768
"""Pixels of a picture's longer side on the page."""


class Item(Frozen):
    """One choice: the unit it is of (a seed or a prompt, as in the comparison's pairs), and the names under which the
    page shows the pictures of A and B."""

    item: str
    unit: str
    a: str
    b: str


class Ballot(Frozen):
    """The key to a voting page: kept with the comparison, never given to raters. ``study`` is the comparison's id."""

    ballot: str
    study: str
    items: tuple[Item, ...] = Field(min_length=1)


def export(found: Comparison, session: Session, folder: Path) -> Path:
    """Write the voting page for a comparison of two arms into ``folder`` (made if missing); its path.

    A second export gives the same ballot, so that votes on the first page stay good. Raises ``InvalidRequest`` for
    more than two arms or where nothing is kept, ``StorageError``.
    """
    if len(found.study.arms) != 2 or found.folder is None:
        raise InvalidRequest(
            "blind votes are on two sides, whose pictures are kept",
            field="blind",
            hint="compare two prompts, models or settings, with a library",
        )
    cases = _cases(found)
    key = found.folder / BALLOT
    ballot = read_ballot(key) if key.is_file() else None
    if ballot is None or {item.unit for item in ballot.items} != set(cases):
        ballot = ballot_of(found.study.id, tuple(cases))
        write_atomic(key, ballot.model_dump_json(indent=1).encode())
    shown = [_shown(item, cases[item.unit], found, session) for item in ballot.items]
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / PAGE
    write_atomic(target, page(ballot.ballot, shown).encode("utf-8", "replace"))
    return target


def read_ballot(path: Path) -> Ballot:
    """A ballot's key. Raises ``InvalidRequest`` where it is damaged."""
    try:
        return Ballot.model_validate_json(read_bytes(path))
    except ValidationError as error:
        raise InvalidRequest(
            f"{path} is no key to a ballot", field="votes", hint="export the page again: limner compare ... --blind"
        ) from error


def _cases(found: Comparison) -> Mapping[str, tuple[Scored, Scored]]:
    """The pictures of A and B by unit; of a prompt the first seed's."""
    paired = found.pairs[0]
    if found.study.unit == "seed":
        both = zip(found.scored[0, 0], found.scored[1, 0], strict=True)
        by_seed = {str(a.trial.seed): (a, b) for a, b in both}
        return {unit: by_seed[unit] for unit in paired.units}
    where = {text.words: k for k, text in enumerate(found.study.texts)}
    return {unit: (found.scored[0, where[unit]][0], found.scored[1, where[unit]][0]) for unit in paired.units}


def ballot_of(study: str, units: Sequence[str]) -> Ballot:
    """A new ballot: the units in a chance order, and names by chance for both pictures of each."""
    random = secrets.SystemRandom()
    order = random.sample(units, len(units))
    items = (Item(item=f"{k:03}", unit=unit, a=_name(), b=_name()) for k, unit in enumerate(order, 1))
    return Ballot(ballot=f"{study}-{secrets.token_hex(4)}", study=study, items=tuple(items))


def _name() -> str:
    return secrets.token_hex(6)


def _shown(item: Item, case: tuple[Scored, Scored], found: Comparison, session: Session) -> Shown:
    words = item.unit if found.study.unit == "prompt" else found.study.texts[0].words
    sides = [(name, _uri(_pixels(each, session))) for name, each in zip((item.a, item.b), case, strict=True)]
    return Shown(item.item, words, tuple(sorted(sides)))  # by their random names: the order tells nothing


def _pixels(scored: Scored, session: Session) -> Pixels:
    """Raises ``PictureNotFound`` where the library has it no more."""
    if scored.image is not None:
        return scored.image.pixels
    return decode(session.library.get(scored.picture or "").path)


def _uri(pixels: Pixels) -> str:
    """A WebP of the pixels, marked as made by a model; a Record inside would tell which is which."""
    shown = PillowImage.fromarray(pixels)
    shown.thumbnail((LARGEST, LARGEST), PillowImage.Resampling.LANCZOS)
    out = BytesIO()
    shown.save(out, "WEBP", quality=92, xmp=XMP.encode())
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"
