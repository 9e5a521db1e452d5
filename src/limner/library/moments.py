"""The times that a person means: ``yesterday``, ``7d``, ``2026-11``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from limner.errors import InvalidRequest

_AGO = re.compile(r"(\d{1,4})\s*([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_DAY = timedelta(days=1)
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


def moment(text: str, option: str, *, end: bool = False, now: datetime | None = None) -> str:
    """A point in time as the library stores it (ISO 8601, UTC).

    ``text`` is an ISO date, month or time in local time, ``today``, ``yesterday``, or an age: ``12h``, ``7d``, ``2w``.
    A date or month means its first moment, or with ``end`` its last. Raises ``InvalidRequest`` naming the option.
    """
    here = (now or datetime.now(UTC)).astimezone()
    said = text.strip().lower()
    if age := _AGO.fullmatch(said):
        return _utc(here - timedelta(**{_UNITS[age[2]]: int(age[1])}))
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    if month := _MONTH.fullmatch(said):
        return _utc(_month(int(month[1]), int(month[2]), end=end))
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


def _month(year: int, month: int, *, end: bool) -> datetime:
    following = month + end
    return datetime(year + following // 13, (following - 1) % 12 + 1, 1).astimezone()


def _utc(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
