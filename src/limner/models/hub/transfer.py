"""Large files of the hub, brought into its cache so that a download which was cut goes on where it stopped.

``huggingface_hub`` resumes within a process but throws a partial file away when the process ends, be it by Ctrl-C or
after the last retry; at ten gigabytes that is an evening. So the bytes go into ``blobs/SHA256.incomplete``, which
stays, and become the blob when all are there. The library then only links the name to it: nothing is stored twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from limner.models.hub.cache import cache_folder, repo_folder

PART = ".incomplete"
STALE = "Server disconnected without sending a response"  # httpx's words; its exceptions are not ours to import

T = TypeVar("T")


def part_of(repo: str, sha256: str, cache: Path | None = None) -> Path:
    """Where the bytes of a large file gather until all are there."""
    return repo_folder(repo, cache) / "blobs" / f"{sha256}{PART}"


def arrived(repo: str, sha256: str, cache: Path | None = None) -> int:
    """Bytes of a large file that an earlier, cut download has left."""
    try:
        return part_of(repo, sha256, cache).stat().st_size
    except OSError:
        return 0


def bring(repo: str, commit: str, name: str, sha256: str, size: int, bar: type[object], endpoint: str | None) -> None:
    """Have the blob of a large file in the cache, going on with what is there. Hashes are checked by the caller.

    Does nothing where the library has to do it: no symbolic links here, or a file larger than plain HTTP carries.
    Raises what the hub's library and the file system raise; what arrived until then is kept.
    """
    from huggingface_hub import constants, file_download, hf_hub_url
    from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]  # not in its __all__

    part = part_of(repo, sha256)
    blob = part.with_name(sha256)
    if size > constants.MAX_HTTP_DOWNLOAD_SIZE or blob.exists():
        return
    part.parent.mkdir(parents=True, exist_ok=True)
    if not file_download.are_symlinks_supported(cache_folder()):
        return
    url = hf_hub_url(repo, name, revision=commit, endpoint=endpoint)
    headers = build_hf_headers()
    found = file_download.get_hf_file_metadata(url, headers=headers, endpoint=endpoint)
    if found.location != url:
        headers.pop("authorization", None)  # a signed address elsewhere: the token is not for that host
    locks = cache_folder() / ".locks" / repo_folder(repo).name
    locks.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(locks / f"{sha256}.lock"):
        if blob.exists():
            return
        if arrived(repo, sha256) > size:
            part.unlink()
        with part.open("ab") as stream:
            file_download.http_get(
                found.location,
                stream,
                resume_size=stream.tell(),
                headers=headers,
                expected_size=size,
                displayed_filename=name,
                tqdm_class=cast("Any", bar),  # only what a tqdm is asked for
            )
        part.replace(blob)


def once_more_if_stale(run: Callable[[], T]) -> T:
    """``run``, once more where the server had closed an idle connection just as it was used again: nothing was asked of
    it then, and a client may ask anew (RFC 9112, section 9.3.1)."""
    try:
        return run()
    except Exception as error:
        if STALE not in str(error):
            raise
        return run()
