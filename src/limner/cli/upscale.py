"""``limner upscale``: a finished picture, larger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.marks import marks_options
from limner.cli.options import safety_option

if TYPE_CHECKING:
    from limner.session import Session
    from limner.types import Plan

EPILOG = "Upscalers are safetensors files of ESRGAN's and Real-ESRGAN's networks (docs/editing.md); lanczos needs none."


@click.command(name="upscale", epilog=EPILOG)
@click.argument("picture", metavar="IMAGE")
@click.option("--with", "upscaler", metavar="NAME", default="lanczos", show_default=True, help="which upscaler")
@click.option(
    "--by",
    "factor",
    type=float,
    metavar="FACTOR",
    help="how much larger; default: lanczos 2, others their own",
)
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 or mps")
@click.option("-o", "--output", metavar="PATH", help="write a copy here: a file, or a folder")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on stdout, nothing else")
@click.option("--show/--no-show", default=None, help="show the picture in the terminal")
@marks_options
@safety_option
@click.option("-q", "--quiet", is_flag=True, help="only paths and warnings")
def command(
    picture: str,
    upscaler: str,
    factor: float | None,
    device: str | None,
    output: str | None,
    as_json: bool,
    show: bool | None,
    marks: str | None,
    metadata: str | None,
    quiet: bool,
) -> int:
    """Enlarge a picture without drawing it anew.

    IMAGE is a file, or a picture of the library: its id, "last", or @2 for the one before the last. The enlarged
    picture goes to the library; where the picture lies there too, it is its parent.
    """
    from limner.cli.targets import Target

    target = Target.of(output) if output is not None else None
    from limner.cli.draw import prepare
    from limner.cli.drawing import Follower, Telling
    from limner.cli.given import upscaler_name
    from limner.session import Session

    telling = Telling.of(as_json=as_json, quiet=quiet, show=show)
    with Session(offline=True, marks=marks, metadata=metadata) as session:
        name = upscaler_name(upscaler, session.settings)
        plan = planned(session, picture, name if factor is None else f"{name}:{factor:g}", device)
        prepare(session, telling)
        follower = Follower(telling, total=1, target=target)
        with follower.watching():
            follower.follow(session.run([plan]))
    return 0


def planned(session: Session, picture: str, upscaler: str, device: str | None) -> Plan:
    """The Plan for a file, or a picture of the library. Raises any ``LimnerError``."""
    from limner.cli.vary import parent_id

    path = Path(picture)
    if path.is_file():
        return session.plan_upscaling(path, upscaler, device=device)
    parent = parent_id(session, picture)
    return session.plan_upscaling(session.library.get(picture).path, upscaler, parent=parent, device=device)
