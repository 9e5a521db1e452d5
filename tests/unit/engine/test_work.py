"""Work beside drawing: on the engine's thread, between steps, and never lost without a word."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from limner import Request, Session
from limner.config import Settings
from limner.engine.backend import Local
from limner.errors import GenerationError, OutOfMemory
from limner.types import Done, Step

FOX = Request(prompt="a red fox", seed=1, steps=20, width=32, height=32)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session(settings=Settings.load(tmp_path, {}), offline=True, keep=False) as made:
        yield made


@pytest.fixture
def backend(session: Session) -> Local:
    found = session._backend
    assert isinstance(found, Local)
    return found


def test_work_runs_where_torch_may_be_called(backend: Local) -> None:
    def look() -> tuple[str, bool]:
        return threading.current_thread().name, torch.is_inference_mode_enabled()

    assert backend.compute(look).result(60) == ("limner-engine", True)


def test_an_error_is_the_works_own_and_the_thread_goes_on(backend: Local) -> None:
    def fail() -> int:
        raise KeyError("mine")

    failed = backend.compute(fail)
    with pytest.raises(KeyError, match="mine"):
        failed.result(60)
    assert backend.compute(lambda: 2).result(60) == 2


def test_out_of_memory_is_said_in_our_words(backend: Local) -> None:
    def starve() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemory, match="does not fit"):
        backend.compute(starve).result(60)


def test_drawing_goes_on_between_pieces_of_work(session: Session, backend: Local) -> None:
    (plan,) = session.plan(FOX)
    ticket = backend.submit(plan)
    seen = [backend.compute(lambda: ticket._tidings.qsize()) for _ in range(12)]
    told = [future.result(60) for future in seen]  # how much the ticket had been told when each ran
    tidings = list(ticket)
    assert isinstance(tidings[-1], Done)
    assert told[-1] < len(tidings)  # none waited for the picture
    assert told[0] < told[-1]  # nor did the picture wait for all of them
    assert sum(isinstance(tiding, Step) for tiding in tidings) >= FOX.steps  # type: ignore[operator]


def test_what_was_taken_back_before_its_turn_is_not_run(backend: Local) -> None:
    held, ran = threading.Event(), []
    first = backend.compute(lambda: held.wait(60))
    second = backend.compute(lambda: ran.append(1))
    assert second.cancel()
    held.set()
    first.result(60)
    assert backend.compute(lambda: list(ran)).result(60) == []


def test_a_closed_backend_refuses_work_that_waits_and_that_comes(backend: Local) -> None:
    held = threading.Event()
    first = backend.compute(lambda: held.wait(60))
    closing = threading.Thread(target=backend.close)
    closing.start()
    held.set()
    closing.join()
    assert first.done()
    with pytest.raises(GenerationError, match="closed"):
        backend.compute(lambda: 1)
