"""``limner score IMAGE...``: how well pictures fit words, or what they are by themselves, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from limner import registry
from limner.errors import InvalidRequest, UnknownName

if TYPE_CHECKING:
    from limner.cli import score_told
    from limner.session import Session
    from limner.session.scoring_subjects import Subject

EPILOG = (
    "Scores of pictures in your library are kept there: limner gallery --sort score:NAME lists the best first, "
    "limner gallery show ID says all of one. Numbers of different texts are not to be compared where a scorer says so."
)


@click.command("score", epilog=EPILOG)
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("-t", "--text", metavar="TEXT", help="the words to score against; else each picture's own prompt")
@click.option("--from-record", is_flag=True, help="each picture's own prompt, said outright")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="by this scorer; may be repeated")
@click.option(
    "--reference", "references", multiple=True, metavar="IMAGE", help="for metrics of sets: compare with these"
)
@click.option("--force", is_flag=True, help="also pictures of unknown origin, by scorers of one world; flagged")
@click.option("--json", "as_json", is_flag=True, help="as JSON")
def command(
    images: tuple[str, ...],
    text: str | None,
    from_record: bool,
    metrics: tuple[str, ...],
    references: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> int:
    """Score pictures: each by itself or against words; several together for metrics of sets.

    IMAGE is a file, or a picture of the library: its id, "last", or @2 for the one before the last. Without --metric
    the scorer that is made for such pictures is taken, and said.
    """
    _check_words(text, from_record=from_record)
    for name in metrics:
        if name not in registry.names("metrics"):
            raise UnknownName("metric", name, registry.names("metrics"))
    from limner.cli import score_told
    from limner.session import Session

    with Session() as session:
        found = session.scoring.subjects(images)
        chosen = {name: session.scoring.metric(name).card for name in dict.fromkeys(metrics)}
        sets = [name for name, card in chosen.items() if card.takes == "set"]
        single = [name for name in chosen if name not in sets]
        if references and not sets:
            raise InvalidRequest(
                "--reference is for metrics of sets, and none is named", hint="limner metrics lists them"
            )
        rows: list[score_told.Row] = []
        for names, places in _groups(session, found, single) if single or not sets else ():
            rows += _scored(session, names, [(images[k], found[k]) for k in places], text, force=force)
        rows.sort(key=lambda row: images.index(row.given))
        together = [session.measure(found, name, reference=references, force=force) for name in sets]
    score_told.show(rows, together, len(found), len(references), as_json=as_json)
    return score_told.exit_code(rows)


def _check_words(text: str | None, *, from_record: bool) -> None:
    if text is not None and from_record:
        raise InvalidRequest("text: both --text and --from-record were given", field="text", hint="give one of them")
    if text is not None and not text.strip():
        raise InvalidRequest("text: it is empty", field="text", hint="leave --text out for each picture's own prompt")


def _groups(session: Session, found: Sequence[Subject], names: Sequence[str]) -> list[tuple[Sequence[str], list[int]]]:
    """Which pictures are scored by which metrics: all by those named, else each by its world's own. Says the latter."""
    if names:
        return [(names, list(range(len(found))))]
    from limner.cli.console import say
    from limner.evaluate.defaults import panel
    from limner.models.machine import probe

    worlds: dict[str | None, list[int]] = {}
    whole = [k for k, subject in enumerate(found) if not subject.damaged]
    for k in whole:
        worlds.setdefault(session.scoring.world_of(found[k]), []).append(k)
    damaged = [k for k, subject in enumerate(found) if subject.damaged]
    worlds.setdefault(next(iter(worlds), None), []).extend(damaged)  # told with the others
    machine = probe()
    device = machine.devices()[0]
    groups: list[tuple[Sequence[str], list[int]]] = []
    for world, places in worlds.items():
        search = panel(world, device, machine).search
        say(f"{world or 'pictures of unknown origin'}: scored by {', '.join(search)} (--metric chooses)", dim=True)
        groups.append((search, places))
    return groups


def _scored(
    session: Session, names: Sequence[str], pictures: Sequence[tuple[str, Subject]], text: str | None, *, force: bool
) -> list[score_told.Row]:
    from limner.cli import score_told
    from limner.cli.console import say
    from limner.session.scoring import Failures

    found = [subject for _, subject in pictures]
    if text is None and any(session.scoring.metric(name).card.takes == "picture and text" for name in names):
        say("no --text: each picture is scored against its own prompt", dim=True)
    failures: Failures = {}
    with score_told.progress(len(found)) as done:
        scores = session.score(found, text, names, force=force, failures=failures, progress=done)
    return [
        score_told.Row(
            given,
            subject,
            subject.words if text is None else text,
            names,
            tuple(scores[k]),
            {name: error for (place, name), error in failures.items() if place == k},
        )
        for k, (given, subject) in enumerate(pictures)
    ]
