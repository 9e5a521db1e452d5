"""A model of the hub: from its cache where that will do, else fetched, at a commit either way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from limner.errors import CorruptFile, ModelNotFound, NetworkError, OfflineError, UnsafeFile
from limner.models.catalog import Card
from limner.models.hashes import Hashes
from limner.models.hub import repo as hub
from limner.models.hub.cache import Cached, RepoName, cached, check, held
from limner.models.hub.errors import WITH_NETWORK
from limner.models.inspect import read_json
from limner.models.resolving.file import SUFFIXES, from_file
from limner.models.resolving.layout import INDEX
from limner.models.resolving.pair import from_pair
from limner.models.resolving.resolved import (
    Examined,
    Means,
    Resolved,
    examine,
    in_folder,
    reduced,
    resolved,
    root_of,
    unknown_card,
)
from limner.types import Notice


def from_hub(repo: RepoName, card: Card | None, means: Means) -> Resolved:
    """A repo's files at its commit. Raises ``ModelError``."""
    if card is not None and card.companion is not None:
        return from_pair(repo, card, card.companion, means)
    there = cached(repo)
    variant = None if card is None else card.variant
    if means.offline and card is not None and repo.revision == card.commit:
        there = held(repo.repo, card.commit)
    if means.offline or (repo.pinned and there is not None and _whole(there, variant)):
        return _from_cache(repo, card, there, means)
    try:
        listing = hub.look_up(repo)
    except NetworkError as error:
        if there is None or not _whole(there, variant):
            raise
        message = f"{error.message}; drawing with the copy from {there.commit[:10]} on this machine"
        made = _from_cache(repo, card, there, means)
        return replace(made, notices=(*made.notices, Notice(code="hub-unreachable", message=message)))
    if (single := single_file(listing.files)) is not None:
        words = [name for name in listing.files if name.startswith(("tokenizer/", "tokenizer_2/"))]
        path = hub.fetch(listing, [*words, single], means.hashes, means.report)[single]
        hub.remember_revision(listing)
        return _in_one_file(repo, listing.commit, path, means)
    seen = listed(listing, means.hashes, variant)
    small_first = sorted(seen.need.names, key=lambda name: (listing.files[name].size, name))
    used = hub.fetch(listing, small_first, means.hashes, means.report)
    hub.remember_revision(listing)
    shown = card or unknown_card(_name(repo), seen.family, used, repo=repo.repo, commit=listing.commit)
    return resolved(shown, root_of(used), used, means, commit=listing.commit, notices=reduced(shown, seen.need))


def single_file(names: Collection[str]) -> str | None:
    """The checkpoint of a repo that holds nothing but one, in one file; ``None`` for any other repo."""
    files = [name for name in names if name.endswith(SUFFIXES)]
    return files[0] if INDEX not in names and len(files) == 1 and "/" not in files[0] else None


def _in_one_file(repo: RepoName, commit: str, path: Path, means: Means) -> Resolved:
    """As ``from_file``, with the repo and commit that it came from."""
    made = from_file(path, means, name=_name(repo))
    return replace(made, ref=made.ref.model_copy(update={"repo": repo.repo, "commit": commit}))


def listed(listing: hub.Listing, hashes: Hashes, variant: str | None = None) -> Examined:
    """Family and needed files of a repo at its commit; fetches the small files that decide them."""
    where = listing.name.repo
    if INDEX not in listing.files:
        raise ModelNotFound(
            f"{where} has no {INDEX}",
            hint="Limner reads repos in the diffusers layout, and those of one checkpoint file; download one file and "
            "give its path",
        )

    def read(name: str) -> Mapping[str, object]:
        return read_json(hub.fetch(listing, [name], hashes)[name])

    return examine(listing.files, read, where, variant)


def _name(repo: RepoName) -> str:
    return repo.repo if repo.revision == "main" else f"{repo.repo}@{repo.revision}"


def _whole(there: Cached, variant: str | None) -> bool:
    """True where all that is needed, in full precision or the variant wanted, is in the cache: then the hub could add
    nothing."""
    if single_file(there.files()) is not None:
        return True
    try:
        need = in_folder(there.files(), "", variant).need
    except (ModelNotFound, UnsafeFile, CorruptFile):
        return False
    return all(found in ("", variant) for found in need.variants.values())


def _from_cache(repo: RepoName, card: Card | None, there: Cached | None, means: Means) -> Resolved:
    name = card.name if card is not None else _name(repo)
    hint = WITH_NETWORK.format(name=name)
    if there is None:
        raise OfflineError(f"{name} is not on this machine, and the network is forbidden", hint=hint)
    found = there.files()
    if (single := single_file(found)) is not None:
        check(found[single], means.hashes.of([found[single]])[found[single]])
        return _in_one_file(repo, there.commit, found[single], means)
    try:
        seen = in_folder(found, name, None if card is None else card.variant)
    except ModelNotFound as error:
        raise OfflineError(f"{name} is on this machine only in part: {error.message}", hint=hint) from None
    used = {each: found[each] for each in seen.need.names}
    hashed = means.hashes.of(used.values())
    for path in used.values():
        check(path, hashed[path])
    shown = card or unknown_card(name, seen.family, used, repo=repo.repo, commit=there.commit)
    notices = (*reduced(shown, seen.need), *_older(shown, there))
    return resolved(shown, there.folder, used, means, commit=there.commit, notices=notices)


def _older(card: Card, there: Cached) -> tuple[Notice, ...]:
    """What to say where the commit that is here is not the one that the card names."""
    if card.commit in (None, there.commit):
        return ()
    message = (
        f"{card.name}: drawing with {there.commit[:10]}, which is on this machine; its card names {card.commit[:10]}"
    )
    return (Notice(code="other-commit", message=message),)
