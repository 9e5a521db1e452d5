"""What is looked up by id and is not there."""

from __future__ import annotations

from limner.errors import PictureNotFound


class NoSuchJob(PictureNotFound):
    """No job has this id (any more)."""

    code = "job_not_found"

    def __init__(self, id: str) -> None:
        super().__init__(f"there is no job {id}", hint="jobs that are over are forgotten after a while")
