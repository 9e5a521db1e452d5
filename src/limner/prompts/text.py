"""Reading the text files people hand us: UTF-8 with or without a BOM, bounded, errors naming the line."""

from __future__ import annotations

from pathlib import Path

from limner.errors import InvalidRequest


def read_text(path: Path, *, limit: int, what: str, field: str | None = None) -> str:
    r"""The file's text, line ends as ``\n``. ``limit`` is in bytes; ``what`` names the file in messages.

    Raises InvalidRequest for a file that is missing, unreadable, larger than ``limit`` or not UTF-8.
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise InvalidRequest(
                f"{what} {path} is {size / 1e6:,.1f} MB; the limit is {limit / 1e6:,.0f} MB",
                field=field,
                hint="split it",
            )
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidRequest(f"{what} {path} cannot be read: {reason}", field=field, hint="check the path") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidRequest(f"{what} {path} is UTF-16", field=field, hint="save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidRequest(f"{what} {path}, line {line}: not UTF-8", field=field, hint="save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
