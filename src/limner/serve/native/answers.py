"""What ``/api/v1`` answers: jobs, and what is wrong."""

from __future__ import annotations

from typing import Any, Self

from limner.serve.jobs import Body, Job, Kind, State, Trouble
from limner.serve.service import Service
from limner.types import Notice
from limner.types.base import Frozen


class ErrorBody(Frozen):
    """What is wrong, and what to do about it."""

    error: Trouble


FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": words}
    for status, words in (
        (400, "not JSON, or not HTTP as it should be"),
        (401, "the token is missing or wrong"),
        (403, "policy forbids it, or another site asks"),
        (404, "there is no such thing"),
        (405, "not this way"),
        (408, "the request was not sent in time"),
        (409, "not in this state, or not offline"),
        (413, "too large"),
        (415, "another content type is needed"),
        (421, "another host is meant"),
        (422, "the values are wrong"),
        (429, "the queue is full; Retry-After says when it may have room"),
        (501, "a library is not installed"),
        (502, "the hub could not be reached"),
        (503, "the server is stopping, or its library cannot be used"),
        (507, "the disk is full"),
    )
}
"""Every way to fail, for the OpenAPI document."""


class JobView(Frozen):
    """A job: ``place`` counts from 1 among those waiting, ``wait`` is a guess at seconds until it begins.

    Times are seconds since the epoch. ``pictures`` are library ids by index, ``null`` where not made (yet)."""

    id: str
    kind: Kind
    state: State
    title: str
    client: str
    n: int
    attempts: int
    created: float
    started: float | None
    ended: float | None
    deadline: float | None
    place: int | None
    wait: float | None
    pictures: tuple[str | None, ...]
    notices: tuple[Notice, ...]
    body: Body
    result: Body | None
    error: Trouble | None

    @classmethod
    def of(cls, job: Job, service: Service) -> Self:
        said = {name: getattr(job, name) for name in cls.model_fields if name != "wait"}
        return cls(**said, wait=service.seconds_until(job))


class JobList(Frozen):
    """A page of jobs. ``next``: the ``before`` of the next page, ``null`` at the end. ``waiting``: pictures to come."""

    jobs: tuple[JobView, ...]
    next: float | None
    waiting: int
