"""Which family a checkpoint is of: each one looks at the evidence and says how sure it is.

The evidence is a checkpoint's ``model_index.json``, or what stands for one. The classes it names are compared with
lists and never imported: a part that is custom Python code is refused before any family is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from limner import registry
from limner.errors import ConfigError, CorruptFile, ModelError, UnsafeFile
from limner.models.family import Family
from limner.models.resolving.layout import INDEX, OTHER_MODEL, Layout, by_index

LIBRARIES = frozenset({"diffusers", "transformers"})
LEGACY = frozenset({("stable_diffusion", "StableDiffusionSafetyChecker")})  # as Stable Diffusion 1 spells it


@runtime_checkable
class Laid(Protocol):
    """A family that says itself which files its checkpoints have. Others are laid out as their index says."""

    def layout(self, index: Mapping[str, object]) -> Layout:
        """The layout of a checkpoint with this ``model_index.json``. Torch-free."""
        ...


@runtime_checkable
class Arranges(Protocol):
    """A family that knows folders of its own, which have no ``model_index.json``."""

    def arrange(self, found: Mapping[str, Path], where: str) -> dict[str, Path] | None:
        """The files to use of those ``found``, by the family's own names; ``None`` where they are not its own. Raises
        ``ModelError`` where they are, and something is amiss. Torch-free."""
        ...


def load(name: str) -> Family:
    """The family of that name, made anew: families hold no state. Raises ``UnknownName``, ``ConfigError``."""
    made = registry.load("families", name)
    family = made() if callable(made) else None
    if family is None or not hasattr(family, "course"):
        raise ConfigError(f"the family {name!r} is not one", hint="it needs the methods of limner.models.family.Family")
    result: Family = family
    return result


def recognise(index: Mapping[str, object], where: str) -> tuple[str, Layout]:
    """The family that is surest of a ``model_index.json`` and takes all its parts, and the files it wants.

    Raises ``UnsafeFile`` for custom code, ``CorruptFile`` for what is no index, ``ModelError`` where no family takes
    it.
    """
    refuse_code(index, where)
    pipeline = index.get("_class_name")
    if not isinstance(pipeline, str):
        raise CorruptFile(f"{where}: {INDEX} names no pipeline class", hint=OTHER_MODEL)
    refused: ModelError | None = None
    for name, family in _surest(index):
        found = layout_of(family, index)
        fault = _foreign_part(index, found)
        if fault is None:
            return name, found
        refused = refused or ModelError(f"{where}: {fault}, which Limner does not know", hint=OTHER_MODEL)
    raise refused or ModelError(f"{where} is a {pipeline}, which Limner cannot draw with", hint=OTHER_MODEL)


def arranged(found: Mapping[str, Path], where: str) -> tuple[str, dict[str, Path]] | None:
    """The family whose own kind of folder this is, and its files. Raises what the family does."""
    for name in registry.names("families"):
        family = load(name)
        if isinstance(family, Arranges) and (used := family.arrange(found, where)) is not None:
            return name, used
    return None


def layout_of(family: Family, index: Mapping[str, object]) -> Layout:
    """The files that a family wants of a checkpoint with this index."""
    return family.layout(index) if isinstance(family, Laid) else by_index(index)


def _surest(index: Mapping[str, object]) -> Iterator[tuple[str, Family]]:
    families = {name: load(name) for name in registry.names("families")}
    scores = {name: family.recognise(index) for name, family in families.items()}
    for name in sorted((name for name, score in scores.items() if score > 0), key=lambda name: -scores[name]):
        yield name, families[name]


def _foreign_part(index: Mapping[str, object], layout: Layout) -> str | None:
    """What to say of the first part whose class the layout does not take."""
    for part in layout.parts:
        said = index.get(part.name)
        if isinstance(said, list) and re.fullmatch(part.classes, str(said[1])) is None:
            return f"its {part.name} is a {said[1]}"
    return None


def refuse_code(index: Mapping[str, object], where: str) -> None:
    """Refuse an index that names code of its own. Raises ``UnsafeFile``; ``CorruptFile`` for a part it does not name
    as it should."""
    for part, said in index.items():
        if not part.startswith("_") and isinstance(said, list):
            _check_class(part, said, where)
    if isinstance(index.get("_class_name"), list) or "custom_pipeline" in index:
        raise UnsafeFile(f"{where} brings its own pipeline code, which Limner never runs", hint=OTHER_MODEL)


def _check_class(part: str, said: list[object], where: str) -> None:
    pair = tuple(said)
    if pair == (None, None) or pair in LEGACY:
        return
    if len(pair) != 2 or not all(isinstance(word, str) for word in pair):
        raise CorruptFile(f"{where}: {INDEX} describes {part} as {said!r:.80}", hint=OTHER_MODEL)
    library, name = str(pair[0]), str(pair[1])
    if library not in LIBRARIES or not name.isidentifier():
        raise UnsafeFile(f"{where}: its {part} is custom code ({library}.{name}), which is never run", hint=OTHER_MODEL)
