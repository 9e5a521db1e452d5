"""From a model's name to its files: a catalog name, a hub repo ``org/name[@revision]`` or a folder, all found one way.

The files that decide pixels (weights, configs, tokenizer, scheduler) are hashed, and the hashes name the weights. No
code of a checkpoint is ever imported or run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from limner.config import Settings
from limner.errors import CorruptFile, ModelNotFound, NetworkError, OfflineError, UnknownName, UnsafeFile
from limner.models import dalle_files, hub, layout
from limner.models.catalog import Card, Catalog
from limner.models.family import Files
from limner.models.hashes import Hashes
from limner.models.hub_cache import Cached, RepoName, cached, check, repo_name
from limner.models.inspect import CONVERT_HINT, read_json, refuse_pickle
from limner.types import ModelRef, Notice

PICKLES = layout.PICKLES
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".tif", ".tiff", ".bmp")
PATH_LIKE = re.compile(r"^([.~/\\]|[A-Za-z]:[\\/])|\\")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model ready to be planned with: its card, its files on this machine, and which weights exactly."""

    card: Card
    files: Files
    ref: ModelRef
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Means:
    """What resolving draws on."""

    catalog: Catalog
    hashes: Hashes
    offline: bool
    report: hub.Report | None


def resolve(
    name: str,
    settings: Settings,
    catalog: Catalog,
    *,
    offline: bool = False,
    folders: bool = True,
    report: hub.Report | None = None,
) -> Resolved:
    """Find a model's files, fetching what is missing. A catalog name may carry a revision too: ``sd15@COMMIT``.

    ``offline`` forbids the network, as ``settings.offline`` does; ``folders=False`` refuses paths (names that came over
    HTTP). ``report`` hears of downloaded bytes. Raises ``UnknownName``, ``ModelNotFound``, ``UnsafeFile``,
    ``CorruptFile``, ``NetworkError``, ``OfflineError``, ``StorageError``.
    """
    means = Means(catalog, Hashes(settings.cache_root), offline or settings.offline, report)
    plain, _, revision = name.strip().partition("@")
    card = catalog.find(plain)
    if card is not None:
        return _from_card(card, revision, means)
    if folders and (path := folder_of(name)) is not None:
        return _from_folder(path, means)
    repo = repo_name(name.strip())
    if repo is None:
        raise UnknownName("model", name, catalog.known(), listed=catalog.names())
    return _from_hub(repo, None, means)


def pinned(ref: ModelRef) -> str:
    """The name that resolves to the same weights later, without asking the hub what is newest."""
    return ref.name if ref.commit is None else f"{ref.name.partition('@')[0]}@{ref.commit}"


def download_bytes(name: str, settings: Settings, catalog: Catalog, *, offline: bool = False) -> int:
    """Bytes that ``resolve`` would fetch; small config files may be fetched to find out. Raises as ``resolve`` does."""
    plain, _, revision = name.strip().partition("@")
    card = catalog.find(plain)
    repo = RepoName(card.repo, revision or card.commit or "main") if card and card.repo else repo_name(name.strip())
    if repo is None or (card and not card.repo) or folder_of(name) or offline or settings.offline:
        return 0
    if card is not None and card.companion is not None:
        return dalle_files.bytes_to_fetch(repo, card.companion)
    listing = hub.look_up(repo)
    return hub.bytes_to_fetch(listing, _listed(listing, Hashes(settings.cache_root))[1].names)


def _from_card(card: Card, revision: str, means: Means) -> Resolved:
    if card.repo is not None:
        return _from_hub(RepoName(card.repo, revision or card.commit or "main"), card, means)
    folder = card.asset_path() if card.built_in else Path(card.folder or "")
    found = _tree(folder)
    _, need = _examine(found, card.name)
    return _resolved(card, folder, {name: found[name] for name in need.names}, need, means, None)


def folder_of(name: str) -> Path | None:
    """The folder that a model's name means, if it means one. Raises ``ModelNotFound`` for a path that is no folder,
    ``UnsafeFile`` for a pickle."""
    text = name.strip()
    try:
        path = Path(text).expanduser()
        folder, file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError, ValueError):  # too long for a path, no such user, a null character
        return None
    if folder and text:
        return path.absolute()
    if file:
        if path.suffix.lower() in PICKLES:
            refuse_pickle(path)
            raise UnsafeFile(f"{path.name} is of a kind that can run code when it is loaded", hint=CONVERT_HINT)
        raise _no_model(path)
    if PATH_LIKE.search(text) or text.lower().endswith((*PICKLES, ".safetensors")):
        raise ModelNotFound(f"there is no folder {text!r}", hint="check the path; limner models list shows known names")
    return None


def _no_model(path: Path) -> ModelNotFound:
    """What to say of a file where a model's folder is wanted."""
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return ModelNotFound(
            f"{path.name} is a single file, and Limner reads model folders so far",
            hint="use its diffusers folder or hub repo instead",
        )
    what = "a picture, not a model" if suffix in PICTURES else "not a model"
    return ModelNotFound(
        f"{path.name} is {what}", hint="-m takes a name of limner models list, a hub repo, or a diffusers folder"
    )


def _from_folder(folder: Path, means: Means) -> Resolved:
    where = str(folder)
    found = _tree(folder)
    if layout.INDEX not in found and (used := dalle_files.arrange(found, where)) is not None:
        card = Card.for_unknown(_short(folder), family=dalle_files.FAMILY, folder=folder, size_bytes=_size(used))
        return _resolved(card, folder, used, _as_is(used), means, None)
    family, need = _examine(found, where)
    used = {name: found[name] for name in need.names}
    card = _unknown_card(_short(folder), family, used, folder=folder)
    return _resolved(card, folder, used, need, means, None)


def _short(folder: Path) -> str:
    """A folder's name for Records, which travel in pictures: the user's own name is left out of it."""
    try:
        return "~/" + folder.relative_to(Path.home()).as_posix()
    except (ValueError, RuntimeError):
        return folder.as_posix()


def _tree(folder: Path) -> Mapping[str, Path]:
    """Files one folder deep, which is where a diffusers folder has all of its own."""
    try:
        found = [*(p for p in folder.iterdir() if p.is_file()), *(p for p in folder.glob("*/*") if p.is_file())]
    except OSError as error:
        raise ModelNotFound(f"{folder} cannot be read: {error.strerror}", hint="check the path") from None
    return {path.relative_to(folder).as_posix(): path for path in found}


def _examine(found: Mapping[str, Path], where: str) -> tuple[str, layout.Needed]:
    if layout.INDEX not in found:
        pickles = [name for name in found if name.endswith(PICKLES)]
        if pickles and not any(name.endswith(".safetensors") for name in found):
            raise UnsafeFile(f"{where} holds pickles only, which can run code: {pickles[0]}", hint=CONVERT_HINT)
        raise ModelNotFound(f"{where} has no {layout.INDEX}", hint="give the top folder of a diffusers model")
    family = layout.family_of(read_json(found[layout.INDEX]), where)
    return family, layout.needed(found, lambda name: read_json(found[name]), where)


def _two_repos(repo: RepoName, card: Card, companion: str, means: Means) -> Resolved:
    """A model whose parts are two repos, the second at a commit of its card's."""
    if means.offline or (repo.pinned and dalle_files.are_here(_cached_files(repo), companion)):
        used, commit = dalle_files.from_cache(repo, companion, means.hashes, card.name)
        return _resolved(card, used[f"{dalle_files.MODEL}/config.json"].parent, used, _as_is(used), means, commit)
    try:
        used, commit = dalle_files.fetch(repo, companion, means.hashes, means.report)
    except NetworkError as error:
        try:
            found = _two_repos(repo, card, companion, replace(means, offline=True))
        except OfflineError:
            raise error from None
        message = f"{error.message}; drawing with the copy from {str(found.ref.commit)[:10]} on this machine"
        return replace(found, notices=(*found.notices, Notice(code="hub-unreachable", message=message)))
    return _resolved(card, used[f"{dalle_files.MODEL}/config.json"].parent, used, _as_is(used), means, commit)


def _cached_files(repo: RepoName) -> Mapping[str, Path]:
    there = cached(repo)
    return {} if there is None else there.files()


def _as_is(used: Mapping[str, Path]) -> layout.Needed:
    return layout.Needed(tuple(used), {})


def _size(used: Mapping[str, Path]) -> int:
    return sum(path.stat().st_size for path in used.values())


def _from_hub(repo: RepoName, card: Card | None, means: Means) -> Resolved:
    if card is not None and card.companion is not None:
        return _two_repos(repo, card, card.companion, means)
    there = cached(repo)
    if means.offline or (repo.pinned and there is not None and _whole(there)):
        return _from_cache(repo, card, there, means)
    try:
        listing = hub.look_up(repo)
    except NetworkError as error:
        if there is None or not _whole(there):
            raise
        message = f"{error.message}; drawing with the copy from {there.commit[:10]} on this machine"
        made = _from_cache(repo, card, there, means)
        return replace(made, notices=(*made.notices, Notice(code="hub-unreachable", message=message)))
    family, need = _listed(listing, means.hashes)
    small_first = sorted(need.names, key=lambda name: (listing.files[name].size, name))
    used = hub.fetch(listing, small_first, means.hashes, means.report)
    hub.remember_revision(listing)
    shown = card or _unknown_card(_hub_name(repo), family, used, repo=repo.repo, commit=listing.commit)
    return _resolved(shown, _root(used), used, need, means, listing.commit)


def _hub_name(repo: RepoName) -> str:
    return repo.repo if repo.revision == "main" else f"{repo.repo}@{repo.revision}"


def _root(used: Mapping[str, Path]) -> Path:
    return used["scheduler/scheduler_config.json"].parent.parent


def _listed(listing: hub.Listing, hashes: Hashes) -> tuple[str, layout.Needed]:
    """Family and needed files of a repo at its commit; fetches the small files that decide them."""
    where = listing.name.repo
    if layout.INDEX not in listing.files:
        raise ModelNotFound(f"{where} has no {layout.INDEX}", hint="Limner reads repos in the diffusers layout so far")

    def read(name: str) -> Mapping[str, object]:
        return read_json(hub.fetch(listing, [name], hashes)[name])

    return layout.family_of(read(layout.INDEX), where), layout.needed(listing.files, read, where)


def _whole(there: Cached) -> bool:
    """True where all that is needed, in full precision, is in the cache: then the hub could add nothing."""
    try:
        _, need = _examine(there.files(), "")
    except (ModelNotFound, UnsafeFile, CorruptFile):
        return False
    return not any(need.variants.values())


def _from_cache(repo: RepoName, card: Card | None, there: Cached | None, means: Means) -> Resolved:
    name = card.name if card is not None else _hub_name(repo)
    hint = f'run once with the network: limner -m {name} "a test"'
    if there is None:
        raise OfflineError(f"{name} is not on this machine, and the network is forbidden", hint=hint)
    found = there.files()
    try:
        family, need = _examine(found, name)
    except ModelNotFound as error:
        raise OfflineError(f"{name} is on this machine only in part: {error.message}", hint=hint) from None
    used = {each: found[each] for each in need.names}
    hashed = means.hashes.of(used.values())
    for path in used.values():
        check(path, hashed[path])
    shown = card or _unknown_card(name, family, used, repo=repo.repo, commit=there.commit)
    return _resolved(shown, there.folder, used, need, means, there.commit)


def _unknown_card(
    name: str,
    family: str,
    used: Mapping[str, Path],
    *,
    repo: str | None = None,
    folder: Path | None = None,
    commit: str | None = None,
) -> Card:
    return Card.for_unknown(
        name,
        family=family,
        repo=repo,
        folder=folder,
        commit=commit,
        unet=read_json(used["unet/config.json"]),
        vae=read_json(used["vae/config.json"]),
        scheduler=read_json(used["scheduler/scheduler_config.json"]),
        size_bytes=_size(used),
    )


def _resolved(
    card: Card, root: Path, used: Mapping[str, Path], need: layout.Needed, means: Means, commit: str | None
) -> Resolved:
    hashed = means.hashes.of(used.values())
    names = {name: hashed[path] for name, path in used.items() if not name.endswith(".index.json")}
    ref = ModelRef(name=card.name, family=card.family, repo=card.repo, commit=commit, files=names)
    return Resolved(card, Files(root, dict(used)), ref, _variant_notices(card, need))


def _variant_notices(card: Card, need: layout.Needed) -> tuple[Notice, ...]:
    reduced = sorted({variant for variant in need.variants.values() if variant})
    if not reduced:
        return ()
    parts = ", ".join(part for part, variant in need.variants.items() if variant)
    message = f"{card.name}: {parts} only found in reduced precision ({', '.join(reduced)})"
    return (Notice(code="reduced-weights", message=message),)
