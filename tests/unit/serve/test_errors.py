"""Every error of Limner's has a status; none of them is an accident."""

from __future__ import annotations

import pytest

from limner import errors
from limner.errors import LimnerError
from limner.serve.errors import fault_of, fault_of_trouble
from limner.serve.jobs import Trouble
from limner.serve.service import Draining, QueueFull

MADE: tuple[LimnerError, ...] = (
    errors.InvalidRequest("x", field="steps", hint="y"),
    errors.UnknownName("model", "sdx", ["sdxl"]),
    errors.ModelNotFound("x"),
    errors.UnsafeFile("x"),
    errors.MissingExtra("models", ["diffusers"]),
    errors.NetworkError("x"),
    errors.OfflineError("x"),
    errors.OutOfMemory("x"),
    errors.StorageError("x"),
    errors.DeviceError("x"),
    errors.ScorerOutOfDomain("x"),
    errors.Refused("x", category="sexual", rule="r"),
    errors.PictureNotFound("x"),
    errors.UnreadablePicture("x"),
    errors.LibraryError("x"),
    errors.GenerationError("x"),
    QueueFull(3, 2.5),
    Draining("x"),
)


@pytest.mark.parametrize("error", MADE, ids=lambda error: error.code)
def test_an_error_and_a_job_that_failed_with_it_have_one_status(error: LimnerError) -> None:
    found = fault_of(error)
    assert 400 <= found.status < 600
    assert (found.status == 500) == isinstance(error, errors.GenerationError)
    assert found.trouble.code == error.code
    assert found.headers["x-should-retry"] in ("true", "false")
    assert fault_of_trouble(Trouble.of(error)).status == found.status


def test_a_full_queue_says_when() -> None:
    assert fault_of(QueueFull(3, 2.5)).headers["retry-after"] == "3"


def test_a_fault_of_ours_tells_a_stranger_nothing() -> None:
    found = fault_of(ValueError("/home/someone/secret"))
    assert found.status == 500
    assert "secret" not in found.trouble.model_dump_json()
