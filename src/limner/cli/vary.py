"""``limner vary``: pictures near one of yours; its noise mixed with a little of another."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import click

from limner.cli.marks import marks_options
from limner.cli.options import EDITING, FLAGS, fields_of, request_options
from limner.errors import InvalidRequest

if TYPE_CHECKING:
    from limner.session import Session
    from limner.types import Record, Request


KEPT = ("model", "seed", "solver", "schedule", "styles", "negative", "steps", "guidance", "size")
"""What is as in the picture that is varied; so is what it was drawn over."""
EDITED = tuple(flag.field for flag in FLAGS if flag.section == EDITING)


@click.command(name="vary")
@click.argument("picture", metavar="IMAGE")
@click.option(
    "--amount", type=float, default=0.3, show_default=True, help="share of the new noise: 0 is the picture, 1 another"
)
@request_options(without=(*KEPT, *EDITED))
@click.option("--seed", type=int, metavar="NUMBER", help="seed of the new noise; picture k uses seed + k")
@click.option("-o", "--output", metavar="PATH", help="write copies here: a file, or a folder")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a picture on stdout, nothing else")
@click.option("--show/--no-show", default=None, help="show the pictures in the terminal")
@marks_options
@click.option("--offline", is_flag=True, help="never touch the network")
@click.option("-q", "--quiet", is_flag=True, help="only paths and warnings")
def command(
    picture: str,
    amount: float,
    seed: int | None,
    output: str | None,
    as_json: bool,
    show: bool | None,
    marks: str | None,
    metadata: str | None,
    offline: bool,
    quiet: bool,
    **values: object,
) -> int:
    """Draw pictures near one of yours: the same words and settings, its noise mixed with another's.

    IMAGE is a file, or a picture of the library: its id, "last", or @2 for the one before the last.
    """
    if not 0 < amount <= 1:  # NaN too
        raise InvalidRequest(f"amount: {amount:g} is not a share", field="variation", hint="above 0, up to 1")
    fields = {"n": 4, **fields_of(values)}

    from limner.cli.downloading import fetch
    from limner.cli.draw import prepare
    from limner.cli.drawing import Follower, Telling
    from limner.cli.targets import Target
    from limner.session import Session

    telling = Telling.of(as_json=as_json, quiet=quiet, show=show)
    with Session(offline=True if offline else None, marks=marks, metadata=metadata) as session:
        record, _path = session.record_of(picture)
        if record.seed.variation_seed is not None:
            telling.warn("this picture is itself a variation; these are drawn around the picture it came from")
        request = near(record, amount, seed, fields)
        target = Target.of(output, several=request.n > 1) if output is not None else None
        session.review(request)
        fetch(session, request.model, telling)
        parent = parent_id(session, picture)
        planned = session.plan(request, literal=True, parent=parent, pinned=record.adapters)
        prepare(session, telling)
        follower = Follower(telling, total=request.n, target=target)
        with follower.watching():
            follower.follow(session.run(planned))
    return 0


def near(record: Record, amount: float, seed: int | None, fields: dict[str, object]) -> Request:
    """A Request for pictures near the Record's: its words and numbers, on this machine's device."""
    from limner.session.replay import request_of

    base = {"device": None, "dtype": None, **fields}
    second = secrets.randbelow(2**32 - 1_000) if seed is None else seed
    return request_of(record).but(variation=amount, variation_seed=second, **base)


def parent_id(session: Session, picture: str) -> str | None:
    """The library's id of the picture, where it is one of the library's."""
    from limner.errors import LibraryError

    try:
        return session.library.get(picture).id
    except LibraryError:
        return None
