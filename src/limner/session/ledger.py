"""What is known of another program's picture: settings left to read, fields of a Request, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from limner.library.a1111 import Value
from limner.library.metadata import Found

Fate: TypeAlias = Literal["honoured", "approximated", "not honoured"]


class Told(NamedTuple):
    """One setting of the picture and what became of it."""

    name: str
    value: str
    fate: Fate
    why: str = ""


@dataclass
class Ledger:
    """One picture's settings being read. ``webui``: the program samples as the web UI does."""

    found: Found
    webui: bool = False
    fields: dict[str, object] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    left: dict[str, Value] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return self.found.source

    @property
    def said(self) -> Mapping[str, Value]:
        """All that the file says, whether it was read yet or not."""
        return self.found.fields

    def say(self, name: str, value: object, fate: Fate = "honoured", why: str = "") -> None:
        self.told.append(Told(name, str(value), fate, why))

    def take(self, name: str) -> Value | None:
        return self.left.pop(name, None)
