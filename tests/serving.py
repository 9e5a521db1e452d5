"""A whole server, listening on a port of its own, with a stand-in for the worker process: fast and without torch.

::

    @pytest.fixture(scope="module")
    def server(tmp_path_factory):
        with live(tmp_path_factory.mktemp("home")) as server:
            yield server

    def test_it(server):
        answer = server.client.post("/api/v1/jobs", json={"prompt": "a red fox", "n": 2})
        job = server.wait(answer.json()["id"])           # a limner.serve.jobs.Job that is over
        assert job.state == "done"

``live(home, *, token=None, most_waiting=..., settings=..., ready=True)`` gives a ``Served``: ``url``; ``client``, an
``httpx.Client`` at that URL; ``service``; ``app``; ``call(coroutine)`` runs something of the service on the server's
event loop; ``draw(prompt, **fields)`` and ``wait(id)`` go round HTTP; ``picture(**fields)`` is the id of a picture
just drawn; ``worker`` is the process id of the stand-in. ``png(width, height, mode)`` is a picture file's bytes.

The stand-in plans and stores for real: the file, Record, ids and rows are those of a drawing, only the pixels are
stripes. Words in the prompt make it misbehave, from its second step on: ``zzslow`` (0.1 s a step; cancelling works),
``zzcrash`` (the process ends, each time), ``zzcrashonce`` (only at the job's first attempt), ``zzhang`` (never ends
and hears no cancel), ``zzfail`` (GenerationError), ``zzoom`` (OutOfMemory), ``zzrefuse`` (Refused by its pixels),
``zzbug`` (an error that is not Limner's), ``zzcuda`` (one after which the process can do no more), ``zzwarn`` (a
notice). ``score`` gives each picture 0.5, ``upscale`` makes a child of twice the size, ``refine``, ``compare`` and
``pull`` tell three notes (``zzslow`` anywhere in their body: half a second each; ``zzwait``: the first not before it is
cancelled); a ``refine`` with ``zzstudied`` says
that it made the library's newest refinement. The environment variable
``STAND_IN_START`` delays its start by so many seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
import threading
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
from fastapi import FastAPI

from limner.config import Settings
from limner.serve.app import create_app
from limner.serve.dispatch import Options
from limner.serve.jobs import Job
from limner.serve.listening import Server, listen, url_of
from limner.serve.security import Guard
from limner.serve.service import Service
from limner.types import Request

T = TypeVar("T")
WORKER = (sys.executable, str(Path(__file__).with_name("serving_worker.py")))
PATIENCE = 60.0


@dataclass
class Served:
    """A server under test."""

    url: str
    client: httpx.Client
    service: Service
    app: FastAPI
    loop: asyncio.AbstractEventLoop

    def call(self, wanted: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(wanted, self.loop).result(PATIENCE)

    def draw(self, prompt: str = "a red fox", **fields: object) -> Job:
        return self.call(self.service.draw(Request.of(prompt=prompt, **fields)))

    def wait(self, name: str) -> Job:
        return self.call(self.service.wait(name))

    def picture(self, prompt: str = "a red fox", **fields: object) -> str:
        job = self.wait(self.draw(prompt, **fields).id)
        assert job.state == "done", job.error
        return job.made[0]

    @property
    def worker(self) -> int | None:
        return self.service.inside.crew.pid


@contextlib.contextmanager
def live(
    home: Path,
    *,
    token: str | None = None,
    most_waiting: int = 200,
    settings: Settings | None = None,
    environment: Mapping[str, str] | None = None,
    ready: bool = True,
    grace: float = 5.0,
) -> Iterator[Served]:
    """A server of ``home``, on a free port; with ``ready``, once its worker is."""
    settings = settings or Settings.load(home, env={})
    surroundings = {"LIMNER_HOME": str(home), "HF_HUB_OFFLINE": "1", **(environment or {})}
    options = Options(most_waiting=most_waiting, command=WORKER, environment=surroundings, offline=True)
    service = Service(settings, options)
    bound = listen("127.0.0.1", 0)
    app = create_app(service, Guard.of("127.0.0.1", token), grace=grace)
    server = Server(app, grace, app.state.shell.close)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_run, args=(loop, server, bound), name="served", daemon=True)
    thread.start()
    url = url_of(bound)
    try:
        known = {} if token is None else {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, timeout=PATIENCE, headers=known) as client:
            served = Served(url, client, service, app, loop)
            _until_up(client, thread)
            if ready:
                served.call(service.inside.crew.wait_ready())
            yield served
    finally:
        app.state.shell.close()
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server did not end"


def _run(loop: asyncio.AbstractEventLoop, server: Server, bound: object) -> None:
    asyncio.set_event_loop(loop)
    loop.run_until_complete(server.serve(sockets=[bound]))  # type: ignore[list-item]
    loop.close()


def _until_up(client: httpx.Client, thread: threading.Thread) -> None:
    """The socket listens from the start: the first answer comes when the application is up."""
    assert thread.is_alive()
    assert client.get("/livez").status_code == 200


def png(width: int = 64, height: int = 64, mode: str = "RGB", colour: object = 128) -> bytes:
    """A picture file."""
    from PIL import Image

    out = io.BytesIO()
    Image.new(mode, (width, height), colour if isinstance(colour, tuple) or mode in "LI" else (128,) * len(mode)).save(
        out, "PNG"
    )
    return out.getvalue()
