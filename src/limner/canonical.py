"""Canonical JSON and tagged content hashes: the same value gives the same bytes on every machine.

Canonical JSON here: UTF-8, keys sorted by code point, no spaces, floats as Python's shortest round-trip form, integers
stay integers, no NaN or infinity. Hashes carry their algorithm (``sha256:...``) so that a later one can live beside it.
The encoding is a contract: stored identities depend on it, and ``tests/unit/test_canonical.py`` pins examples.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"


def canonical_json(value: object) -> bytes:
    """Encode ``value`` (JSON types only). Raises ``ValueError`` for NaN and infinity, ``TypeError`` for other types."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def tagged(data: bytes) -> str:
    """``sha256:<64 hex digits>`` of some bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def content_hash(value: object) -> str:
    """Tagged hash of the canonical JSON of ``value``."""
    return tagged(canonical_json(value))


def file_hash(path: Path) -> str:
    """Tagged hash of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
