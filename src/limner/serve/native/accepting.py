"""From a checked body to a job in the queue: what can be refused is refused before it is accepted."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from functools import partial

from limner import registry
from limner.errors import InvalidRequest, OfflineError, UnknownName
from limner.serve.jobs import Ask, Body, Job
from limner.serve.names import refuse_path, refuse_paths
from limner.serve.native.bodies import CompareJob, DrawJob, PullJob, RefineJob, ScoreJob, UpscaleJob
from limner.serve.service import Service
from limner.types import Request

Wanted = DrawJob | UpscaleJob | ScoreJob | RefineJob | CompareJob | PullJob


async def accept(own: Service, wanted: Wanted, *, key: str | None = None, client: str = "native") -> Job:
    """The job, safely in the queue. ``key``: the client's idempotency key.

    Raises ``InvalidRequest`` (also where the key came with another body), what planning raises, ``PictureNotFound``,
    ``OfflineError``, ``QueueFull``, ``Draining``, ``StorageError``."""
    own.admit(1)
    named = None if key is None else f"{client}:{hashlib.sha256(key.encode()).hexdigest()}"
    if isinstance(wanted, DrawJob):
        refuse_paths(wanted.request)
        if wanted.parent is not None:
            await asyncio.to_thread(own.session.library.get, wanted.parent)
        job = await own.draw(
            wanted.request,
            client=client,
            key=named,
            deadline=wanted.deadline,
            previews=wanted.previews,
            parent=wanted.parent,
        )
        body: Body = wanted.request.model_dump(mode="json", exclude_defaults=True)
    else:
        await asyncio.to_thread(partial(_check, own, wanted))
        body = wanted.model_dump(mode="json", exclude_defaults=True) | {"kind": wanted.kind}
        job = await own.submit(Ask(kind=wanted.kind, body=body, title=_title(wanted), client=client, key=named))
    if dict(job.body) != body:
        raise InvalidRequest(
            "the idempotency key was used for another question", field="idempotency-key", hint="use a new key"
        )
    return job


def _check(own: Service, wanted: UpscaleJob | ScoreJob | RefineJob | CompareJob | PullJob) -> None:
    match wanted:
        case UpscaleJob():
            refuse_path(wanted.upscaler, "upscaler")
            own.session.library.get(wanted.picture)
        case ScoreJob():
            _known_metrics(wanted.metrics)
            for each in wanted.pictures:
                own.session.library.get(each)
        case RefineJob():
            _known_metrics((*wanted.scorers, *wanted.judges))
            _known(registry.names("strategies"), "strategy", wanted.strategies)
            _plan(own, wanted.request)
        case CompareJob():
            _known_metrics(wanted.judges if wanted.alignment is None else (*wanted.judges, wanted.alignment))
            for arm in wanted.arms:
                _plan(own, arm.request)
        case PullJob():
            _pulled(own, wanted)


def _plan(own: Service, request: Request) -> None:
    """Raises what drawing it would, before anything is accepted."""
    refuse_paths(request)
    own.session.plan(request)


def _pulled(own: Service, wanted: PullJob) -> None:
    if wanted.what == "metric":
        _known_metrics((wanted.name,))
    else:
        refuse_path(wanted.name, "name")
        bare = wanted.name.partition("@")[0]
        if own.session.catalog.find(bare) is None and bare.count("/") != 1:
            raise UnknownName("model", wanted.name, (card.name for card in own.session.catalog.cards), field="name")
    if own.session.offline:
        raise OfflineError(f"{wanted.name} cannot be fetched: the server is offline", hint="start it without --offline")


def _known_metrics(names: Iterable[str]) -> None:
    _known(registry.names("metrics"), "metric", names)


def _known(known: Iterable[str], kind: str, names: Iterable[str]) -> None:
    known = tuple(known)
    for name in names:
        if name not in known:
            raise UnknownName(kind, name, known)


def _title(wanted: UpscaleJob | ScoreJob | RefineJob | CompareJob | PullJob) -> str:
    match wanted:
        case RefineJob():
            return wanted.request.prompt
        case CompareJob():
            return " / ".join(arm.name or arm.request.prompt for arm in wanted.arms[:4])
        case PullJob():
            return wanted.name
        case UpscaleJob():
            return f"{wanted.upscaler}: {wanted.picture}"
        case ScoreJob():
            return f"{len(wanted.pictures)} pictures"
