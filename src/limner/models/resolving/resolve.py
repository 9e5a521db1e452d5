"""From a model's name to its files: a catalog name, a folder or file, a linked file's name or a hub repo
``org/name[@revision]``, all found one way.

The files that decide pixels (weights, configs, tokenizer, scheduler) are hashed, and the hashes name the weights. No
code of a checkpoint is ever imported or run.
"""

from __future__ import annotations

import re
from pathlib import Path

from limner.config import Settings
from limner.errors import ModelNotFound, UnknownName
from limner.models.catalog import Card, Catalog
from limner.models.dalle import files as dalle_files
from limner.models.hashes import Hashes
from limner.models.hub import repo as hub
from limner.models.hub.cache import RepoName, repo_name
from limner.models.links.links import Links
from limner.models.links.lock import Lock, in_force
from limner.models.resolving import hub as resolve_hub
from limner.models.resolving.file import SUFFIXES, from_file, refuse_other
from limner.models.resolving.folder import from_card, from_folder
from limner.models.resolving.layout import PICKLES
from limner.models.resolving.resolved import Means, Resolved
from limner.types import ModelRef

__all__ = ["Resolved", "download_bytes", "folder_of", "locked_name", "path_of", "pinned", "resolve"]

PATH_LIKE = re.compile(r"^([.~/\\]|[A-Za-z]:[\\/])|\\")


def resolve(
    name: str,
    settings: Settings,
    catalog: Catalog,
    *,
    offline: bool = False,
    folders: bool = True,
    report: hub.Report | None = None,
    lock: Lock | None = None,
) -> Resolved:
    """Find a model's files, fetching what is missing. A catalog name may carry a revision too: ``sd15@COMMIT``.

    ``offline`` forbids the network, as ``settings.offline`` does; ``folders=False`` refuses paths (names that came over
    HTTP), but not the names of linked files. ``report`` hears of downloaded bytes. ``lock`` (unset: the settings' own,
    where they have one) names the commit that is taken, and other weights than its own are refused.

    Raises ``UnknownName``, ``ModelNotFound``, ``UnsafeFile``, ``CorruptFile``, ``MismatchedWeights``, ``NetworkError``,
    ``OfflineError``, ``StorageError``.
    """
    plain = name.strip().partition("@")[0]
    card = catalog.find(plain)
    lock = in_force(settings) if lock is None else lock
    if lock is not None:
        name = lock.pin(name, card.repo if card else None)
    means = Means(
        catalog,
        Hashes(settings.cache_root),
        settings.cache_root,
        offline or settings.offline,
        report,
        settings.predictions(),
    )
    found = _find(name, card, settings, means, folders=folders)
    if lock is not None:
        lock.check(found.ref)
    return found


def _find(name: str, card: Card | None, settings: Settings, means: Means, *, folders: bool) -> Resolved:
    if card is not None:
        return _from_card(card, name.strip().partition("@")[2], means)
    try:
        path = path_of(name) if folders else None
    except ModelNotFound:
        path = None
        if Links(settings).find("checkpoint", name) is None:
            raise
    if path is not None:
        return from_folder(path, means) if path.is_dir() else from_file(path, means)
    if (linked := Links(settings).find("checkpoint", name)) is not None:
        return from_folder(linked, means) if linked.is_dir() else from_file(linked, means, name=name.strip())
    repo = repo_name(name.strip())
    if repo is None:
        raise UnknownName("model", name, means.catalog.known(), listed=means.catalog.names())
    return resolve_hub.from_hub(repo, None, means)


def pinned(ref: ModelRef) -> str:
    """The name that resolves to the same weights later, without asking the hub what is newest."""
    return ref.name if ref.commit is None else f"{ref.name.partition('@')[0]}@{ref.commit}"


def locked_name(name: str, settings: Settings, catalog: Catalog) -> str:
    """The name with the commit behind it that the lock in force names, if it does."""
    lock = in_force(settings)
    card = catalog.find(name.strip().partition("@")[0])
    return name if lock is None else lock.pin(name, card.repo if card else None)


def download_bytes(name: str, settings: Settings, catalog: Catalog, *, offline: bool = False) -> int:
    """Bytes that ``resolve`` would fetch; small config files may be fetched to find out. Raises as ``resolve`` does."""
    name = locked_name(name, settings, catalog)
    card = catalog.find(name.strip().partition("@")[0])
    revision = name.strip().partition("@")[2]
    repo = RepoName(card.repo, revision or card.commit or "main") if card and card.repo else repo_name(name.strip())
    if repo is None or (card and not card.repo) or offline or settings.offline:
        return 0
    if card is None and (Links(settings).find("checkpoint", name) is not None or path_of(name) is not None):
        return 0
    if card is not None and card.companion is not None:
        return dalle_files.bytes_to_fetch(repo, card.companion)
    listing = hub.look_up(repo)
    if (single := resolve_hub.single_file(listing.files)) is not None:
        return hub.bytes_to_fetch(listing, [single])
    return hub.bytes_to_fetch(
        listing, resolve_hub.listed(listing, Hashes(settings.cache_root), card.variant if card else None).need.names
    )


def _from_card(card: Card, revision: str, means: Means) -> Resolved:
    if card.repo is not None:
        return resolve_hub.from_hub(RepoName(card.repo, revision or card.commit or "main"), card, means)
    place = card.asset_path() if card.built_in else Path(card.folder or "")
    return from_file(place, means, card=card) if place.is_file() else from_card(card, place, means)


def path_of(name: str) -> Path | None:
    """The folder or checkpoint file that a model's name means, if it means one.

    Raises ``ModelNotFound`` for a path where nothing is and for a file that is no model, ``UnsafeFile`` for a pickle.
    """
    text = name.strip()
    try:
        path = Path(text).expanduser()
        folder, file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError, ValueError):  # too long for a path, no such user, a null character
        return None
    if folder and text:
        return path.absolute()
    if file:
        if path.suffix.lower() not in SUFFIXES:
            refuse_other(path)
        return path.absolute()
    if PATH_LIKE.search(text) or text.lower().endswith((*PICKLES, *SUFFIXES)):
        kind = "file" if text.lower().endswith((*PICKLES, *SUFFIXES)) else "folder"
        raise ModelNotFound(f"there is no {kind} {text!r}", hint="check the path; limner models list shows known names")
    return None


folder_of = path_of
