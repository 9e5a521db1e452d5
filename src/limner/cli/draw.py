"""``limner PROMPT...`` and ``limner draw PROMPT...``: pictures of a prompt, or of a file of prompts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.given import remember
from limner.cli.marks import marks_options
from limner.cli.options import Drawing, Values, fields_of, request_options
from limner.cli.remote import server_option
from limner.errors import InvalidRequest, ModelNotFound
from limner.types import Request

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.cli.targets import Target
    from limner.config import Settings
    from limner.session import Session

EPILOG = "The path of each picture goes to stdout, everything else to stderr. Ctrl-C keeps what is finished."


@click.command(name="draw", epilog=EPILOG, cls=Drawing)
@click.argument("words", nargs=-1, metavar="PROMPT...")
@request_options()
@click.option(
    "-o", "--output", metavar="PATH", help="write a copy here: a file, or a folder; the library keeps its own"
)
@click.option("--from", "file", metavar="FILE", help="prompts from a .txt, .csv, .tsv or .jsonl file, one a line")
@click.option("--again", is_flag=True, help="with --from: draw also the lines that are already drawn")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a picture on stdout, nothing else")
@click.option("--preview", is_flag=True, help="show the picture in the terminal as it forms")
@click.option("--show/--no-show", default=None, help="show the picture in the terminal; default: where stdout is one")
@click.option("--no-keep", is_flag=True, help="keep nothing in the library; needs -o")
@click.option("--no-score", is_flag=True, help="do not score the new pictures (limner score does, later)")
@click.option(
    "--rank", metavar="SCORER", help="order the pictures by a scorer of words (auto: the one for such pictures)"
)
@click.option("--offline", is_flag=True, help="never touch the network")
@marks_options
@click.option("--lock", metavar="FILE", help="only with the weights that this file names (limner models lock)")
@click.option("-q", "--quiet", is_flag=True, help="only paths and warnings")
@server_option
def command(
    words: tuple[str, ...],
    output: str | None,
    file: str | None,
    again: bool,
    as_json: bool,
    preview: bool,
    show: bool | None,
    no_keep: bool,
    no_score: bool,
    rank: str | None,
    offline: bool,
    marks: str | None,
    metadata: str | None,
    lock: str | None,
    quiet: bool,
    server: str | None,
    **values: object,
) -> int:
    """Draw pictures of a prompt. Words are joined: quotes are only needed around what your shell would change."""
    # Everything that can be wrong with the words is found before a module is imported that would take time.
    if server is not None:
        target = _server_target(values, output)
        from limner.cli.drawing import Telling
        from limner.cli.remote_drawing import draw

        telling = Telling.of(as_json=as_json, quiet=quiet, preview=preview, show=show)
        return draw(server, words, values, target, telling)
    fields = fields_of(values, keep=not no_keep)
    request, lines = None, None
    if file is None:
        request = checked_early(Request.of(prompt=" ".join(words), **fields))
    else:
        _check_file_words(words, fields)
        if rank is not None:
            raise InvalidRequest("--rank orders the pictures of one prompt, and --from brings many", field="rank")
        from limner.prompts.files import read_prompts

        lines = read_prompts(Path(file))
    several = file is not None or (request is not None and request.n > 1)
    target = _target(output, several=several, keep=not no_keep)

    from limner.cli.drawing import Telling
    from limner.session import Session

    telling = Telling.of(as_json=as_json, quiet=quiet, preview=preview, show=show)
    settings, forbidden = _settings(lock), True if offline else None
    with Session(
        settings=settings,
        keep=not no_keep,
        offline=forbidden,
        scored=not no_score,
        marks=marks,
        metadata=metadata,
    ) as session:
        remember(session, values)
        if file is not None and lines is not None:
            from limner.cli.promptfile import draw_file

            return draw_file(session, Path(file), lines, fields, target, telling, again=again)
        assert request is not None
        return draw_one(session, request, target, telling, rank=rank)


def _server_target(values: Values, output: str | None) -> Target | None:
    from limner.cli.remote import refuse_local

    refuse_local(values)
    return _target(output, several=values.get("n") not in (None, 1), keep=True)


def _settings(lock: str | None) -> Settings | None:
    """The settings under a lock; ``None`` where none is named: the Session's own."""
    from limner.config import Settings

    return None if lock is None else Settings.load().locked_by(Path(lock))


def draw_one(
    session: Session, request: Request, target: Target | None, telling: Telling, *, rank: str | None = None
) -> int:
    """Draw one request and tell of it, at last in the order that the scorer ``rank`` gives. Raises any
    ``LimnerError``."""
    from limner.cli import ranking
    from limner.cli.downloading import fetch
    from limner.cli.drawing import Follower

    session.precheck(request)
    fetch(session, request.model, telling)
    planned = session.plan(request)
    prepare(session, telling, welcome=all(plan.model.name == "pocket" for plan in planned))
    total = sum(len(plan.seeds) for plan in planned)  # request.n may be left to the settings
    follower = Follower(telling, total=total, target=None if target is None else target.numbered(total > 1))
    card = session.catalog.find(planned[0].model.name)
    scorer = None if rank is None else ranking.scorer_for(session, rank, "not known" if card is None else card.world)
    with follower.watching():
        pictures = follower.follow(session.run(planned, previews=telling.preview))
    if scorer is not None:
        ranked = ranking.rank(session, pictures, request.prompt, scorer)
        ranking.tell(ranked, scorer, as_json=telling.json)
    return 0


def prepare(session: Session, telling: Telling, *, welcome: bool = False) -> None:
    """Before the first picture: is there room to keep it; and, the very first time, the welcome."""
    if not session.keep:
        return
    from limner.cli.targets import check_library

    check_library(session.settings.library_root)
    if welcome and telling.to_people:
        from limner.cli.firstscreen import first_screen, first_time
        from limner.models.machine import probe

        if first_time(session.settings.data):
            for line in first_screen(session.catalog, probe()).splitlines():
                telling.say(line)


def checked_early(request: Request) -> Request:
    """The request, its names looked up before the slow imports. Raises ``UnknownName``, ``ModelError``,
    ``ConfigError``."""
    if request.styles:
        from limner.cli.styles import known
        from limner.config import Settings
        from limner.prompts.styles import choose

        choose(request.styles, known(Settings.load()))
    return checked(request)


def checked(request: Request) -> Request:
    """The request, its solver and model looked up where that takes no time. Raises ``UnknownName``, ``ModelError``."""
    if request.solver is not None:
        from limner.sampling.catalog import find

        find(request.solver)
    if request.model is not None:
        _check_model(request.model)
    return request


def _check_model(name: str) -> None:
    """A plain word must be a catalog's name, a path a folder that is there."""
    from limner.models.catalog import Catalog

    catalog = Catalog.load()
    if catalog.find(name.partition("@")[0]) is not None:
        return
    from limner.models.resolving.resolve import path_of

    try:
        if path_of(name) is None and re.fullmatch(r"[^/\\~.]+", name) and not _is_linked(name):
            from limner.cli.models_named import no_model

            raise no_model(name, catalog)
    except ModelNotFound:
        if not _is_linked(name):
            raise


def _is_linked(name: str) -> bool:
    from limner.config import Settings
    from limner.models.links.links import Links

    return Links(Settings.load()).find("checkpoint", name) is not None


def _check_file_words(words: tuple[str, ...], fields: dict[str, object]) -> None:
    if words:
        raise InvalidRequest(
            f"prompt: both --from and the words {' '.join(words)[:40]!r} were given",
            field="prompt",
            hint="a style (--style) adds words to every line",
        )
    checked_early(Request.of(prompt="checks the options", **fields))


def _target(output: str | None, *, several: bool, keep: bool) -> Target | None:
    if output is None:
        if not keep:
            raise InvalidRequest("--no-keep without -o would throw the picture away", hint="say where: -o picture.png")
        return None
    from limner.cli.targets import Target

    return Target.of(output, several=several)
