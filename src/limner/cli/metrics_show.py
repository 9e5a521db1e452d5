"""``limner metrics show``: all that is known of one scorer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from limner.cli.console import say
from limner.cli.sheet import out_json, sheet, size
from limner.config import Settings
from limner.evaluate.selftest import verified
from limner.evaluate.state import State, state, states


@click.command("show")
@click.argument("name", metavar="NAME")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def command(name: str, *, json_: bool) -> None:
    """What a scorer measures, on what it stands, what it may judge, and what it costs."""
    found, others = state(name), states(partial(say, warn=True))
    if json_:
        out_json(as_json(found, others))
        return
    card = found.card
    within = "pictures of one text only" if card.within_one_text else "pictures of any text"
    fit = {None: "", True: "fits this machine", False: "does not fit this machine"}[found.fits]
    t4 = {None: "", True: "fits a 16 GB T4", False: "does not fit a 16 GB T4"}[found.t4]
    limit = f"{card.token_limit} tokens; a longer text is read to there, and the score flagged"
    sheet(
        [
            ("metric", f"{card.name}: {card.title}"),
            ("scores", card.takes),
            ("scale", f"{card.scale}; {card.better} is better"),
            ("compares", "" if card.takes == "set" else within),
            ("reads", limit if card.token_limit else None),
            ("domain", card.domain),
            ("backbone", card.backbone),
            ("trained on", ", ".join(card.training_data)),
            ("may judge what these chose", ", ".join(_judges(found, others))),
            ("not independent of", "\n".join(_akin(found, others))),
            ("licence", card.licence),
            ("terms", card.restrictions),
            ("source", card.source),
            ("weights", f"{card.repo}@{card.commit[:10]}" if card.repo and card.commit else card.asset or "none"),
            ("size", size(card.size_bytes)),
            ("memory", ", ".join(filter(None, (size(card.memory_bytes), fit, t4)))),
            ("revision", card.revision),
            ("verified", verified(card, Settings.load())),
            ("here", "yes" if found.missing is None else f"no: {found.missing}"),
        ]
    )


def _judges(found: State, others: Sequence[State]) -> list[str]:
    if found.card.takes == "set":
        return []
    single = [each for each in others if each.card.takes != "set"]
    return [each.name for each in single if found.card.independent_of(each.card)]


def _akin(found: State, others: Sequence[State]) -> list[str]:
    near = [each for each in others if each.name != found.name and not found.card.independent_of(each.card)]
    return [f"{each.name}: {_shared(found, each)}" for each in near]


def _shared(one: State, other: State) -> str:
    mine, theirs = ({each.card.backbone, *each.card.training_data} - {""} for each in (one, other))
    return ", ".join(sorted(mine & theirs))


def as_json(found: State, others: Sequence[State]) -> dict[str, object]:
    """The card, with what this machine adds to it."""
    independent = [each.name for each in others if found.card.independent_of(each.card)]
    return {
        **found.card.model_dump(),
        "verified": verified(found.card, Settings.load()),
        "here": found.missing is None,
        "missing": found.missing,
        "fetch_bytes": found.fetch,
        "fits": found.fits,
        "fits_t4": found.t4,
        "independent_of": independent,
    }
