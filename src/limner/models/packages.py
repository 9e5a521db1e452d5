"""Where the weights of scorers and checkers come from: files of hub repos at a commit. Torch-free.

A package lists its files. Those that are safetensors or small stay in the hub's cache; a pickle is read once, in the
closed-off child of :mod:`limner.models.singlefiles.convert`, and the safetensors made of it lies in Limner's own data
folder with its hash beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from limner.config import Settings
from limner.errors import CorruptFile, InvalidRequest, ModelNotFound, OfflineError, StorageError, UnsafeFile
from limner.models.hashes import Hashes
from limner.models.hub import repo as hub
from limner.models.hub.cache import RepoName, cached, check
from limner.models.singlefiles.convert import convert

PICKLES = (".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a hub repo. ``saved`` is the name it is read by; ``sha256`` pins content that no commit of
    its author's does. A pickle's ``saved`` ends in ``.safetensors``."""

    repo: str
    commit: str
    name: str
    saved: str
    sha256: str | None = None

    @property
    def pickled(self) -> bool:
        return self.name.endswith(PICKLES)

    def converted(self, settings: Settings) -> Path:
        """Where the safetensors made of a pickle lies."""
        folder = settings.data / "metrics" / self.repo.replace("/", "--") / (self.sha256 or self.commit)[:16]
        return folder / f"{PurePosixPath(self.name).stem}.safetensors"


@dataclass(frozen=True, slots=True)
class Package:
    """All that a scorer or checker reads. ``optional`` names are read where a folder has them; ``kind`` is the command
    that fetches it."""

    name: str
    files: tuple[File, ...]
    optional: tuple[str, ...] = ()
    kind: Literal["metrics", "safety"] = "metrics"

    def command(self) -> str:
        """What fetches it."""
        return f"limner {self.kind} pull {self.name}"


CLIP_WORDS = tuple(
    File("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41", name, name)
    for name in ("vocab.json", "merges.txt")
)
"""CLIP's words, the same in every CLIP."""


def here(package: Package, settings: Settings) -> dict[str, Path] | None:
    """Names to paths where all of a package is on this machine, else ``None``. Reads no file."""
    found = {file.saved: path for file in package.files if (path := _path(file, settings)) is not None}
    return found if len(found) == len(package.files) else None


def _path(file: File, settings: Settings) -> Path | None:
    if file.pickled:
        path = file.converted(settings)
        return path if path.is_file() and _note(path).is_file() else None
    there = cached(RepoName(file.repo, file.commit))
    path = there.folder / file.name if there is not None else Path()
    return path if there is not None and path.is_file() else None


def opened(package: Package, settings: Settings, folder: Path | None = None) -> dict[str, Path]:
    """Names to paths of what is read: fetched ones compared with their hashes, a folder's own as they are.

    Raises:
        ModelNotFound: something is not on this machine; the hint is the command that fetches it.
        UnsafeFile: the folder holds a pickle where safetensors should be.
        CorruptFile: a file is not what was stored.
    """
    if folder is not None:
        return _of_folder(package, folder)
    found = here(package, settings)
    if found is None:
        raise ModelNotFound(f"the weights of {package.name} are not on this machine", hint=package.command())
    hashed = Hashes(settings.cache_root).of(found.values())
    for file in package.files:
        path = found[file.saved]
        if file.pickled:
            _check_converted(path, hashed[path], package)
        else:
            check(path, hashed[path], sha256=file.sha256)
    return found


def _of_folder(package: Package, folder: Path) -> dict[str, Path]:
    found = {file.saved: folder / file.saved for file in package.files if (folder / file.saved).is_file()}
    found |= {name: folder / name for name in package.optional if (folder / name).is_file()}
    for file in package.files:
        if file.saved in found:
            continue
        pickle = folder / PurePosixPath(file.name).name
        if file.pickled and pickle.is_file():
            raise UnsafeFile(
                f"{pickle.name} is a pickle, which can run code when it is opened",
                hint=f"make a safetensors file of it: limner models convert {pickle} {folder / file.saved}",
            )
        raise ModelNotFound(f"{folder} has no {file.saved}", hint=f"{package.name} reads: {_names(package)}")
    return found


def _names(package: Package) -> str:
    return ", ".join(dict.fromkeys(file.saved for file in package.files))


def to_fetch(package: Package, settings: Settings) -> tuple[File, ...]:
    """Files of a package that are not on this machine."""
    return tuple(file for file in package.files if _path(file, settings) is None)


def pull(
    package: Package, settings: Settings, report: hub.Report | None = None, given: Path | None = None
) -> dict[str, Path]:
    """Fetch what is missing, convert pickles, and give all of it as ``opened`` does.

    ``given`` is a file that the user downloaded: it stands for the package's file of the same name or hash.

    Raises ``OfflineError``, ``NetworkError``, ``ModelNotFound``, ``CorruptFile``, ``UnsafeFile``, ``StorageError``,
    ``InvalidRequest`` for a ``given`` that is none of the package's.
    """
    hashes = Hashes(settings.cache_root)
    if given is not None:
        _take(package, given, settings, hashes)
    wanted = to_fetch(package, settings)
    if wanted and settings.offline:
        raise OfflineError(
            f"{package.name} is not on this machine, and the network is forbidden", hint="allow it and try again"
        )
    for repo, commit in dict.fromkeys((file.repo, file.commit) for file in wanted):
        files = [file for file in wanted if (file.repo, file.commit) == (repo, commit)]
        _fetch(RepoName(repo, commit), files, settings, hashes, report)
    return opened(package, settings)


def _fetch(repo: RepoName, files: list[File], settings: Settings, hashes: Hashes, report: hub.Report | None) -> None:
    listing = hub.look_up(repo)
    for file in files:
        if file.name not in listing.files:
            raise ModelNotFound(f"{repo.repo} has no {file.name} at {listing.commit[:10]}", hint="look at its page")
        if file.sha256 is not None and listing.files[file.name].sha256 != file.sha256:
            raise CorruptFile(
                f"{file.name} of {repo.repo} is not the file that was published: its hash differs",
                hint="give the original with --from FILE",
            )
    paths = hub.fetch(listing, [file.name for file in files], hashes, report)
    hub.remember_revision(listing)
    for file in files:
        if file.pickled:
            _convert(paths[file.name], file, settings)


def _take(package: Package, given: Path, settings: Settings, hashes: Hashes) -> None:
    """Convert a downloaded pickle that is one of the package's, by its hash where it is pinned, else by its name."""
    if not given.is_file():
        raise ModelNotFound(f"there is no file {str(given)!r}", hint="check the path")
    tagged = hashes.of([given])[given]
    for file in package.files:
        known = f"sha256:{file.sha256}" == tagged if file.sha256 else PurePosixPath(file.name).name == given.name
        if file.pickled and known:
            _convert(given, file, settings)
            return
    raise InvalidRequest(
        f"{given.name} is none of the pickles of {package.name}",
        hint="wanted: " + ", ".join(_wanted(package)),
    )


def _wanted(package: Package) -> Iterator[str]:
    for file in package.files:
        if file.pickled:
            yield f"{file.name} (sha256 {file.sha256})" if file.sha256 else file.name


def _convert(source: Path, file: File, settings: Settings) -> None:
    target = file.converted(settings)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # without its note it is what an interrupted conversion left
    except OSError as error:
        raise StorageError(f"{target.parent} cannot be written: {error.strerror}", hint="check the folder") from None
    made = convert(source, target)
    if file.sha256 is not None and made.source_hash != f"sha256:{file.sha256}":
        target.unlink()
        raise CorruptFile(f"{file.name} is not the file that was published: its hash differs", hint="fetch it again")
    note = {"source": made.source_hash, "hash": made.hash, "repo": file.repo, "commit": file.commit}
    _note(target).write_text(json.dumps(note), "utf-8")


def _note(path: Path) -> Path:
    return path.with_suffix(".json")


def _check_converted(path: Path, tagged: str, package: Package) -> None:
    try:
        told: object = json.loads(_note(path).read_text("utf-8"))
    except (OSError, ValueError):
        told = None
    if not isinstance(told, Mapping) or told.get("hash") != tagged:
        path.unlink(missing_ok=True)
        _note(path).unlink(missing_ok=True)
        raise CorruptFile(
            f"{path.name} of {package.name} is not what was converted: the hashes differ",
            hint=f"it was taken away; run again: {package.command()}",
        )
