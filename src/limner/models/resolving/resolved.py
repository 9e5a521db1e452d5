"""What resolving draws on and answers, and what its ways (folder, file, hub, cache) have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from limner.errors import ModelNotFound, UnsafeFile
from limner.models.catalog import Card, Catalog
from limner.models.family import Files
from limner.models.hashes import Hashes
from limner.models.hub import repo as hub
from limner.models.inspect import CONVERT_HINT, read_json
from limner.models.resolving import agreement, families
from limner.models.resolving.layout import INDEX, PICKLES, Needed, ReadJson, needed
from limner.types import ModelRef, Notice


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model ready to be planned with: its card, its files on this machine, and which weights exactly."""

    card: Card
    files: Files
    ref: ModelRef
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Means:
    """What resolving draws on. ``cache`` is Limner's own cache folder; ``predictions`` are what the user said a model
    predicts, by the name it is given."""

    catalog: Catalog
    hashes: Hashes
    cache: Path
    offline: bool
    report: hub.Report | None
    predictions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Examined:
    """A checkpoint in the diffusers layout, known by its index: its family and the files to use."""

    family: str
    need: Needed


def examine(names: Collection[str], read: ReadJson, where: str, variant: str | None = None) -> Examined:
    """Look at a checkpoint by the names of its files, wherever they lie. ``read`` gives a JSON file's content; weights
    of the ``variant`` are preferred where one is named.

    Raises ``ModelNotFound`` where something is missing, ``UnsafeFile`` for custom code and for pickles, ``ModelError``
    for what no family takes.
    """
    if INDEX not in names:
        raise _no_index(names, where)
    family, layout = families.recognise(read(INDEX), where)
    return Examined(family, needed(names, read, where, layout, variant))


def _no_index(names: Collection[str], where: str) -> ModelNotFound | UnsafeFile:
    single = sorted(name for name in names if name.endswith(".safetensors") and "/" not in name)
    pickles = sorted(name for name in names if name.endswith(PICKLES))
    if pickles and not any(name.endswith(".safetensors") for name in names):
        return UnsafeFile(f"{where} holds pickles only, which can run code: {pickles[0]}", hint=CONVERT_HINT)
    hint = "give the top folder of a diffusers model"
    if single:
        hint = f"it holds single files; give one of them on this machine by its path: {single[0]}"
    return ModelNotFound(f"{where} has no {INDEX}", hint=hint)


def in_folder(found: Mapping[str, Path], where: str, variant: str | None = None) -> Examined:
    """As ``examine``, of files on this machine."""
    return examine(found, lambda name: read_json(found[name]), where, variant)


def unknown_card(
    name: str,
    family: str,
    used: Mapping[str, Path],
    *,
    repo: str | None = None,
    folder: Path | None = None,
    commit: str | None = None,
) -> Card:
    """A card for what the catalog does not know, from its own config files."""

    def config(*names: str) -> Mapping[str, object]:
        return next((read_json(used[name]) for name in names if name in used), {})

    return Card.for_unknown(
        name,
        family=family,
        repo=repo,
        folder=folder,
        commit=commit,
        unet=config("unet/config.json", "transformer/config.json"),
        vae=config("vae/config.json"),
        scheduler=config("scheduler/scheduler_config.json"),
        size_bytes=sum(path.stat().st_size for path in {path.resolve() for path in used.values()}),
    )


def short(path: Path) -> str:
    """A path as a name for Records, which travel in pictures: the user's own name is left out of it."""
    try:
        return "~/" + path.relative_to(Path.home()).as_posix()
    except (ValueError, RuntimeError):
        return path.as_posix()


def root_of(used: Mapping[str, Path]) -> Path:
    """The folder that the names of files are relative to."""
    name, path = next(iter(used.items()))
    return path.parents[name.count("/")]


def resolved(
    card: Card,
    root: Path,
    used: Mapping[str, Path],
    means: Means,
    *,
    commit: str | None = None,
    notices: tuple[Notice, ...] = (),
) -> Resolved:
    """The answer: every file hashed. Raises ``MismatchedWeights`` where the parts do not belong together."""
    agreement.check(card.family, used, card.name)
    hashed = means.hashes.of(used.values())
    names = {name: hashed[path] for name, path in used.items() if not name.endswith(".index.json")}
    ref = ModelRef(name=card.name, family=card.family, repo=card.repo, commit=commit, files=names)
    return Resolved(card, Files(root, dict(used)), ref, notices)


def reduced(card: Card, need: Needed) -> tuple[Notice, ...]:
    """What to say where weights are only there in fewer bits than they were trained in, unless the card wants that."""
    found = {part: variant for part, variant in need.variants.items() if variant and variant != card.variant}
    if not found:
        return ()
    variants = ", ".join(sorted(set(found.values())))
    message = f"{card.name}: {', '.join(found)} only found in reduced precision ({variants})"
    return (Notice(code="reduced-weights", message=message),)
