"""What a name on the command line means among models: a card, a hub repo, a folder or file, a linked one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limner.config import Settings
from limner.errors import UnknownName
from limner.models.catalog import Card, Catalog
from limner.models.hub.cache import RepoName, cached, held, repo_name
from limner.models.links.links import KINDS, Kind, Links

SHOWN = 6
USE: Mapping[Kind, str] = {
    "lora": "a LoRA; use --lora {name}",
    "vae": "a VAE; use --vae {name}",
    "embedding": "a textual inversion; write {name} in the prompt",
    "upscaler": "an upscaler; use --upscale {name}",
}


@dataclass(frozen=True, slots=True)
class Named:
    """``repo`` is set for a model of the hub, ``path`` for one that lies in a folder or file; a built-in card has its
    folder. ``kind`` is what a linked file is; ``linked`` says that the name is a linked one's."""

    name: str
    card: Card | None = None
    repo: RepoName | None = None
    path: Path | None = None
    kind: Kind = "checkpoint"
    linked: bool = False

    @property
    def companion(self) -> RepoName | None:
        """The second repo of a model that was published as two."""
        return repo_name(self.card.companion) if self.card is not None and self.card.companion else None


def named(name: str, settings: Settings, *, kinds: tuple[Kind, ...] = ("checkpoint",)) -> Named:
    """Find out, without the network and without reading weights. Raises ``UnknownName``, ``ModelNotFound``,
    ``UnsafeFile`` for a pickle that is given by its path."""
    from limner.models.resolving.resolve import path_of

    text, catalog = name.strip(), Catalog.load()
    plain, _, revision = text.partition("@")
    card = catalog.find(plain)
    if card is not None and card.repo is not None:
        return Named(card.name, card, RepoName(card.repo, revision or card.commit or "main"))
    if card is not None:
        return Named(card.name, card, path=card.asset_path() if card.built_in else Path(card.folder or ""))
    if (path := path_of(text)) is not None:
        return Named(text, path=path)
    links = Links(settings)
    for kind in kinds:
        if (path := links.find(kind, text)) is not None:
            return Named(text, path=path, kind=kind, linked=True)
    repo = repo_name(text)
    if repo is None:
        raise no_model(name, catalog)
    return Named(text, repo=repo)


def no_model(name: str, catalog: Catalog) -> UnknownName:
    """What to say of a model's name that is none: what it is, where it is a linked file's; else a few names."""
    settings = Settings.load()
    links = Links(settings)
    for kind, use in USE.items():
        if links.find(kind, name) is not None:
            return UnknownName("model", name, catalog.known(), hint=f"{name!r} is {use.format(name=name)}")
    names = catalog.names()
    listed = (*names[:SHOWN], f"and {len(names) - SHOWN} more: limner models list") if len(names) > SHOWN else names
    return UnknownName("model", name, catalog.known(), listed=listed)


def any_kind(name: str, settings: Settings) -> Named:
    """As ``named``, and LoRA, embeddings, VAEs and upscalers are found too."""
    return named(name, settings, kinds=KINDS)


def files_of(what: Named) -> Mapping[str, Path]:
    """The files of it that are on this machine, by their names in it; a companion's under its repo's name."""
    if what.repo is not None:
        by_card = what.card is not None and what.repo.revision == what.card.commit
        there = held(what.repo.repo, what.repo.revision) if by_card else cached(what.repo)
        second = None if what.companion is None else cached(what.companion)
        found = {} if there is None else dict(there.files())
        more = {} if second is None or what.companion is None else second.files()
        return found | {f"{what.companion.repo}/{name}": path for name, path in more.items() if what.companion}
    if what.path is None:
        return {}
    if what.path.is_file():
        return {what.path.name: what.path}
    found = {path.relative_to(what.path).as_posix(): path for path in what.path.rglob("*") if path.is_file()}
    found |= {} if what.card is None else {name: path for name, path in what.card.worn().items() if path.is_file()}
    return {name: path for name, path in found.items() if not any(part.startswith(".") for part in Path(name).parts)}
