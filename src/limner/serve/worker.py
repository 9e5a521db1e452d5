"""The worker process: one Session, which owns the engine, and a thread for each job under way.

``python -m limner.serve.worker`` is started by the server and speaks frames on its standard input and output. It ends
when its input does: a worker outlives its server by seconds at most.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, BinaryIO, Protocol

from pydantic import JsonValue

from limner.errors import Cancelled, LimnerError, UnknownName
from limner.serve.jobs import Ask, Body, Kind, TidingType, Trouble
from limner.serve.wire import Frame, packed, read
from limner.serve.work.tell import Work

if TYPE_CHECKING:
    from limner.session import Session

BEAT = 2.0  # seconds
MOST_TRACE = 10_000  # characters
LAST = 8.0  # seconds for what is being stored when the server goes
HANDLERS: Mapping[Kind, str] = {
    "draw": "limner.serve.work.draw",
    "upscale": "limner.serve.work.upscale",
    "score": "limner.serve.work.score",
    "refine": "limner.serve.work.refine",
    "compare": "limner.serve.work.compare",
    "pull": "limner.serve.work.pull",
}
"""The module of each kind of job; its ``run(session, work)`` does it."""


class Run(Protocol):
    def __call__(self, session: Session, work: Work) -> Body: ...


class Worker:
    """``handler`` gives the function of a kind of job; ``close`` lets go of what the jobs used."""

    def __init__(
        self,
        source: BinaryIO,
        sink: BinaryIO,
        handler: Callable[[Kind], Callable[[Work], Body]],
        close: Callable[[], None],
    ) -> None:
        self._source, self._sink, self._handler, self._close = source, sink, handler, close
        self._sending = threading.Lock()
        self._jobs: dict[str, Work] = {}

    def serve(self) -> None:
        """Until the server says so, or is gone."""
        self.send(Frame("ready", {"pid": os.getpid()}))
        threading.Thread(target=self._beat, name="limner-beat", daemon=True).start()
        while (frame := read(self._source)) is not None:
            if frame.type == "run":
                self._begin(frame)
            elif frame.type == "stop":
                if (work := self._jobs.get(str(frame.data["job"]))) is not None:
                    work.stop()
            elif frame.type == "close":
                break
        last = threading.Timer(LAST, os._exit, (0,))  # the next server waits for this process
        last.daemon = True
        last.start()
        for work in list(self._jobs.values()):
            work.stop()
        self._close()

    def send(self, frame: Frame) -> None:
        data = packed(frame)
        with self._sending:
            try:
                self._sink.write(data)
                self._sink.flush()
            except (OSError, ValueError):  # the server is gone; there is nobody to tell
                os._exit(0)

    def _beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(BEAT):
            self.send(Frame("beat"))

    def _begin(self, frame: Frame) -> None:
        job = str(frame.data["job"])
        try:
            work = self._work(job, frame)
        except Exception as error:  # of one job: the others go on
            self.send(Frame("end", {"job": job, **_failed(error)}))
            return
        self._jobs[job] = work
        threading.Thread(target=self._run, args=(work,), name=f"limner-job-{job}", daemon=True).start()

    def _work(self, job: str, frame: Frame) -> Work:
        ask, made = Ask.model_validate(frame.data["ask"]), frame.data.get("made") or {}
        assert isinstance(made, dict)

        def tell(type: TidingType, data: Mapping[str, JsonValue], preview: bytes) -> None:
            self.send(Frame("tiding", {"job": job, "what": type, "data": dict(data)}, preview))

        return Work(job, ask, {int(place): str(picture) for place, picture in made.items()}, tell)

    def _run(self, work: Work) -> None:
        end: dict[str, JsonValue] = {"job": work.job, "state": "done"}
        try:
            end["result"] = dict(self._handler(work.ask.kind)(work))
        except Cancelled:
            end["state"] = "cancelled"
        except BaseException as error:
            end |= _failed(error)
        finally:
            self._jobs.pop(work.job, None)
        self.send(Frame("end", end))


def _failed(error: BaseException) -> dict[str, JsonValue]:
    """How a job ended that raised, with a ``trace`` for the log where it is not an error of Limner's own."""
    fatal = _kills(error)
    end: dict[str, JsonValue] = {"state": "failed", "fatal": fatal}
    if not isinstance(error, LimnerError):
        end["trace"] = "".join(traceback.format_exception(error))[-MOST_TRACE:]
    return {**end, "error": Trouble.of(error, retry=fatal).model_dump(mode="json")}


def _kills(error: BaseException) -> bool:
    """Whether a process that met this error can do no further work: a CUDA context never recovers."""
    text = f"{type(error).__name__}: {error} {error.__cause__}"
    return "CUDA error" in text or "AcceleratorError" in text


def pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two pipes to the server. What libraries print goes to the log instead."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, sink


def main() -> None:
    """The process."""
    faulthandler.enable()  # where it was when it crashed: the server logs that
    from limner.engine.threads import wait_passively

    wait_passively()
    from limner.config import Settings
    from limner.serve.work.glimpses import Glimpses
    from limner.session import Session

    said = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    settings = Settings.load().protected("serve", **said.get("safety", {}))
    session = Session(settings=settings, batching=said.get("batching", "shared"), offline=said.get("offline"))
    if said.get("warm", True):
        warm = getattr(session._backend, "warm", None)
        if warm is not None:
            warm()

    session._backend = Glimpses(session._backend)

    def handler(kind: Kind) -> Callable[[Work], Body]:
        if kind not in HANDLERS:
            raise UnknownName("kind of job", kind, HANDLERS, field="kind")
        run: Run = importlib.import_module(HANDLERS[kind]).run
        return lambda work: run(session, work)

    Worker(*pipes(), handler, session.close).serve()


if __name__ == "__main__":
    main()
