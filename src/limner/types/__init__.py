"""The words of Limner as types: Request, Plan, Record, Score and the Events. Frozen, JSON, torch-free.

A ``Request`` is what was asked. Fields left ``None`` are unset: ``Session.plan`` fills them from the card, the family
and the user's settings, and nothing else in the program does. A ``Plan`` is a Request with everything resolved; its
``identity`` hashes what decides the pixels. A ``Record`` is an image's birth certificate and travels in its file.
"""

from limner.types.base import (
    SCHEMA,
    Batching,
    Dtype,
    Frozen,
    Marks,
    Metadata,
    Notice,
    Pixels,
    Protection,
    SafetyLevel,
    Speed,
    now,
)
from limner.types.events import (
    Cancelled,
    Done,
    Drawn,
    Event,
    Facts,
    Failed,
    Loading,
    Made,
    Picture,
    Queued,
    Step,
    Warned,
)
from limner.types.plan import Adapter, Estimate, ModelRef, Numerics, PartCost, Pass, Plan, Prompted, Recipe, Seed
from limner.types.record import Brief, Record, Score, Source, Watermark
from limner.types.request import MAX_IMAGES, MAX_PROMPT, MAX_SEED, MAX_SIDE, MAX_STEPS, Request, parse_size

__all__ = [
    "MAX_IMAGES",
    "MAX_PROMPT",
    "MAX_SEED",
    "MAX_SIDE",
    "MAX_STEPS",
    "SCHEMA",
    "Adapter",
    "Batching",
    "Brief",
    "Cancelled",
    "Done",
    "Drawn",
    "Dtype",
    "Estimate",
    "Event",
    "Facts",
    "Failed",
    "Frozen",
    "Loading",
    "Made",
    "Marks",
    "Metadata",
    "ModelRef",
    "Notice",
    "Numerics",
    "PartCost",
    "Pass",
    "Picture",
    "Pixels",
    "Plan",
    "Prompted",
    "Protection",
    "Queued",
    "Recipe",
    "Record",
    "Request",
    "SafetyLevel",
    "Score",
    "Seed",
    "Source",
    "Speed",
    "Step",
    "Warned",
    "Watermark",
    "now",
    "parse_size",
]
