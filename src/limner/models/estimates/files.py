"""A model as far as planning needs it: the small files that say what it is, its weights only as names, sizes, hashes.

What is wholly on this machine is resolved as for drawing. Of a hub repo that is not, the configs and the tokenizer are
fetched (checked as always); for the weights the hub's listing has sizes and hashes, so that even the identity of the
pictures is known before a byte of them has come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from limner.config import Settings
from limner.errors import ModelNotFound, NetworkError, OfflineError
from limner.models.catalog import Card, Catalog
from limner.models.dalle import files as dalle_files
from limner.models.family import Files
from limner.models.hashes import Hashes
from limner.models.hub import repo as hub
from limner.models.hub.cache import RepoName, cached, repo_name
from limner.models.links.links import Links
from limner.models.links.lock import in_force
from limner.models.resolving.hub import listed
from limner.models.resolving.resolve import Resolved, locked_name, path_of, resolve
from limner.models.resolving.resolved import reduced, root_of, unknown_card
from limner.models.stored import part_bytes
from limner.types import ModelRef, Notice

WEIGHTS = (".safetensors", ".msgpack")


@dataclass(frozen=True, slots=True)
class Outline:
    """``resolved`` has paths only for files that are here. ``sizes``: bytes of all its weight files, by name.
    ``to_fetch``: bytes that drawing would download."""

    resolved: Resolved
    sizes: Mapping[str, int]
    to_fetch: int = 0


@dataclass(slots=True)
class _Found:
    """Files of one or two repos as they are collected."""

    paths: dict[str, Path] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    to_fetch: int = 0

    def add(self, listing: hub.Listing, names: tuple[str, ...], hashes: Hashes, prefix: str = "") -> None:
        """Fetch the small ones of the needed files; take the rest from the listing."""
        there = cached(RepoName(listing.name.repo, listing.commit))
        held = {} if there is None else there.files()
        small = [name for name in names if not name.endswith(WEIGHTS) or listing.files[name].sha256 is None]
        for name, path in hub.fetch(listing, small, hashes).items():
            self.paths[prefix + name] = path
            self.hashes[prefix + name] = hashes.of([path])[path]
        for name in set(names) - set(small):
            remote = listing.files[name]
            self.sizes[prefix + name] = remote.size
            self.hashes[prefix + name] = f"sha256:{remote.sha256}"
            if name in held:
                self.paths[prefix + name] = held[name]
        self.to_fetch += hub.bytes_to_fetch(listing, names)


def outline(name: str, settings: Settings, catalog: Catalog, *, offline: bool = False) -> Outline:
    """What planning needs of a model, fetching small files only. Raises what ``resolve`` does; ``OfflineError`` where
    the network is forbidden and the model is not here."""
    repo, card = _repo_of(locked_name(name, settings, catalog), settings, catalog)
    if repo is None or offline or settings.offline:
        return _here(name, settings, catalog, offline=offline)
    hashes = Hashes(settings.cache_root)
    try:
        found = _of_hub(repo, card, hashes)
    except NetworkError as error:
        try:
            return _here(name, settings, catalog, offline=True)
        except OfflineError:
            raise error from None
    if not found.to_fetch:
        return _here(name, settings, catalog, offline=offline)
    if (lock := in_force(settings)) is not None:
        lock.check(found.resolved.ref)
    return found


def _here(name: str, settings: Settings, catalog: Catalog, *, offline: bool) -> Outline:
    found = resolve(name, settings, catalog, offline=offline)
    return Outline(found, _stored(found.files))


def _of_hub(repo: RepoName, card: Card | None, hashes: Hashes) -> Outline:
    if card is not None and card.companion is not None:
        return _pair(repo, card, card.companion, hashes)
    listing = hub.look_up(repo)
    seen = listed(listing, hashes, None if card is None else card.variant)
    collected = _Found()
    collected.add(listing, seen.need.names, hashes)
    hub.remember_revision(listing)
    called = repo.repo if repo.revision == "main" else f"{repo.repo}@{repo.revision}"
    shown = card or unknown_card(called, seen.family, collected.paths, repo=repo.repo, commit=listing.commit)
    return _outline(shown, collected, listing.commit, reduced(shown, seen.need))


def _repo_of(name: str, settings: Settings, catalog: Catalog) -> tuple[RepoName | None, Card | None]:
    plain, _, revision = name.strip().partition("@")
    if (card := catalog.find(plain)) is not None:
        return (RepoName(card.repo, revision or card.commit or "main") if card.repo else None), card
    elsewhere = Links(settings).find("checkpoint", name) is not None or path_of(name) is not None
    return (None if elsewhere else repo_name(name.strip())), None


def _pair(repo: RepoName, card: Card, companion: str, hashes: Hashes) -> Outline:
    """A model whose parts are two repos."""
    second = repo_name(companion)
    assert second is not None, companion
    collected, commit = _Found(), None
    for part, each in ((dalle_files.VQGAN, second), (dalle_files.MODEL, repo)):
        listing = hub.look_up(each)
        names = dalle_files.complete(listing.files, part)
        if not names:
            raise ModelNotFound(
                f"{each.repo} has not the files of DALL-E mini's {part}", hint="choose another revision"
            )
        collected.add(listing, names, hashes, f"{part}/")
        commit = listing.commit
    return _outline(card, collected, commit, ())


def _outline(card: Card, found: _Found, commit: str | None, notices: tuple[Notice, ...]) -> Outline:
    names = {name: value for name, value in found.hashes.items() if not name.endswith(".index.json")}
    ref = ModelRef(name=card.name, family=card.family, repo=card.repo, commit=commit, files=names)
    files = Files(root_of(found.paths), found.paths)
    return Outline(Resolved(card, files, ref, notices), found.sizes, found.to_fetch)


def _stored(files: Files) -> dict[str, int]:
    """Bytes by file; of a single file that holds all parts, those of the part each name stands for."""
    found = {name: path for name, path in files.paths.items() if name.endswith(WEIGHTS)}
    shared = len(set(found.values())) < len(found)
    return {n: part_bytes(n.split("/")[0], p) if shared else p.stat().st_size for n, p in found.items()}
