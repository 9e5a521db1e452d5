"""The web UI's options that change pictures here, and those that are only kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from limner.errors import InvalidRequest
from limner.library.a1111 import Value
from limner.types.request import MAX_SEED

MOST, LONGEST = 500, 20_000  # options kept, and characters of one
AUTOMATIC = ("automatic", "none", "")
FIXED: Mapping[str, JsonValue] = {
    "samples_format": "png",
    "save_images_add_number": True,
    "enable_pnginfo": True,
    "return_grid": False,
    "emphasis": "Original",
    "show_progress_type": "Approx NN",
}
"""Options that are as they are."""


class Honoured(BaseModel):
    """Options that change pictures. Unset: as the model and the web UI's rules have it."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    sd_model_checkpoint: Annotated[str | None, Field(max_length=300)] = None
    sd_vae: Annotated[str | None, Field(max_length=300)] = None
    CLIP_stop_at_last_layers: Annotated[int | None, Field(ge=1, le=12)] = None
    eta_noise_seed_delta: Annotated[int | None, Field(ge=0, le=MAX_SEED)] = None
    randn_source: Literal["GPU", "CPU", "NV"] | None = None

    @classmethod
    def of(cls, values: Mapping[str, JsonValue]) -> Honoured:
        """Raises ``InvalidRequest``."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            raise InvalidRequest(f"{name}: {first['msg'].lower()}", field=name) from None

    def but(self, other: Honoured) -> Honoured:
        """These, and what ``other`` says before them."""
        return self.model_copy(update=other.model_dump(exclude_none=True))

    def fields(self) -> dict[str, Value]:
        """In the words of ``Found.fields``, less the model."""
        said: dict[str, Value] = {}
        if self.sd_vae is not None and self.sd_vae.lower() not in AUTOMATIC:
            said["vae"] = self.sd_vae
        if self.CLIP_stop_at_last_layers is not None:
            said["clip_skip"] = self.CLIP_stop_at_last_layers
        if self.eta_noise_seed_delta:
            said["noise_delta"] = self.eta_noise_seed_delta
        if self.randn_source is not None:
            said["noise_source"] = "cpu" if self.randn_source == "CPU" else "philox"
        return said


OWN = frozenset(Honoured.model_fields)
READ_ONLY = frozenset({"sd_checkpoint_hash", *FIXED})


@dataclass
class Kept:
    """A server's options: in memory, for as long as it runs, the same for all clients."""

    honoured: Honoured = field(default_factory=Honoured)
    others: dict[str, JsonValue] = field(default_factory=dict)

    def set(self, values: Mapping[str, JsonValue]) -> None:
        """Raises ``InvalidRequest`` for values out of range, and for more than can be kept."""
        others = {**self.others, **idle(values)}
        if len(others) > MOST:
            raise InvalidRequest(f"options: more than {MOST} options are kept by nobody", field="options")
        for name, value in others.items():
            if len(name) > 200 or len(json.dumps(value)) > LONGEST:
                raise InvalidRequest(f"options: {name[:60]!r} is too long", field="options")
        self.honoured = self.honoured.but(Honoured.of(values))
        self.others = others


def idle(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The options among these that change nothing here, at other values than they have."""
    return {
        name: value
        for name, value in values.items()
        if name not in OWN and name != "sd_checkpoint_hash" and FIXED.get(name) != value
    }
