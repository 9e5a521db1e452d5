"""A model's licence restrictions, told once before it is first used; nobody is asked to agree, and nothing waits."""

from __future__ import annotations

import json
import re
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
_REPO = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(@\S+)?")


def tell_once(card: Card | None, name: str, data: Path, telling: Telling) -> None:
    """Say what a model's licence asks for, where it asks for anything, and remember that it was said.

    ``card`` is ``None`` for a model that the catalog does not know. With --json it is one JSON object on stderr; with
    --quiet nothing is said, and the next use says it.
    """
    said = terms(card, name)
    if said is None or telling.quiet:
        return
    key, digest = (card.name if card is not None else name), content_hash(said)
    known = _told(data)
    if known.get(key) == digest:
        return
    if telling.json:
        click.echo(json.dumps({"notice": {"code": "licence", "message": said}}, ensure_ascii=False), err=True)
    else:
        telling.say(f"{said} (said once)")
    with suppress(OSError, LimnerError):  # told again next time
        data.mkdir(parents=True, exist_ok=True)
        write_atomic(data / TOLD, json.dumps({**known, key: digest}, indent=1, sort_keys=True).encode())


def terms(card: Card | None, name: str) -> str | None:
    """A model's restrictions in a sentence; ``None`` where its licence has none, or where it is a file of one's own."""
    if card is None:
        if not _is_repo(name):
            return None
        return (
            f"{name}: Limner does not know its licence; read https://huggingface.co/{name} before you use its pictures"
        )
    if not card.restrictions and not card.gated:
        return None
    page = f"; in full: https://huggingface.co/{card.repo}" if card.repo else ""
    gated = "; its terms are accepted on its page" if card.gated else ""
    asked = f": {card.restrictions}" if card.restrictions else ""
    return f"{card.name} is under {card.licence}{asked}{gated}{page}"


def _repo(name: str) -> str:
    """The hub's name of a model that no file here goes by; empty for anything else."""
    found = _REPO.fullmatch(name)
    return "" if found is None or Path(name).expanduser().exists() else found[1]


def _told(data: Path) -> dict[str, str]:
    try:
        found: object = json.loads((data / TOLD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
