"""Every error Limner raises on purpose, in one tree.

::

    LimnerError                      exit 1
    ├── InvalidRequest               exit 2   the words of the request are wrong; nothing was loaded
    │   ├── UnknownName              a model, solver, style ... that does not exist; names the nearest
    │   └── UnsupportedField         the family cannot honour a field that was set
    ├── ConfigError                  exit 2   a settings file or environment variable is wrong
    ├── ModelError                   exit 3
    │   ├── ModelNotFound            no such repo, folder or file
    │   ├── UnsafeFile               a pickle, or a file built to do harm; never opened further
    │   ├── CorruptFile              truncated, changed or malformed
    │   ├── MismatchedWeights        keys or shapes are not those of the architecture
    │   ├── MissingExtra             the model needs a library that is not installed
    │   ├── NetworkError             the hub could not be reached, or forbade it
    │   └── OfflineError             the network is needed and --offline forbids it
    ├── ResourceError                exit 4
    │   ├── OutOfMemory              does not fit, also in the smallest batch
    │   ├── StorageError             disk full, folder not writable
    │   ├── SigningError             a picture could not be signed: key, certificate or library
    │   └── DeviceError              device or dtype not available here
    ├── GenerationError              exit 5
    │   └── NonFinite                the network answered NaN or infinity
    ├── EvidenceError                exit 8
    │   ├── ScorerOutOfDomain        the scorer does not know such pictures; names the one that does
    │   └── NotIndependent           one scorer would judge what its like has chosen
    ├── Refused                      exit 6   policy
    ├── LibraryError                 exit 7
    │   ├── PictureNotFound          no such picture in the library, or no such file
    │   └── UnreadablePicture        the file is not a picture, or is damaged
    └── Cancelled                    exit 130

Each carries what happened (``str(error)``), what to do next (``hint``) and a stable ``code`` for machines.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class LimnerError(Exception):
    """Base of all errors raised on purpose. ``hint`` says what to do next; ``exit_code`` is the process's."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def message(self) -> str:
        return str(self.args[0])


class InvalidRequest(LimnerError):
    """A request that cannot be carried out as written. ``field`` is the Request's field, where one is to blame."""

    exit_code = 2
    code = "invalid_request"

    def __init__(self, message: str, *, field: str | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field = field


class UnknownName(InvalidRequest):
    """A name that no catalog or registry knows. The message offers the nearest known ones."""

    code = "unknown_name"

    def __init__(
        self,
        kind: str,
        name: str,
        known: Iterable[str],
        *,
        field: str | None = None,
        hint: str = "",
        listed: Iterable[str] | None = None,
    ) -> None:
        """``known`` is searched for near names; ``listed`` (default: all of them) is shown where none is near."""
        choices = sorted(known)
        near = difflib.get_close_matches(name.lower(), choices, n=3, cutoff=0.5)
        if not hint:
            shown = choices if listed is None else list(listed)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(shown)}"
        super().__init__(f"there is no {kind} called {name!r}", field=field or kind, hint=hint)
        self.kind = kind
        self.name = name
        self.nearest = tuple(near)


class UnsupportedField(InvalidRequest):
    code = "unsupported_field"


class ConfigError(LimnerError):
    exit_code = 2
    code = "config"


class ModelError(LimnerError):
    exit_code = 3
    code = "model"


class ModelNotFound(ModelError):
    code = "model_not_found"


class UnsafeFile(ModelError):
    code = "unsafe_file"


class CorruptFile(ModelError):
    code = "corrupt_file"


class MismatchedWeights(ModelError):
    code = "mismatched_weights"


class MissingExtra(ModelError):
    """``extra`` is the optional part of Limner, in ``pyproject.toml``, that brings the ``missing`` libraries."""

    code = "missing_extra"

    def __init__(self, extra: str, missing: Iterable[str]) -> None:
        names = " and ".join(sorted(missing))
        super().__init__(
            f"{names} must be installed for this",
            hint=f"in Limner's folder: .venv/bin/python -m pip install -c constraints.txt -e '.[{extra}]'",
        )
        self.extra = extra


class NetworkError(ModelError):
    code = "network"


class OfflineError(ModelError):
    code = "offline"


class ResourceError(LimnerError):
    exit_code = 4
    code = "resource"


class OutOfMemory(ResourceError):
    code = "out_of_memory"


class StorageError(ResourceError):
    code = "storage"


class SigningError(ResourceError):
    """``certificate``: the key or its certificate is to blame, so that another one may do."""

    code = "signing"

    def __init__(self, message: str, *, hint: str = "", certificate: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.certificate = certificate


class DeviceError(ResourceError):
    code = "device"


class GenerationError(LimnerError):
    exit_code = 5
    code = "generation"


class NonFinite(GenerationError):
    code = "non_finite"


class EvidenceError(LimnerError):
    exit_code = 8
    code = "evidence"


class ScorerOutOfDomain(EvidenceError):
    code = "scorer_out_of_domain"


class NotIndependent(EvidenceError):
    code = "not_independent"


class Refused(LimnerError):
    """What policy forbids. ``category`` and ``rule`` name why, ``quoted`` are the words of the request (none where it
    was the picture), ``passes`` says what would not be refused."""

    exit_code = 6
    code = "moderation_blocked"

    def __init__(
        self,
        message: str,
        *,
        category: str = "",
        rule: str = "",
        quoted: Iterable[str] = (),
        passes: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint or passes)
        self.category = category
        self.rule = rule
        self.quoted = tuple(quoted)
        self.passes = passes

    def details(self) -> dict[str, object]:
        """What a machine wants to know beside code, message and hint."""
        return {"category": self.category, "rule": self.rule, "quoted": list(self.quoted), "passes": self.passes}


class LibraryError(LimnerError):
    exit_code = 7
    code = "library"


class PictureNotFound(LibraryError):
    code = "picture_not_found"


class UnreadablePicture(LibraryError):
    code = "unreadable_picture"


class Cancelled(LimnerError):
    exit_code = 130
    code = "cancelled"
