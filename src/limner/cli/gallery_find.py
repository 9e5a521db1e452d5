"""Several pictures at once, and the times a person means: ``yesterday``, ``7d``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from limner.errors import InvalidRequest
from limner.library.entries import Entry
from limner.library.store import Library

_AGO = re.compile(r"(\d{1,4})\s*([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_DAY = timedelta(days=1)


def find_all(library: Library, names: Iterable[str]) -> list[Entry]:
    """Each picture once, in the order given. Raises ``PictureNotFound`` for the first that is not there."""
    return list({entry.id: entry for entry in (library.get(name) for name in names)}.values())


def moment(text: str, option: str, *, end: bool = False, now: datetime | None = None) -> str:
    """A point in time as the library stores it (ISO 8601, UTC).

    ``text`` is an ISO date or time in local time, ``today``, ``yesterday``, or an age: ``12h``, ``7d``, ``2w``. A date
    means its first moment, or with ``end`` its last. Raises ``InvalidRequest`` naming the option.
    """
    here = (now or datetime.now(UTC)).astimezone()
    said = text.strip().lower()
    if age := _AGO.fullmatch(said):
        return _utc(here - timedelta(**{_UNITS[age[2]]: int(age[1])}))
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"today": midnight, "yesterday": midnight - _DAY}
    try:
        when = days.get(said) or datetime.fromisoformat(text.strip())
        is_date = said in days or re.fullmatch(r"[\d-]{8,10}", said) is not None
        return _utc(when + _DAY if end and is_date else when)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"--{option}: {text!r} is not a date",
            field=option,
            hint="write 2026-11-22, yesterday, or an age: 12h, 7d, 2w",
        ) from None


def _utc(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
