"""``limner plan --server URL``: what drawing would cost on a server's machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from limner.cli.console import out, say
from limner.cli.remote_http import Json, Remote
from limner.cli.sheet import duration, out_json, sheet, size

if TYPE_CHECKING:
    from pydantic import JsonValue


def plan(remote: Remote, request: Mapping[str, JsonValue], *, as_json: bool) -> int:
    """Print what a Request would cost there. Raises any ``LimnerError``."""
    found = remote.post("/api/v1/plan", request)
    plans = found.get("plans")
    assert isinstance(plans, list)
    if as_json:
        out_json(found)
        return 0
    first = plans[0]
    assert isinstance(first, dict)
    pictures = sum(len(seeds) for each in plans if isinstance(each, dict) and isinstance(seeds := each["seeds"], list))
    count = "1 picture" if pictures == 1 else f"{pictures} pictures"
    steps = f", {first['steps']} steps" if first["steps"] else ""
    out(f"{first['model']} on {remote.url}: {count} of {first['width']}x{first['height']}{steps}")
    estimate = first["estimate"]
    assert isinstance(estimate, dict)
    wait = float(str(found.get("wait") or 0))
    sheet(
        [
            ("download", size(_number(estimate, "download_bytes")) if estimate.get("download_bytes") else "nothing"),
            ("memory", size(_number(estimate, "peak_bytes"))),
            ("device", f"{first['device']}, {first['numerics']['dtype']}"),  # type: ignore[call-overload,index]
            ("time", f"about {duration(seconds)} a picture" if (seconds := _seconds(estimate)) else None),
            ("time goes by", str(estimate.get("basis") or "")),
            ("waits first", f"about {duration(wait)}" if wait else "for nothing"),
        ]
    )
    notices = first["notices"]
    for each in notices if isinstance(notices, list) else ():
        say(f"warning: {each['message']}", warn=True)  # type: ignore[call-overload,index]
    return 0


def _number(found: Json, name: str) -> int | None:
    value = found.get(name)
    return int(value) if isinstance(value, int | float) else None


def _seconds(estimate: Json) -> float | None:
    value = estimate.get("seconds_per_image")
    return float(value) if isinstance(value, int | float) else None
