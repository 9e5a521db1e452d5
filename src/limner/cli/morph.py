"""``limner morph``: the way from one prompt to another, as a strip and an animation."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.marks import marks_options
from limner.cli.options import fields_of, request_options
from limner.errors import InvalidRequest
from limner.types import Request

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.marking import Marking
    from limner.session import Session
    from limner.types import Picture

FRAMES = (2, 100)


@click.command(name="morph")
@click.argument("start", metavar="PROMPT_A")
@click.argument("end", metavar="PROMPT_B")
@click.option(
    "--frames", type=int, default=9, show_default=True, help=f"pictures on the way, {FRAMES[0]} to {FRAMES[1]}"
)
@request_options(without=("n",))
@click.option(
    "--to-seed", type=int, metavar="NUMBER", help="noise of the last picture; default: another than the first's"
)
@click.option(
    "-o", "--output", metavar="PATH", help="where strip and animation go: NAME.png (and NAME.webp), or a folder"
)
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout: each frame, then strip and animation")
@click.option("--show/--no-show", default=None, help="show the strip in the terminal")
@marks_options
@click.option("--offline", is_flag=True, help="never touch the network")
@click.option("-q", "--quiet", is_flag=True, help="only paths and warnings")
def command(
    start: str,
    end: str,
    frames: int,
    to_seed: int | None,
    output: str | None,
    as_json: bool,
    show: bool | None,
    marks: str | None,
    metadata: str | None,
    offline: bool,
    quiet: bool,
    **values: object,
) -> int:
    """Draw the way from one prompt to another: words and noise are mixed in growing shares.

    The frames go to the library; a strip (PNG) and an animation (WebP) are written beside it, or where -o says.
    """
    if not FRAMES[0] <= frames <= FRAMES[1]:
        raise InvalidRequest(
            f"frames: {frames} is not between {FRAMES[0]} and {FRAMES[1]}",
            field="frames",
            hint=f"frames: {FRAMES[0]} to {FRAMES[1]} (pictures on the way)",
        )
    requests = steps(start, end, frames, to_seed, fields_of(values))
    from limner.cli.draw import checked_early, prepare

    checked_early(requests[0])
    base = _base(output)

    from limner.cli.downloading import fetch
    from limner.cli.drawing import Follower, Telling
    from limner.session import Session

    telling = Telling.of(as_json=as_json, quiet=quiet, show=show)
    with Session(offline=True if offline else None, marks=marks, metadata=metadata) as session:
        session.review(requests[0])
        fetch(session, requests[0].model, telling)
        planned = [plan for request in requests for plan in session.plan(request)]
        prepare(session, telling)
        follower = Follower(telling, total=frames, paths=False)
        with follower.watching():
            made = follower.follow(session.run(planned))
        _write(made, telling, base or _in_library(session, made), session.marking)
    return 0


def steps(start: str, end: str, frames: int, to_seed: int | None, fields: dict[str, object]) -> list[Request]:
    """One Request a frame: share t of the second prompt and, spherically, of the second noise, t from 0 to 1.

    Raises ``InvalidRequest``.
    """
    seed = fields.pop("seed", None)
    first = secrets.randbelow(2**32 - 1) if seed is None else seed
    last = to_seed if to_seed is not None else secrets.randbelow(2**32 - 1)
    shares = [k / (frames - 1) for k in range(frames)]
    return [
        Request.of(prompt=start, morph_to=end, morph=t, variation=t, seed=first, variation_seed=last, **fields)
        for t in shares
    ]


def _base(output: str | None) -> Path | None:
    """Path of the strip, without ending; checked before anything is drawn."""
    if output is None:
        return None
    from limner.cli.targets import Target

    target = Target.of(output)
    return target.path / "morph" if target.folder else target.path.with_suffix("")


def _in_library(session: Session, pictures: Sequence[Picture]) -> Path:
    return session.settings.library_root / "morphs" / str(pictures[0].id)


def _write(made: Sequence[Picture], telling: Telling, base: Path, marking: Marking) -> None:
    from limner.cli.console import out
    from limner.cli.strips import animation, strip
    from limner.disk import write_atomic
    from limner.marking import watermarked

    records = [picture.record for picture in made]
    marked = records[0].marks != "none"
    pictures = [watermarked(picture.pixels, picture.record, gentle=marking.gentle)[0] for picture in made]
    strip_path, animation_path = base.with_name(base.name + ".png"), base.with_name(base.name + ".webp")
    shown = (strip_path, strip(pictures, marked=marked)), (animation_path, animation(pictures, marked=marked))
    for path, data in shown:
        signed, notices = marking.composed(data, "png" if path is strip_path else "webp", records)
        for notice in notices:
            telling.warn(notice.message)
        write_atomic(path, signed)
    if telling.json:
        out(json.dumps({"strip": str(strip_path), "animation": str(animation_path)}, ensure_ascii=False))
        return
    out(str(strip_path))
    out(str(animation_path))
    if telling.show:
        from limner.cli.terminal import show

        show(strip_path)
