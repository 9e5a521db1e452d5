"""The hub library's exceptions as ours: what happened to which repo, and what to do next."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from limner.errors import LimnerError, ModelNotFound, NetworkError, OfflineError, StorageError
from limner.models.hub.cache import RepoName, cache_folder

LOG_IN = "log in with `hf auth login`, and accept the model's terms at https://huggingface.co/{repo} if it has any"
NEW_TOKEN = "log in anew with `hf auth login`; if HF_TOKEN is set, it may be out of date: renew or unset it"
WRONG_TOKEN = re.compile(r"invalid (credentials|username|user token|token)|token .*(expired|invalid)", re.IGNORECASE)
WITH_NETWORK = (
    "with the network: limner plan -m {name} fetches its config files alone, limner models pull {name} all of it"
)
RETRY = "check the connection and run the same command again; files that arrived are kept"
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
TRANSPORTS = ("httpx", "httpcore", "requests", "urllib3", "hf_xet", "ssl", "socket")


@contextmanager
def translated(name: RepoName, file: str = "") -> Iterator[None]:
    """Turns whatever the hub's library raises inside into a ``LimnerError``; anything else passes."""
    try:
        yield
    except Exception as error:
        ours = _ours(error, name, file)
        if ours is None:
            raise
        raise ours from error


def _ours(error: Exception, name: RepoName, file: str) -> LimnerError | None:
    from huggingface_hub import errors

    what = f"{file} of {name.repo}" if file else name.repo
    for each in _chain(error):
        if isinstance(each, errors.OfflineModeIsEnabled):
            return OfflineError(
                f"{what} is needed, and HF_HUB_OFFLINE forbids the network", hint="unset it and try again"
            )
        if isinstance(each, errors.GatedRepoError):
            return _gated(each.response.status_code, name.repo)
        if isinstance(each, errors.RevisionNotFoundError):
            return ModelNotFound(f"{name.repo} has no revision {name.revision!r}", hint="look at the model's page")
        if isinstance(each, errors.RepositoryNotFoundError):
            return ModelNotFound(
                f"the Hugging Face hub has no model {name.repo!r}, or it is private",
                hint="check its spelling; for a private model log in with `hf auth login`",
            )
        if isinstance(each, errors.EntryNotFoundError) and not isinstance(each, errors.LocalEntryNotFoundError):
            return ModelNotFound(f"there is no {what} on the hub", hint="try again, or choose another revision")
        if isinstance(each, errors.HfHubHTTPError):
            return _status(each.response.status_code, what, str(each), name.repo)
        if isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT):
            return StorageError(f"the disk is full: {what} could not be stored", hint=f"make room in {cache_folder()}")
        if isinstance(each, OSError) and each.errno in UNWRITABLE:
            return StorageError(f"the hub's cache cannot be written: {each.strerror}", hint=f"look at {cache_folder()}")
    return _unreached(error, what)


def _unreached(error: Exception, what: str) -> LimnerError | None:
    network = (ConnectionError, TimeoutError)
    for each in _chain(error):
        if isinstance(each, network) or type(each).__module__.split(".")[0].rstrip("2") in TRANSPORTS:
            return NetworkError(f"the Hugging Face hub could not be reached for {what}: {_short(each)}", hint=RETRY)
    if isinstance(error, OSError):  # a transfer whose length is wrong, and what else the library reports this way
        return NetworkError(f"{what} could not be fetched: {_short(error)}", hint=RETRY)
    if isinstance(error, RuntimeError):  # the Rust transfer library's only class
        return NetworkError(f"{what} could not be fetched: {_short(error)}", hint=RETRY)
    return None


def _gated(status: int, repo: str) -> NetworkError:
    page = f"https://huggingface.co/{repo}"
    if status == 403:  # the hub knows who asks
        hint = f"accept its terms at {page} (some are granted by hand), logged in as who you are here: `hf auth login`"
    else:
        hint = f"accept its terms at {page}, then log in with `hf auth login`"
    return NetworkError(f"{repo} is gated: the hub gives it to those who accepted its licence", hint=hint)


def _status(status: int, what: str, said: str, repo: str) -> NetworkError:
    if status == 401 and WRONG_TOKEN.search(said):
        return NetworkError(f"the hub refused {what}: it does not accept your access token", hint=NEW_TOKEN)
    if status in (401, 403):
        return NetworkError(f"the hub refused {what} (HTTP {status})", hint=LOG_IN.format(repo=repo))
    if status == 429:
        return NetworkError(f"the hub asks to wait before fetching {what} (HTTP 429)", hint="try again in some minutes")
    return NetworkError(f"the hub failed on {what} (HTTP {status})", hint="try again later; finished files are kept")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, the outermost first."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _short(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
