"""From a picture's pixels to a file that says what it is: watermark, encode, metadata, signature last.

``Image.pixels`` stay as they were drawn; the file's carry the watermark. Everything that writes a picture's file goes
through here, so that no way out of Limner is without marks (``design/013-marks.md``).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from limner.config import Settings
from limner.errors import LimnerError, SigningError
from limner.library.files import Format, encode, format_name, opened, pixel_hash, read_bytes
from limner.library.metadata import of_image
from limner.safety.credentials import Claim, Parent
from limner.safety.signing import KEY_NOTICES, NOT_SIGNED, Signing
from limner.sampling.catalog import A1111_NAMES
from limner.types import Notice, Record, Source, Watermark

if TYPE_CHECKING:
    from limner.canonical import JSON
    from limner.types import Pixels

NO_WATERMARK = "no-watermark"
TOLD = frozenset({NO_WATERMARK, *KEY_NOTICES})
"""Codes of the notices that a user should hear of, not only the Record."""
_GENERATED = frozenset({"limner", "a1111", "comfyui", "invokeai", "fooocus", "sdnext"})
_UPSCALING = "upscale"


@dataclass(frozen=True, slots=True)
class Marked:
    """A picture's file: its bytes, and the Record that is in them and says which marks they carry."""

    data: bytes
    record: Record


@dataclass(slots=True)
class Marking:
    """Writes pictures' files with the marks that their Records ask for. Safe in several threads."""

    signing: Signing
    gentle: bool = False
    _warm: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, settings: Settings, *, offline: bool | None = None) -> Marking:
        """With the key that the settings name, else this installation's. ``offline``: no time-stamp authority is
        asked."""
        said = settings.signing
        timestamp = None if (settings.offline if offline is None else offline) else said.get("timestamp")
        certificate, private = (Path(said[name]) if name in said else None for name in ("certificate", "key"))
        signing = Signing(settings.credentials, certificate, private, timestamp)
        return cls(signing, gentle=settings.protection.watermark == "gentle")

    def warm(self, marks: str, size: tuple[int, int] | None = None) -> None:
        """Load what marking needs, while the picture is being drawn: libraries, the key, the pattern."""
        with self._warm:
            if marks != "none":
                with contextlib.suppress(SigningError):  # said of the picture, when it comes to be signed
                    self.signing.prepare()
            if marks == "full":
                _warm_watermark()

    def file(
        self, pixels: Pixels, record: Record, format: Format = "png", *, quality: int = 92, parent: Path | None = None
    ) -> Marked:
        """The file of H x W x 3 uint8 ``pixels``, as they were drawn or as they were marked before.

        ``parent`` is the file that the picture was drawn over, where it is at hand. What cannot be marked is written
        all the same, and said in the notices of the Record that comes back. Raises ``InvalidRequest`` for a format that
        is not written."""
        over = _parent(parent) if record.marks != "none" else None
        if record.watermark is None:  # a Record that has one is of a picture whose source is settled
            record = record.model_copy(update={"source": _source_of(record, over, parent)})
        shown, record = watermarked(pixels, record, gentle=self.gentle)
        if record.marks == "none":
            return Marked(_encoded(shown, record, format, quality), record)
        try:
            record = _noted(record, self.signing.prepare())
            data = _encoded(shown, record, format, quality)
            data, late = self.signing.sign(data, format, claim_of(record, over))
            if not late:
                return Marked(data, record)
            record = _noted(record, late)
            plain = _encoded(shown, record, format, quality)  # said inside of the file, too
            return Marked(self.signing.sign(plain, format, claim_of(record, over))[0], record)
        except SigningError as error:
            message = f"saved without a signed manifest (C2PA): {error.message}"
            record = _noted(record, (Notice(code=NOT_SIGNED, message=message),))
            return Marked(_encoded(shown, record, format, quality), record)

    def composed(self, data: bytes, format: Format, records: Sequence[Record]) -> tuple[bytes, tuple[Notice, ...]]:
        """A file put together of several pictures (a strip, an animation), signed as such; what could not be done."""
        if all(record.marks == "none" for record in records):
            return data, ()
        picture: dict[str, JSON] = {"frames": [record.image_key for record in records]}
        claim = Claim(records[0].source, records[-1].created, picture)
        try:
            notices = self.signing.prepare()
            signed, late = self.signing.sign(data, format, claim)
        except SigningError as error:
            message = f"saved without a signed manifest (C2PA): {error.message}"
            return data, (Notice(code=NOT_SIGNED, message=message),)
        return signed, (*notices, *late)


def claim_of(record: Record, parent: Parent | None = None) -> Claim:
    """What the manifest says of a Record's picture: no word of the prompt."""
    model: Mapping[str, JSON] = record.model.model_dump(mode="json", include={"name", "family", "repo", "commit"})
    mark = record.watermark
    picture: dict[str, JSON] = {
        "image_key": record.image_key,
        "pixel_hash": record.pixel_hash,
        "model": {name: value for name, value in model.items() if value is not None},
        "safety": record.level,
        "marks": record.marks,
    }
    if mark is not None:
        picture |= {"watermark": mark.payload, "marked_pixel_hash": mark.pixel_hash}
    return Claim(record.source, record.created, picture, over=record.request.init is not None, parent=parent)


def watermarked(pixels: Pixels, record: Record, *, gentle: bool = False) -> tuple[Pixels, Record]:
    """The pixels with the watermark that the Record asks for, and the Record that says so. Those which carry it are
    given back as they are: nothing is marked twice."""
    mark = record.watermark
    if record.marks != "full" or _has(record, NO_WATERMARK):
        return pixels, record
    if mark is not None and (mark.strength == 0 or pixel_hash(pixels) == mark.pixel_hash):
        return pixels, record
    try:
        return _watermarked(pixels, record, gentle=gentle)
    except (LimnerError, ImportError, MemoryError) as error:  # the picture is worth more than its mark
        notice = Notice(code=NO_WATERMARK, message=f"saved without an invisible watermark: {error}")
        return pixels, _noted(record, (notice,))


def _watermarked(pixels: Pixels, record: Record, *, gentle: bool) -> tuple[Pixels, Record]:
    from limner.safety.watermark import embed, payload_of, remark

    payload = payload_of(record.image_key)
    if (mark := record.watermark) is not None and pixel_hash(pixels) == record.pixel_hash:
        return embed(pixels, payload, strength=mark.strength).pixels, record  # the same bytes as the first time
    changed = mark is not None  # neither as drawn nor as marked: somebody's edit, which may still carry the mark
    marked = (remark if changed or record.request.init is not None else embed)(pixels, payload, gentle=gentle)
    if changed:
        return marked.pixels, record
    if marked.strength == 0 and not marked.sure:
        message = f"saved without an invisible watermark: {marked.why_not}"
        return pixels, _noted(record, (Notice(code=NO_WATERMARK, message=message),))
    notices = []
    if marked.strength == 0:
        notices.append(Notice(code="watermark-of-parent", message=marked.why_not))
    elif not marked.sure:
        message = "the watermark is faint in this picture: it may not be found again once the file is changed"
        notices.append(Notice(code="faint-watermark", message=message))
    mark = Watermark(payload=f"{marked.payload:08x}", strength=marked.strength, pixel_hash=pixel_hash(marked.pixels))
    return marked.pixels, _noted(record.model_copy(update={"watermark": mark}), notices)


def _warm_watermark() -> None:
    import numpy as np

    from limner.safety.watermark import embed

    embed(np.zeros((64, 64, 3), np.uint8), 0)


def _encoded(pixels: Pixels, record: Record, format: Format, quality: int) -> bytes:
    return encode(pixels, record, format, quality=quality, sampler_names=A1111_NAMES)


def _noted(record: Record, notices: tuple[Notice, ...] | list[Notice]) -> Record:
    new = [notice for notice in notices if notice not in record.notices]
    return record.model_copy(update={"notices": (*record.notices, *new)}) if new else record


def _has(record: Record, code: str) -> bool:
    return any(notice.code == code for notice in record.notices)


def _parent(path: Path | None) -> Parent | None:
    """A start picture's file; ``None`` where it is gone or no picture: then the manifest says only that there was
    one."""
    if path is None:
        return None
    try:
        with opened(path) as image:
            return Parent(read_bytes(path), format_name(image))
    except LimnerError:
        return None


def _source_of(record: Record, parent: Parent | None, path: Path | None) -> Source:
    """IPTC's term. What was drawn over, or enlarged from, a picture that says it was generated is generated."""
    if record.request.init is None or (parent is not None and path is not None and _says_generated(path)):
        return "trainedAlgorithmicMedia"
    if record.recipe.family == _UPSCALING:
        return "algorithmicallyEnhanced"
    return "compositeWithTrainedAlgorithmicMedia"


def _says_generated(path: Path) -> bool:
    try:
        with opened(path) as image:
            found = of_image(image)
    except LimnerError:
        return False
    return found.source in _GENERATED or any("trainedAlgorithmicMedia" in text for text in found.raw.values())
