"""The models that are here, by the names and hashes that the web UI's clients call them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.models.hashes import Hashes
from limner.models.links.links import Links
from limner.models.links.scan import without_suffix
from limner.serve.names import refuse_path
from limner.serve.native.lists import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from limner.serve.service import Service

SHORT = 10  # digits of a hash in a title
LEAST = 8  # digits by which a model can be asked for


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model. ``sha256``: of a single file that was hashed before; a folder has none."""

    name: str
    sha256: str | None = None

    @property
    def title(self) -> str:
        return self.name if self.sha256 is None else f"{self.name} [{self.sha256[:SHORT]}]"

    def answers_to(self, text: str) -> bool:
        if text in (self.name, self.title) or without_suffix(text).casefold() == self.name.casefold():
            return True
        return self.sha256 is not None and len(text) >= LEAST and self.sha256.startswith(text.lower())

    def told(self) -> dict[str, JsonValue]:
        """As the web UI lists it; ``filename`` is the name, for no path leaves this machine."""
        return {
            "title": self.title,
            "model_name": self.name,
            "hash": None if self.sha256 is None else self.sha256[:SHORT],
            "sha256": self.sha256,
            "filename": self.name,
            "config": None,
        }


def checkpoints(own: Service) -> tuple[Checkpoint, ...]:
    """The models on this machine, the default one first. Asks the disk."""
    known = sorted(listed(own).models, key=lambda each: not each.default)
    return (*(Checkpoint(each.name) for each in known if each.here), *_linked(own))


def found(own: Service, text: str) -> str:
    """The name by which a Request calls the model that a client calls ``text``; itself where none here answers to it.
    Asks the disk. Raises ``InvalidRequest`` for what is no name."""
    refuse_path(text, "model")
    here = next((each for each in checkpoints(own) if each.answers_to(text)), None)
    return text if here is None else here.name


def title_of(own: Service, name: str | None) -> str:
    """The title of a model by name; of the default one where there is none. Asks the disk."""
    name = name or str(own.settings.value("model").value or "pocket")
    return next((each.title for each in checkpoints(own) if each.answers_to(name)), name)


def hash_of(own: Service, title: str) -> str:
    """The hash of a model by title; empty where it is not known. Asks the disk."""
    return next((each.sha256 or "" for each in checkpoints(own) if each.title == title), "")


def _linked(own: Service) -> Iterator[Checkpoint]:
    hashes = Hashes(own.settings.cache_root)
    for name, path in Links(own.settings).entries("checkpoint").items():
        tagged = hashes.remembered(path) if path.is_file() else None
        yield Checkpoint(name, None if tagged is None else tagged.removeprefix("sha256:"))
