"""Pictures out of the library with other marks than their files carry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from limner.cli.console import say
from limner.config import Settings
from limner.disk import write_atomic
from limner.library.entries import Entry
from limner.library.files import decode
from limner.marking import TOLD, Marking
from limner.types import Notice, Record


class Remarking:
    """Writes files anew, as PNG, with the marks asked for. The library's own stay as they are."""

    def __init__(self, settings: Settings, marks: str | None, metadata: str | None) -> None:
        self._settings = settings.protected("flag", marks=marks, metadata=metadata)
        self._marking = Marking.of(self._settings)
        self._marks, self._metadata = marks, metadata
        self._said: set[str] = set()

    def export(self, entry: Entry, folder: Path) -> Path | None:
        """One picture; nothing there is overwritten. ``None`` where it is not ours: such a file is only copied. Raises
        ``LibraryError`` where its file is gone or damaged, ``StorageError``."""
        if entry.record is None:
            self._say("unmarked", "another program's pictures are copied as they are")
            return None
        said = {"marks": self._marks, "metadata": self._metadata}
        record = entry.record.model_copy(update={name: value for name, value in said.items() if value is not None})
        if entry.record.watermark is not None and record.marks != "full":
            message = (
                "the watermark is in the pixels and stays: the library keeps no picture without it; "
                f"limner replay ID -o FILE --marks {record.marks} draws one"
            )
            self._say("watermark", message)
        elif entry.format != "png":
            self._say("format", "JPEG and WebP files are exported as PNG, so that their pixels stay as they are")
        target = folder / f"{entry.id}.png"
        if not target.exists():
            file = self._marking.file(decode(entry.path), record)
            self._tell(record, file.record.notices)
            write_atomic(target, file.data)
        return target

    def _tell(self, record: Record, notices: Sequence[Notice]) -> None:
        for notice in notices:
            if notice.code in TOLD and notice not in record.notices:
                self._say(notice.code, notice.message)

    def _say(self, code: str, message: str) -> None:
        if code not in self._said:
            self._said.add(code)
            say(message, warn=True)
