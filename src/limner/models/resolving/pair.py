"""A model whose parts were published as two repos: DALL-E mini, and the VQGAN that draws what it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from limner.errors import NetworkError, OfflineError
from limner.models.catalog import Card
from limner.models.dalle import files as dalle_files
from limner.models.hub.cache import RepoName, cached
from limner.models.resolving.resolved import Means, Resolved, resolved
from limner.types import Notice


def from_pair(repo: RepoName, card: Card, companion: str, means: Means) -> Resolved:
    """The files of both, the second at a commit of its card's. Raises ``ModelError``."""
    if means.offline or (repo.pinned and dalle_files.are_here(_cached_files(repo), companion)):
        used, commit = dalle_files.from_cache(repo, companion, means.hashes, card.name)
        return resolved(card, _root(used), used, means, commit=commit)
    try:
        used, commit = dalle_files.fetch(repo, companion, means.hashes, means.report)
    except NetworkError as error:
        try:
            found = from_pair(repo, card, companion, replace(means, offline=True))
        except OfflineError:
            raise error from None
        message = f"{error.message}; drawing with the copy from {str(found.ref.commit)[:10]} on this machine"
        return replace(found, notices=(*found.notices, Notice(code="hub-unreachable", message=message)))
    return resolved(card, _root(used), used, means, commit=commit)


def _root(used: Mapping[str, Path]) -> Path:
    return used[f"{dalle_files.MODEL}/config.json"].parent


def _cached_files(repo: RepoName) -> Mapping[str, Path]:
    there = cached(repo)
    return {} if there is None else there.files()
