"""What is looked up by id and is not there, and what files said, as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import JsonValue

from limner.errors import PictureNotFound


class NoSuchJob(PictureNotFound):
    """No job has this id (any more)."""

    code = "job_not_found"

    def __init__(self, id: str) -> None:
        super().__init__(f"there is no job {id}", hint="jobs that are over are forgotten after a while")


def as_json(fields: Mapping[str, object]) -> dict[str, JsonValue]:
    """What a picture's file said, less what JSON cannot say."""
    return {
        name: value
        for name, value in fields.items()
        if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))
    }
