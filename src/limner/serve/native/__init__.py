"""Limner's own API, below ``/api/v1``: jobs, events, plans, pictures, models. The studio is a client of it."""

from __future__ import annotations

from fastapi import APIRouter

from limner.serve.native import asking, events, inputs, jobs, lists, pictures, studies
from limner.serve.native.answers import FAULTS

router = APIRouter(prefix="/api/v1", responses=FAULTS)
for _each in (jobs, events, pictures, inputs, asking, lists, studies):
    router.include_router(_each.router)
