"""The provenance panel: what ``limner inspect`` says of a picture's file. Asks the disk; reads every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from limner.config import Settings
from limner.inspecting import file, marks
from limner.inspecting.facts import Fact

Sections = Sequence[tuple[str, Sequence[Fact]]]


def marks_of(path: Path, settings: Settings) -> Sections:
    """Titles and facts. Raises ``PictureNotFound``, ``UnreadablePicture``, ``StorageError``, ``ConfigError``."""
    found = file.look(path, settings)
    said = (("Marks", marks.facts(found.marks)), ("File", file.facts(found)))
    return [(title, [fact for fact in facts if fact[1] not in (None, "")]) for title, facts in said]
