"""Asking the hub which text-to-image models it has: the only question to it that is about no model the user named."""

from __future__ import annotations

from dataclasses import dataclass

from limner.models.hub.cache import RepoName
from limner.models.hub.errors import translated
from limner.models.hub.reach import check_name, endpoint, quiet
from limner.models.hub.repo import licence_of

PIPELINE = "diffusers:"


@dataclass(frozen=True, slots=True)
class Found:
    """A repo of the hub. ``pipeline`` is the diffusers class it is laid out for, empty where it is not. ``licence`` is
    empty where its page names none; ``downloads`` counts those of the last month."""

    repo: str
    pipeline: str
    licence: str
    gated: bool
    downloads: int


def search(words: str, limit: int = 20) -> tuple[Found, ...]:
    """Text-to-image repos whose names match, the most downloaded first. Raises ``NetworkError``, ``OfflineError``."""
    check_name("the search")
    from huggingface_hub import HfApi

    with translated(RepoName("the search")), quiet():
        infos = HfApi(endpoint=endpoint()).list_models(
            search=words, pipeline_tag="text-to-image", sort="downloads", limit=limit, full=True
        )
        return tuple(
            Found(
                info.id,
                next((tag.removeprefix(PIPELINE) for tag in info.tags or () if tag.startswith(PIPELINE)), ""),
                licence_of(info),
                bool(info.gated),
                info.downloads or 0,
            )
            for info in infos
        )
