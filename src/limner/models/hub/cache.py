"""The hub's standard cache on this machine: what is in it, without the network and without the hub's library.

Layout (shared with every tool that uses the Hugging Face hub): ``models--ORG--NAME/refs/REVISION`` holds a commit,
``snapshots/COMMIT/`` links to ``blobs/``, whose names are sha256 (large files) or git's blob hash (small ones). So a
file can be checked against its name even offline.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from limner.errors import CorruptFile
from limner.models.hashes import git_blob_hash

COMMIT = re.compile(r"[0-9a-f]{40}")
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")


class RepoName(NamedTuple):
    """A hub repo id and a revision: branch, tag or commit."""

    repo: str
    revision: str = "main"

    @property
    def pinned(self) -> bool:
        """True where the revision is a commit, which never changes."""
        return COMMIT.fullmatch(self.revision) is not None


def repo_name(text: str) -> RepoName | None:
    """``org/name`` or ``org/name@revision``; ``None`` where the text is neither."""
    repo, at, revision = text.partition("@")
    good = _REPO.fullmatch(repo) and not re.search(r"\.\.|--", repo) and not repo.endswith((".git", ".", "-"))
    if not good or (at and (not _REVISION.fullmatch(revision) or ".." in revision)):
        return None
    return RepoName(repo, revision or "main")


@dataclass(frozen=True, slots=True)
class Cached:
    """A commit's snapshot folder, whole or in part."""

    commit: str
    folder: Path

    def files(self) -> Mapping[str, Path]:
        """Names relative to the folder, to the links in it whose files are there."""
        found = (path for path in sorted(self.folder.rglob("*")) if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in found}


def cache_folder(env: Mapping[str, str] | None = None) -> Path:
    """Where the hub's library keeps its files: ``HF_HUB_CACHE``, else below ``HF_HOME``, else the user's cache."""
    environ = os.environ if env is None else env
    if explicit := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(os.path.expandvars(explicit)).expanduser()
    base = environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = environ.get("HF_HOME") or str(Path(base) / "huggingface")
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def repo_folder(repo: str, cache: Path | None = None) -> Path:
    """A repo's folder in the cache, which may not exist."""
    return (cache or cache_folder()) / ("models--" + repo.replace("/", "--"))


def cached(name: RepoName, cache: Path | None = None) -> Cached | None:
    """The snapshot of a repo's revision that is on this machine, if any."""
    root = repo_folder(name.repo, cache)
    commit = name.revision
    if not name.pinned:
        try:
            commit = (root / "refs" / name.revision).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
    folder = root / "snapshots" / commit
    return Cached(commit, folder) if COMMIT.fullmatch(commit) and folder.is_dir() else None


def held(repo: str, commit: str | None, cache: Path | None = None) -> Cached | None:
    """The snapshot of a repo for somebody who would rather have it at ``commit``, but takes the newest that is here."""
    return cached(RepoName(repo, commit or "main"), cache) or cached(RepoName(repo), cache)


def check(path: Path, tagged: str, sha256: str | None = None, git: str | None = None) -> None:
    """Compare a cached file with the hashes its publisher gave, or with its blob's own name.

    ``tagged`` is the hash its bytes have. Raises ``CorruptFile`` and takes the file out of the cache if they differ.
    """
    blob = path.resolve()
    if sha256 is None and git is None and path.is_symlink():
        name = blob.name
        sha256, git = (name if len(name) == 64 else None), (name if len(name) == 40 else None)
    if sha256 is not None and tagged == f"sha256:{sha256}":
        return
    if sha256 is None and (git is None or git_blob_hash(path) == git):
        return
    path.unlink(missing_ok=True)
    blob.unlink(missing_ok=True)
    raise CorruptFile(
        f"{path.name} is not what its publisher stored: the hashes differ",
        hint="it was taken out of the cache; run the same command again to fetch it anew",
    )
