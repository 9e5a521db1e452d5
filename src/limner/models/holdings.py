"""What of a model is on this machine: whether its bytes are still right, and what removing it would free. Torch-free.

Files of the hub's cache are compared with the names of their blobs, which are hashes; others with the hash they had
when last used. Only the hub's cache is ever deleted from: a linked or given folder belongs to somebody else.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from limner.errors import LimnerError, ModelNotFound, StorageError
from limner.models.hashes import Hashes, git_blob_hash
from limner.models.hub.cache import COMMIT, cache_folder, repo_folder
from limner.models.hub.transfer import PART
from limner.models.inspect import read_header, read_json

State = Literal["intact", "damaged", "changed", "well-formed"]


@dataclass(frozen=True, slots=True)
class Checked:
    """A file, read again. ``intact``: its bytes are those its publisher stored, or those it was last used with;
    ``well-formed``: there is nothing to compare it with; ``changed``: it is another file than it was when last used."""

    name: str
    path: Path
    size: int
    state: State
    detail: str = ""


def check_files(
    files: Mapping[str, Path], hashes: Hashes, begin: Callable[[str, int], None] | None = None
) -> Iterator[Checked]:
    """Read every file again and judge it. ``begin`` hears of each file's name and bytes before it is read."""
    for name, path in sorted(files.items()):
        size = path.stat().st_size
        if begin is not None:
            begin(name, size)
        yield _checked(name, path, size, hashes)


def _checked(name: str, path: Path, size: int, hashes: Hashes) -> Checked:
    before = hashes.remembered(path)
    now = hashes.fresh(path)
    blob = path.resolve().name if path.is_symlink() else ""
    if len(blob) in (40, 64):
        good = now == f"sha256:{blob}" if len(blob) == 64 else git_blob_hash(path) == blob
        return Checked(name, path, size, *(("intact", "") if good else ("damaged", "its hash is not its publisher's")))
    if (fault := _malformed(path)) is not None:
        return Checked(name, path, size, "damaged", fault)
    if before is None:
        return Checked(name, path, size, "well-formed", "nothing to compare its bytes with")
    return Checked(name, path, size, *(("intact", "") if before == now else ("changed", "since it was last used")))


def _malformed(path: Path) -> str | None:
    """What is wrong with a file's form, where its kind is one that can be looked at."""
    try:
        if path.suffix == ".safetensors":
            read_header(path)
        elif path.suffix == ".json" and path.stat().st_size < 1 << 20:
            read_json(path)
    except LimnerError as error:
        return error.message
    return None


def take_out(checked: Checked) -> None:
    """Delete a damaged file of the hub's cache, so that it is fetched anew. Raises ``StorageError``, also for a file
    that is not in the cache."""
    blob = checked.path.resolve()
    if not _inside_cache(checked.path) or not _inside_cache(blob):
        raise StorageError(f"{checked.path} is not in the hub's cache", hint="it is left as it is; replace it yourself")
    try:
        checked.path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{checked.name} cannot be deleted: {error.strerror}", hint=f"look at {blob}") from None


def _inside_cache(path: Path) -> bool:
    cache = cache_folder()
    return path.is_relative_to(cache) or path.is_relative_to(cache.resolve())


def parts(repo: str) -> Mapping[Path, int]:
    """Downloads of a repo that were cut: their files and bytes."""
    found = sorted((repo_folder(repo) / "blobs").glob(f"*{PART}"))
    return {path: path.stat().st_size for path in found}


def repos() -> tuple[str, ...]:
    """Model repos in the hub's cache that have a ``model_index.json``: those that may be drawn with."""
    found = sorted(cache_folder().glob("models--*--*/snapshots/*/model_index.json"))
    names = (path.parents[2].name.removeprefix("models--").replace("--", "/", 1) for path in found)
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a repo, or one commit of it, takes away: folders and files, and the bytes that frees."""

    repo: str
    commit: str | None
    paths: tuple[Path, ...]
    freed: int


def removal(repo: str, commit: str | None = None) -> Removal:
    """What there is to remove; deletes nothing. Raises ``ModelNotFound`` where it is not on this machine.

    Of one commit, only what no other commit of the repo on this machine uses.
    """
    root = repo_folder(repo)
    snapshot = root / "snapshots" / (commit or "")
    if not root.is_dir() or (commit is not None and (COMMIT.fullmatch(commit) is None or not snapshot.is_dir())):
        which = repo if commit is None else f"{repo}@{commit}"
        raise ModelNotFound(f"{which} is not on this machine", hint="limner models list shows what is")
    if commit is None or [path.name for path in (root / "snapshots").iterdir()] == [commit]:
        locks = cache_folder() / ".locks" / root.name
        return Removal(repo, commit, tuple(path for path in (root, locks) if path.exists()), _bytes(root))
    used = {commit: _blobs(snapshot)}
    others = set().union(*(_blobs(each) for each in (root / "snapshots").iterdir() if each.name != commit))
    alone = sorted(used[commit] - others)
    refs = [
        path for path in (root / "refs").rglob("*") if path.is_file() and path.read_text("ascii", "replace") == commit
    ]
    return Removal(repo, commit, (snapshot, *alone, *refs), sum(path.stat().st_size for path in alone))


def _blobs(snapshot: Path) -> set[Path]:
    """Files a snapshot stands for: its links' targets, or itself where there are no links."""
    return {path.resolve() for path in snapshot.rglob("*") if path.is_file()}


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def remove(what: Removal) -> None:
    """Delete it. Raises ``StorageError``; what was deleted until then stays deleted, and will be fetched anew."""
    for path in what.paths:
        if not _inside_cache(path) or path in (cache_folder(), cache_folder().resolve()):
            raise StorageError(f"{path} is not in the hub's cache", hint="nothing outside it is ever deleted")
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be deleted: {error.strerror}", hint="check who may write there"
            ) from None
