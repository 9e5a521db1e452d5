"""A Session around a diffusers pipeline that is in memory already: Records, library, events, replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from limner.config import Settings
from limner.engine.backend import Backend
from limner.errors import DeviceError, InvalidRequest, MismatchedWeights
from limner.models.family import Family, Files
from limner.models.pipelines.memory import InMemory
from limner.models.resolving.resolve import Resolved
from limner.session.composer import Session
from limner.session.planning import Means
from limner.types import Adapter, Plan, Request

__all__ = ["PipelineSession"]

NO_FILES = Files(Path(), {})


class PipelineSession(Session):
    """What ``Session.from_pipeline`` makes. All that a Session does, with the one model it was given."""

    def __init__(
        self,
        family: InMemory,
        *,
        settings: Settings | None = None,
        backend: Backend | None = None,
        keep: bool = True,
    ) -> None:
        super().__init__(settings=settings, backend=backend, keep=keep, offline=True)
        self.family = family

    @cached_property
    def _means(self) -> Means:
        return replace(super()._means, resolver=self._resolved, family=self.family, fixed=self._fixed)

    def plan(
        self,
        request: Request,
        *,
        literal: bool = False,
        parent: str | None = None,
        pinned: Sequence[Adapter] | None = None,
    ) -> tuple[Plan, ...]:
        """As ``Session.plan``. Raises ``InvalidRequest`` where another model is asked for, ``DeviceError`` where
        another device or dtype is: the pipeline stays as it is."""
        if request.model not in (None, self.family.model):
            raise InvalidRequest(
                f"model: this session draws with the {self.family.kind.name} it was given, not with {request.model}",
                field="model",
                hint="leave model out, or use a plain Session",
            )
        for name, asked, is_ in zip(("device", "dtype"), (request.device, request.dtype), self._fixed(), strict=True):
            if asked not in (None, is_) and not (name == "device" and is_.startswith(f"{asked}:")):
                raise DeviceError(
                    f"{name}: the pipeline of this session is in {is_}, not {asked}",
                    hint="move the pipeline itself: pipe.to(...)",
                )
        return super().plan(request.but(model=self.family.model), literal=literal, parent=parent, pinned=pinned)

    def _unkept(self) -> Session:
        return PipelineSession(self.family, settings=self.settings, backend=self._backend, keep=False)

    def _resolved(self, name: str) -> Resolved:
        return Resolved(self.family.card(), NO_FILES, self.family.ref(), self.family.notices())

    def _fixed(self) -> tuple[str, str]:
        return self.family.device, self.family.dtype

    def _locate(self, plan: Plan) -> tuple[Family, Files]:
        if plan.model.weights_hash() != self.family.ref().weights_hash():
            raise MismatchedWeights(
                "the pipeline of this session is not as it was when this was planned",
                hint="plan again: its weights, adapters or scheduler have changed since",
            )
        return self.family, NO_FILES


def session_of(pipeline: object, *, settings: Settings | None, keep: bool, hashed: bool) -> Session:
    """See ``Session.from_pipeline``."""
    return PipelineSession(InMemory(pipeline, hashed=hashed), settings=settings, keep=keep)
