"""``limner audit bias``: who a model draws when nobody said who."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.options import Drawing, fields_of, request_options

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.image import Image
    from limner.refine.bias.audit import Audit, Audited
    from limner.refine.bias.numbers import Number
    from limner.session import Session
    from limner.types import Plan

EPILOG = "Ctrl-C keeps what is drawn; the same command goes on from there."
RESULT = "result.json"


@click.command("bias", cls=Drawing, epilog=EPILOG)
@click.option("--professions", type=click.IntRange(0, 30), default=30, show_default=True, help="so many of the list")
@click.option("--traits", type=click.IntRange(0, 10), default=0, show_default=True, help="so many of the list")
@click.option(
    "--seeds", "n", type=click.IntRange(2, 500), default=16, show_default=True, help="pictures of each prompt"
)
@click.option("--classifier", default="clip-l14", show_default=True, metavar="NAME", help="who reads the pictures")
@click.option("--margin", type=click.FloatRange(0, 1), default=0.01, show_default=True, help="a lead below is unclear")
@click.option(
    "--labelled",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="FOLDER",
    help="your own pictures in folders woman and man (or older and younger): measures the classifier's error",
)
@click.option("--skin/--no-skin", default=True, show_default=True, help="the proxy for skin tone")
@click.option("--sheet", "sheet_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="the HTML")
@request_options(without=("n", "seed"))
@click.option("--json", "as_json", is_flag=True, help="one JSON object on stdout, nothing else")
@click.option("--offline", is_flag=True, help="never touch the network")
@click.option("-q", "--quiet", is_flag=True, help="only the numbers and warnings")
def command(
    professions: int,
    traits: int,
    n: int,
    classifier: str,
    margin: float,
    labelled: Path | None,
    skin: bool,
    sheet_file: Path | None,
    as_json: bool,
    offline: bool,
    quiet: bool,
    **values: object,
) -> int:
    """Draw people of professions and traits in neutral words, and count who comes: how one-sided, how varied, with
    intervals, and an "unclear" where the classifier does not know.

    It needs a model that draws people (-m sd15) and CLIP (limner metrics pull clip-l14). The numbers are of looks as a
    classifier reads them; its own error is unknown until you give it labelled pictures.
    """
    from limner.cli.downloading import fetch
    from limner.cli.draw import checked_early
    from limner.cli.drawing import Telling
    from limner.refine.bias.audit import audit_of
    from limner.refine.bias.subjects import subjects
    from limner.session import Session
    from limner.types import Request

    telling = Telling.of(as_json=as_json, quiet=quiet, show=False)
    asked = subjects(professions, traits)
    request = checked_early(Request.of(prompt=asked[0].prompt, **fields_of(values)))
    with Session(offline=True if offline else None, scored=False) as session:
        model = request.model or str(session.settings.value("model").value or "pocket")
        request = request.but(model=model)
        fetch(session, model, telling)
        audit = audit_of(asked, request, session, n=n, classifier=classifier, margin=margin, labelled=labelled)
        found = follow(audit, session, telling, skin=skin)
        tell(audit, found, session, telling, sheet_file)
    return 0


def follow(audit: Audit, session: Session, telling: Telling, *, skin: bool) -> Audited:
    """Say what will be done, and do it. Raises any ``LimnerError``; after Ctrl-C ``Cancelled``, with all kept."""
    from limner.cli.draw import prepare
    from limner.cli.drawing import Follower
    from limner.cli.sheet import count
    from limner.errors import Cancelled, Refused
    from limner.image import Image as Made
    from limner.refine.bias.audit import run

    total = len(audit.subjects) * audit.n
    telling.say(f"{audit.model}: {count(len(audit.subjects), 'prompt')} of {audit.n} seeds, {count(total, 'picture')}")
    prepare(session, telling)
    follower = Follower(telling, total=total, silent=True)

    def draw(plans: Sequence[Plan]) -> Sequence[Image]:
        generation = session.run(plans)
        try:
            return [image for image in follower.follow(generation) if isinstance(image, Made)]
        except Refused as error:
            with follower.aside():
                telling.warn(f"“{plans[0].prompt}”: {error.message}")
            return generation.images

    try:
        with follower.watching():
            return run(audit, session, draw=draw, skin=skin)
    except Cancelled as error:
        error.hint = "the same command goes on from there"
        raise


def tell(audit: Audit, found: Audited, session: Session, telling: Telling, sheet_file: Path | None) -> None:
    """Keep the result and the sheet, and print the numbers or the JSON."""
    from limner.cli.console import out, table, told
    from limner.cli.sheet import out_json
    from limner.disk import write_atomic
    from limner.refine.bias.audit import folder_of
    from limner.refine.report.bias import SHEET, caveats, headline, numbers, percent, write

    folder = folder_of(audit, session)
    place = sheet_file or (None if folder is None else folder / SHEET)
    if folder is not None:
        write_atomic(folder / RESULT, found.model_dump_json(indent=1).encode())
    if place is not None:
        write(audit, found, session, place.expanduser())
    if telling.json:
        sheet = None if place is None else str(place)
        out_json({**found.model_dump(mode="json"), "caveats": caveats(found), "sheet": sheet})
        return
    told(headline(found))
    for axis in found.axes:
        rows = [_row(name, each) for name, each in numbers(axis)]
        table((axis.axis, "value", "95% interval", "by chance"), rows, title="")
        told(f"{percent(axis.unclear)} unclear, {percent(axis.nobody)} without anybody, of {axis.pictures} pictures")
    for each in caveats(found):
        telling.warn(each)
    if place is not None:
        out(str(place))


def _row(name: str, number: Number | None) -> tuple[str, str, str, str]:
    if number is None:
        return name, "none clear", "", ""
    chance = "" if number.chance is None else f"{number.chance:.2f}"
    return name, f"{number.value:.2f}", f"{number.low:.2f} to {number.high:.2f}", chance
