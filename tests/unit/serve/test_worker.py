"""The worker's loop: jobs beside each other, each with one end, whatever it meets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import pytest
from pydantic import JsonValue

from limner.errors import Cancelled, GenerationError
from limner.serve import worker as module
from limner.serve.jobs import Ask, Body, Kind
from limner.serve.wire import Frame, packed, read
from limner.serve.work.tell import Work
from limner.serve.worker import Worker


class Talk:
    """The server's ends of the two pipes."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink

    def say(self, frame: Frame) -> None:
        self._sink.write(packed(frame))
        self._sink.flush()

    def begin(self, job: str, kind: str = "draw", **fields: object) -> None:
        ask = Ask.model_validate({"kind": kind, "body": {}, **fields}).model_dump(mode="json")
        self.say(Frame("run", {"job": job, "ask": ask, "made": {"1": "p"}}))

    def hear(self) -> Frame:
        while (frame := read(self._source)) is not None and frame.type == "beat":
            pass
        assert frame is not None
        return frame

    def end(self) -> None:
        if not self._sink.closed:
            self._sink.close()


@contextmanager
def working(handler: Callable[[Work], Body], closed: Callable[[], None] = lambda: None) -> Iterator[Talk]:
    (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe(), os.pipe()
    with os.fdopen(ours_in, "rb") as hears, os.fdopen(theirs_in, "rb") as source, os.fdopen(theirs_out, "wb") as sink:
        talk = Talk(hears, os.fdopen(ours_out, "wb"))
        thread = threading.Thread(target=Worker(source, sink, lambda kind: handler, closed).serve)
        thread.start()
        try:
            assert talk.hear().type == "ready"
            yield talk
        finally:
            talk.end()
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No beat and no end of the process while these tests run."""
    monkeypatch.setattr(module, "BEAT", 10**6)
    monkeypatch.setattr(module, "LAST", 10**6)


def test_jobs_are_done_beside_each_other_and_told_apart() -> None:
    both = threading.Barrier(2, timeout=20)

    def handler(work: Work) -> Body:
        both.wait()
        work.tell("note", b"blob", text=work.job)
        return {"made": dict(work.made)[1]}

    with working(handler) as talk:
        talk.begin("a")
        talk.begin("b")
        frames = [talk.hear() for _ in range(4)]
    notes = {str(each.data["job"]): each for each in frames if each.type == "tiding"}
    ends = {str(each.data["job"]): each.data for each in frames if each.type == "end"}
    assert {name: each.data["data"] for name, each in notes.items()} == {"a": {"text": "a"}, "b": {"text": "b"}}
    assert all(each.blob == b"blob" for each in notes.values())
    assert ends == {name: {"job": name, "state": "done", "result": {"made": "p"}} for name in "ab"}


@pytest.mark.parametrize(
    ("error", "state", "fatal"),
    [
        (Cancelled("stopped"), "cancelled", None),
        (GenerationError("no"), "failed", False),
        (ValueError("a bug"), "failed", False),
        (SystemExit(3), "failed", False),
        (RuntimeError("CUDA error: device-side assert triggered"), "failed", True),
    ],
)
def test_every_job_has_an_end(
    error: BaseException, state: str, fatal: bool | None, capsys: pytest.CaptureFixture[str]
) -> None:
    def handler(work: Work) -> Body:
        raise error

    with working(handler) as talk:
        talk.begin("a")
        end: Mapping[str, JsonValue] = talk.hear().data
    assert (end["state"], end.get("fatal")) == (state, fatal)


def test_a_job_it_cannot_read_fails_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with working(lambda work: {}) as talk:
        talk.say(Frame("run", {"job": "a", "ask": {"kind": "juggle"}}))
        assert talk.hear().data["state"] == "failed"
        talk.begin("b")
        assert talk.hear().data["state"] == "done"


def test_a_kind_without_a_handler_fails_alone(capsys: pytest.CaptureFixture[str]) -> None:
    (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe(), os.pipe()

    def handler(kind: Kind) -> Callable[[Work], Body]:
        raise KeyError(kind)

    with os.fdopen(ours_in, "rb") as hears, os.fdopen(theirs_in, "rb") as source, os.fdopen(theirs_out, "wb") as sink:
        talk = Talk(hears, os.fdopen(ours_out, "wb"))
        thread = threading.Thread(target=Worker(source, sink, handler, lambda: None).serve)
        thread.start()
        assert talk.hear().type == "ready"
        talk.begin("a")
        assert talk.hear().data["state"] == "failed"
        talk.end()
        thread.join(20)


def test_it_stops_a_job_and_all_of_them_when_the_server_has_gone() -> None:
    closed = threading.Event()

    def handler(work: Work) -> Body:
        stopped = threading.Event()
        work.on_stop(stopped.set)
        assert stopped.wait(20)
        work.check()
        return {}

    with working(handler, closed.set) as talk:
        talk.begin("a")
        talk.begin("b")
        talk.say(Frame("stop", {"job": "a"}))
        talk.say(Frame("stop", {"job": "nobody"}))
        end = talk.hear().data
        assert (end["job"], end["state"]) == ("a", "cancelled")
        talk.end()
        end = talk.hear().data
        assert (end["job"], end["state"]) == ("b", "cancelled")
        assert closed.wait(20)
