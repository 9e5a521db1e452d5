"""What becomes of a picture: its Record, which travels in the file, and Scores, which do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from limner.types.base import SCHEMA, Frozen, Marks, Metadata, Notice, SafetyLevel
from limner.types.plan import Adapter, Estimate, ModelRef, Numerics, Recipe, Seed
from limner.types.request import Request


class Watermark(Frozen):
    """The invisible watermark in a picture's file: its ``payload`` (hexadecimal), its ``strength`` (1 is full) and the
    hash of the pixels that carry it (``Record.pixel_hash`` is of those before)."""

    payload: str
    strength: float
    pixel_hash: str


Source = Literal["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicallyEnhanced"]
"""Where a picture's content comes from, in IPTC's terms: a trained model; one and a picture of another origin that it
was drawn over; a picture of another origin, enlarged."""


class Record(Frozen):
    """How an image came to be: immutable, travels in the file. Scores and ratings live in the library instead."""

    schema_: Annotated[int, Field(alias="schema")] = SCHEMA
    request: Request
    prompt: str
    negative: str = ""
    identity: str
    image_key: str
    index: int
    seed: Seed
    model: ModelRef
    numerics: Numerics
    recipe: Recipe
    adapters: tuple[Adapter, ...] = ()
    device_name: str = ""
    threads: int = 0
    timings: Mapping[str, float] = Field(default_factory=dict)
    peak_bytes: int | None = None
    estimate: Estimate = Estimate()
    versions: Mapping[str, str] = Field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    checks: tuple[Notice, ...] = ()
    level: SafetyLevel = "standard"
    marks: Marks = "metadata"
    metadata: Metadata = "full"
    watermark: Watermark | None = None
    source: Source = "trainedAlgorithmicMedia"
    parent: str | None = None
    pixel_hash: str
    created: str

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_defaults=False)


class Brief(Frozen):
    """What a file with ``metadata="minimal"`` says in its Record's place: which picture it is and what made it, no word
    and no setting. The Record is in the library that the picture was drawn into."""

    schema_: Annotated[int, Field(alias="schema")] = SCHEMA
    minimal: Literal[True] = True
    identity: str
    image_key: str
    model: ModelRef
    versions: Mapping[str, str] = Field(default_factory=dict)
    marks: Marks
    metadata: Literal["minimal"] = "minimal"
    watermark: Watermark | None = None
    source: Source = "trainedAlgorithmicMedia"
    pixel_hash: str
    created: str

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    @classmethod
    def of(cls, record: Record) -> Self:
        return cls.model_validate({name: getattr(record, name) for name in cls.model_fields if name in _OF_RECORD})

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True)


_OF_RECORD = frozenset(Brief.model_fields) - {"schema_", "minimal", "metadata"}


class Score(Frozen):
    """A number with everything needed to believe it. ``text`` is the tagged hash of the words it was scored against;
    ``flags`` say what weakens it (a text cut at the scorer's limit, a picture from outside its domain)."""

    scorer: str
    revision: str
    value: float
    scale: str
    domain: str
    text: str | None = None
    flags: tuple[str, ...] = ()
