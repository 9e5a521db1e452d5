"""Fetching from the Hugging Face hub through ``huggingface_hub``: a commit first, then only the files needed at it.

Each file is hashed against the hub's own hash before anything uses it. ``huggingface_hub`` takes a third of a second to
import and is imported only when the network is to be used; with ``offline`` nothing in here runs.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from limner.errors import CorruptFile, ModelNotFound, StorageError
from limner.models.hashes import Hashes
from limner.models.hub.cache import COMMIT, RepoName, cache_folder, cached, check, repo_folder
from limner.models.hub.errors import translated
from limner.models.hub.reach import check_name, endpoint, quiet
from limner.models.hub.transfer import arrived, bring, once_more_if_stale
from limner.models.machine import gigabytes

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

SPARE_BYTES = 200_000_000  # left free on the disk beside a download
METADATA_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on the hub: bytes, and its sha256 (large files) or git blob hash (small ones)."""

    size: int
    sha256: str | None
    git: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a repo holds at one commit, and what its page says: licence (empty where it says none) and tags."""

    name: RepoName
    commit: str
    files: Mapping[str, Remote]
    gated: bool
    licence: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` bytes of the whole download have arrived; ``file`` is the one under way."""

    file: str
    done: int
    total: int


Report = Callable[[Progress], None]


def forbid_network() -> None:
    """Tell the hub's library, too, that this process is offline. Call before anything imports it."""
    os.environ["HF_HUB_OFFLINE"] = "1"


def look_up(name: RepoName) -> Listing:
    """Ask the hub for a revision's commit and files. Raises ``ModelNotFound`` or ``NetworkError``."""
    check_name(name.repo)
    from huggingface_hub import HfApi

    with translated(name), quiet():
        info = HfApi(endpoint=endpoint()).model_info(
            name.repo, revision=name.revision, files_metadata=True, timeout=METADATA_SECONDS
        )
    commit = info.sha or ""
    if COMMIT.fullmatch(commit) is None:
        raise ModelNotFound(f"the hub gave no commit for {name.repo}", hint="try again later")
    files = {
        sibling.rfilename: Remote(
            sibling.size or 0, _hex(sibling.lfs.sha256, 64) if sibling.lfs else None, _hex(sibling.blob_id, 40)
        )
        for sibling in info.siblings or ()
    }
    return Listing(name, commit, files, bool(info.gated), licence_of(info), tuple(info.tags or ()))


def _hex(text: str | None, digits: int) -> str | None:
    """A hash that is one: it becomes the name of a file."""
    return text if text is not None and re.fullmatch(rf"[0-9a-f]{{{digits}}}", text) else None


def licence_of(info: ModelInfo) -> str:
    """The licence a repo's card names, by its own name where it is not one of the usual ones; empty where none is."""
    card = info.card_data
    said = [] if card is None else [card.get("license_name"), card.get("license")]
    said += [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
    return next((one for one in said if isinstance(one, str) and one and one != "other"), "")


def bytes_to_fetch(listing: Listing, names: Iterable[str]) -> int:
    """Bytes of those files that are not in the cache yet."""
    return sum(_left(listing, name) for name in _absent(listing, names))


def _left(listing: Listing, name: str) -> int:
    """Bytes of a file still to come: none where another commit has the same, fewer where a download of it was cut."""
    remote = listing.files[name]
    blobs = repo_folder(listing.name.repo) / "blobs"
    if any(blob and (blobs / blob).is_file() for blob in (remote.sha256, remote.git)):
        return 0
    there = arrived(listing.name.repo, remote.sha256) if remote.sha256 else 0
    return remote.size - (there if there <= remote.size else 0)


def _absent(listing: Listing, names: Iterable[str]) -> tuple[str, ...]:
    there = cached(RepoName(listing.name.repo, listing.commit))
    held = {} if there is None else there.files()
    return tuple(name for name in names if name not in held)


def fetch(listing: Listing, names: Iterable[str], hashes: Hashes, report: Report | None = None) -> dict[str, Path]:
    """Names to paths in the cache, fetched where needed and every one of them checked.

    A transfer that is cut is taken up again; what arrived is kept for the next attempt, a part of a large file too.
    Raises ``CorruptFile``, ``NetworkError``, ``StorageError``.
    """
    wanted = tuple(names)
    meter = _Meter(report, bytes_to_fetch(listing, wanted))
    _check_disk(meter.total)
    found = {}
    for name in wanted:
        meter.begin(name)
        found[name] = _download(listing, name, meter)
        remote = listing.files[name]
        tagged = hashes.of([found[name]])[found[name]]
        check(found[name], tagged, remote.sha256, None if remote.sha256 else remote.git)
    return found


def _download(listing: Listing, name: str, meter: _Meter) -> Path:
    from huggingface_hub import hf_hub_download

    class Bar(_Bar):
        report = staticmethod(meter.add)

    remote = listing.files[name]

    def brought() -> str:
        if remote.sha256 is not None:
            bring(listing.name.repo, listing.commit, name, remote.sha256, remote.size, Bar, endpoint())
        return hf_hub_download(
            listing.name.repo,
            name,
            revision=listing.commit,
            cache_dir=cache_folder(),
            endpoint=endpoint(),
            etag_timeout=METADATA_SECONDS,
            tqdm_class=Bar,
        )

    with translated(listing.name, name), quiet():
        path = once_more_if_stale(brought)
    found = Path(path)
    if found.stat().st_size != remote.size:
        found.resolve().unlink(missing_ok=True)
        found.unlink(missing_ok=True)
        raise CorruptFile(f"{name} of {listing.name.repo} arrived with a wrong length", hint="run the command again")
    return found


def remember_revision(listing: Listing) -> None:
    """Note which commit a branch or tag stood for, as the hub's library does, so that it is found offline."""
    if listing.name.pinned:
        return
    root = repo_folder(listing.name.repo)
    note = root / "refs" / listing.name.revision
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        if not note.exists() or note.read_text("ascii", "replace") != listing.commit:
            note.write_text(listing.commit, "ascii")
    except OSError as error:
        raise StorageError(f"the hub's cache cannot be written: {error.strerror}", hint=f"look at {root}") from None


def _check_disk(total: int) -> None:
    folder = cache_folder()
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if total and free < total + SPARE_BYTES:
        raise StorageError(
            f"{gigabytes(total)} are to be fetched and {gigabytes(free)} are free in {folder}",
            hint="make room, or set HF_HOME to a folder on another disk",
        )


class _Meter:
    """Adds up bytes over the files of a download and reports them."""

    def __init__(self, report: Report | None, total: int) -> None:
        self.report, self.total = report, total
        self.file, self.done = "", 0

    def begin(self, file: str) -> None:
        self.file = file

    def add(self, count: int) -> None:
        self.done += count
        if self.report is not None and self.total:
            self.report(Progress(self.file, min(self.done, self.total), self.total))


class _Bar:
    """Stands where the hub's library expects a tqdm: passes bytes on and draws nothing."""

    report: Callable[[int], None]

    def __init__(self, *_args: object, total: int | None = None, initial: int = 0, **_kwargs: object) -> None:
        self.total, self.n = total, initial
        self.format_dict: dict[str, object] = {}

    def update(self, n: int | float | None = 1) -> None:
        count = int(n or 0)
        self.n += count
        type(self).report(count)

    def update_transfer(self, n: int | float | None = 1) -> None:
        """Bytes on the wire; ``update`` counts the same bytes once they are on disk."""

    def set_postfix_str(self, *_args: object, **_kwargs: object) -> None: ...

    def set_description(self, *_args: object, **_kwargs: object) -> None: ...

    def refresh(self, *_args: object, **_kwargs: object) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_args: object) -> None:
        self.close()
