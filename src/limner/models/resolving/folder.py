"""A model in a folder of the user's, or inside the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from limner.errors import ModelNotFound
from limner.models.catalog import Card
from limner.models.resolving import families
from limner.models.resolving.layout import INDEX
from limner.models.resolving.resolved import Means, Resolved, in_folder, reduced, resolved, short, unknown_card


def from_folder(folder: Path, means: Means) -> Resolved:
    """A folder that the user names. Raises ``ModelError``."""
    found, where = tree(folder), str(folder)
    if (arranged := own_kind(found, where)) is not None:
        family, used = arranged
        return resolved(unknown_card(short(folder), family, used, folder=folder), folder, used, means)
    seen = in_folder(found, where)
    used = {name: found[name] for name in seen.need.names}
    card = unknown_card(short(folder), seen.family, used, folder=folder)
    return resolved(card, folder, used, means, notices=reduced(card, seen.need))


def from_card(card: Card, folder: Path, means: Means) -> Resolved:
    """A folder that a card names, and the LoRA that the card lays over it. Raises ``ModelError``."""
    found = tree(folder)
    for path in card.worn().values():
        if not path.is_file():
            raise ModelNotFound(f"{card.name} has no {path.name}", hint="install Limner again")
    if (arranged := own_kind(found, card.name)) is not None:
        return resolved(card, folder, arranged[1] | card.worn(), means)
    need = in_folder(found, card.name).need
    used = {name: found[name] for name in need.names} | card.worn()
    return resolved(card, folder, used, means, notices=reduced(card, need))


def own_kind(found: Mapping[str, Path], where: str) -> tuple[str, dict[str, Path]] | None:
    """The family and its files where this is no diffusers folder but a kind that a family has of its own. Raises what
    the family does."""
    return None if INDEX in found else families.arranged(found, where)


def tree(folder: Path) -> Mapping[str, Path]:
    """Files one folder deep, which is where a diffusers folder has all of its own."""
    try:
        found = [*(p for p in folder.iterdir() if p.is_file()), *(p for p in folder.glob("*/*") if p.is_file())]
    except OSError as error:
        raise ModelNotFound(f"{folder} cannot be read: {error.strerror}", hint="check the path") from None
    return {path.relative_to(folder).as_posix(): path for path in found}
