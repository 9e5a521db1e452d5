"""A model's licence restrictions, told once before it is first used; nobody is asked to agree, and nothing waits."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.canonical import content_hash
from limner.disk import write_atomic
from limner.errors import LimnerError

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.models.catalog import Card

TOLD = "terms.json"


def tell_once(card: Card, data: Path, telling: Telling) -> None:
    """Say what a model's licence asks for, where it asks for anything, and remember that it was said.

    With --json it is one JSON object on stderr; with
    --quiet nothing is said, and the next use says it.
    """
    said = terms(card)
    if said is None or telling.quiet:
        return
    digest = content_hash(said)
    known = _told(data)
    if known.get(card.name) == digest:
        return
    if telling.json:
        click.echo(json.dumps({"notice": {"code": "licence", "message": said}}, ensure_ascii=False), err=True)
    else:
        telling.say(f"{said} (said once)")
    with suppress(OSError, LimnerError):  # told again next time
        data.mkdir(parents=True, exist_ok=True)
        write_atomic(data / TOLD, json.dumps({**known, card.name: digest}, indent=1, sort_keys=True).encode())


def terms(card: Card) -> str | None:
    """A model's restrictions in a sentence; ``None`` where its licence has none."""
    if not card.restrictions and not card.gated:
        return None
    page = f"; in full: https://huggingface.co/{card.repo}" if card.repo else ""
    gated = "; its terms are accepted on its page" if card.gated else ""
    asked = f": {card.restrictions}" if card.restrictions else ""
    return f"{card.name} is under {card.licence}{asked}{gated}{page}"


def _told(data: Path) -> dict[str, str]:
    try:
        found: object = json.loads((data / TOLD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
