"""``limner replay``: draw a picture again from its Record or another program's settings, and say how near it came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from limner.cli.marks import marks_options
from limner.cli.options import safety_option

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.session import Replay, Session
    from limner.session.foreign import Restored
    from limner.session.ledger import Told


@click.command(name="replay")
@click.argument("picture", metavar="IMAGE")
@click.option("-m", "--model", metavar="NAME", help="for another program's picture: instead of the model it names")
@click.option("-o", "--output", metavar="PATH", help="write the picture drawn now here")
@marks_options
@click.option("--json", "as_json", is_flag=True, help="one JSON object on stdout")
@click.option("--offline", is_flag=True, help="never touch the network")
@safety_option
@click.option("--any-weights", is_flag=True, help="also where the model's files are not those of then")
def command(
    picture: str,
    model: str | None,
    output: str | None,
    marks: str | None,
    metadata: str | None,
    as_json: bool,
    offline: bool,
    any_weights: bool,
) -> int:
    """Draw a picture of yours again: identical, near or different, and why. Nothing is kept.

    IMAGE is a file, or a picture of the library: its id, "last", or @2 for the one before the last. A file of
    AUTOMATIC1111's web UI, of ComfyUI, InvokeAI or Fooocus is drawn from the settings in it, and each is said to be
    honoured, approximated or not honoured.

    Exit code 0 for identical or near, 1 for different.
    """
    from limner.cli.targets import Target

    target = Target.of(output) if output is not None else None
    from limner.cli.drawing import Telling
    from limner.errors import InvalidRequest
    from limner.session import Session

    with Session(keep=False, offline=True if offline else None, marks=marks, metadata=metadata) as session:
        telling = Telling(json=as_json)
        if (restored := session.restored(picture, model)) is not None:
            found = drawn_from(session, picture, restored, telling)
        elif model is not None:
            raise InvalidRequest("model: this picture's Record says its model", field="model", hint="leave -m out")
        else:
            found = drawn_again(session, picture, telling, any_weights=any_weights)
    copy = target.write(found.image, "1") if target is not None else None
    if as_json:
        _json(found, None if copy is None else str(copy))
    else:
        _tell(found)
        if copy is not None:
            click.echo(str(copy))
    return 1 if found.verdict == "different" else 0


def drawn_again(session: Session, picture: str, telling: Telling, *, any_weights: bool = False) -> Replay:
    """As ``Session.replay``, with progress, and on another device where the one of then is not here."""
    from limner.cli.downloading import fetch
    from limner.cli.drawing import Follower
    from limner.image import Image
    from limner.library.files import decode
    from limner.models.upscaling.family import NAME as UPSCALING
    from limner.session.replay import compare, is_lossless, request_of

    record, path = session.record_of(picture)
    before = decode(path)
    if record.recipe.family != UPSCALING:
        session.review(request_of(record))
        fetch(session, request_of(record).model, telling)
    planned = session.plan_again(record, any_weights=any_weights)
    follower = Follower(telling, total=1, silent=True)
    with follower.watching():
        made = follower.follow(session.run(planned))
    image = made[0]
    assert isinstance(image, Image)
    return compare(before, record, image, lossless=is_lossless(path))


def drawn_from(session: Session, picture: str, restored: Restored, telling: Telling) -> Replay:
    """Another program's picture, drawn from its settings, with progress."""
    from limner.cli.downloading import fetch
    from limner.cli.drawing import Follower
    from limner.image import Image
    from limner.library.files import decode
    from limner.session.replay import compare_foreign

    before = decode(session.file_of(picture))
    session.review(restored.request)
    fetch(session, restored.request.model, telling)
    follower = Follower(telling, total=1, silent=True)
    with follower.watching():
        image = follower.follow(session.generate(restored.request, literal=True))[0]
    assert isinstance(image, Image)
    return compare_foreign(before, restored, image)


def _json(found: Replay, copy: str | None) -> None:
    from limner.cli.console import out

    said: dict[str, object] = {
        "verdict": found.verdict,
        "mean": found.mean,
        "most": found.most,
        "reasons": list(found.reasons),
    }
    if found.told:
        said["fields"] = [told._asdict() for told in found.told]
    out(json.dumps(said | {"copy": copy, "pixel_hash": found.image.record.pixel_hash}, ensure_ascii=False))


def _tell(found: Replay) -> None:
    from limner.cli.console import out, say

    out(_verdict(found))
    if found.told:
        _tell_settings(found.told)
        return
    for reason in found.reasons:
        say(f"  {reason}")
    if found.verdict != "identical" and not found.reasons:
        say("  nothing recorded differs; the file's pixels may have been changed since")


def _tell_settings(told: Sequence[Told]) -> None:
    """What became of another program's settings: the honoured by name, of the others why."""
    from limner.cli.console import clean, say

    honoured = dict.fromkeys(each.name for each in told if each.fate == "honoured")
    say(f"  honoured: {clean(', '.join(honoured))}")
    for each in told:
        if each.fate != "honoured":
            value = each.value if len(each.value) <= 60 else each.value[:57] + "..."
            say(f"  {each.fate}: {clean(each.name)} {clean(value)} ({clean(each.why)})")


def _verdict(found: Replay) -> str:
    if found.verdict == "identical":
        return "identical: the same pixels"
    if found.mean is None:
        return f"{found.verdict}: the sizes differ"
    return f"{found.verdict}: {found.mean:g}/255 apart on average, {found.most} at most"
