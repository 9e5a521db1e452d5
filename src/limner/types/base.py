"""What the other types stand on: the frozen model, the small vocabularies, pixels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8]
    """Height x width x 3, uint8, sRGB."""
else:
    Pixels = object  # numpy is not worth its import time to requests that fail validation

SCHEMA = 1

Speed = Literal["exact", "balanced", "fast"]
Batching = Literal["alone", "shared"]
Dtype = Literal["float32", "bfloat16", "float16"]
Marks = Literal["full", "metadata", "none"]
Metadata = Literal["full", "minimal"]
SafetyLevel = Literal["strict", "standard", "adult"]


class Frozen(BaseModel):
    """Immutable, strict about names, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Protection(Frozen):
    """What is refused, and what a picture's file carries.

    ``marks``: ``full`` is an invisible watermark, a signed manifest (C2PA) and the source type in XMP; ``metadata`` is
    without the watermark; ``none`` without all three. ``metadata="minimal"`` keeps the words and settings out of the
    file; the library has them. ``watermark="gentle"`` marks flat pictures less, and so less surely.
    """

    level: SafetyLevel = "standard"
    marks: Marks = "full"
    metadata: Metadata = "full"
    watermark: Literal["auto", "gentle"] = "auto"


class Notice(Frozen):
    """Something the user should know: truncated text, a retry, a clipped value. Never only a log line."""

    code: str
    message: str


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
