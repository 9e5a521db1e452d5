"""What a LoRA file says of its own training. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.errors import InvalidRequest, MismatchedWeights
from limner.models.inspect import read_header
from limner.tune.pictures import Example

RECORD = "limner.tune"
"""The key of our own record, JSON."""


@dataclass(frozen=True, slots=True)
class Told:
    """``called`` is the phrase that calls it, ``kind`` its class word; ``data`` maps pictures' hashes to captions;
    ``held`` are the hashes of those that were held out, ``None`` where an older file does not say; ``run`` is what came
    of it."""

    version: str
    base: str
    base_hash: str
    called: str
    kind: str | None
    data: Mapping[str, str]
    held: frozenset[str] | None
    settings: Mapping[str, object]
    run: Mapping[str, object]

    @property
    def side(self) -> int:
        return int(str(self.settings["size"]))

    def refuse_other_pictures(self, examples: Sequence[Example]) -> None:
        """Raises ``InvalidRequest`` where a picture is none that it was trained on."""
        other = [each.path.name for each in examples if each.hash not in self.data]
        if other:
            raise InvalidRequest(
                f"{len(other)} of {len(examples)} pictures are not those it was trained on, such as {other[0]}",
                field="data",
                hint="give the folder or manifest that it was trained with",
            )


def read_told(path: Path) -> Told:
    """Raises ``MismatchedWeights`` for a file that was not trained here, else ``ModelError``."""
    text = read_header(path).metadata.get(RECORD)
    try:
        said = json.loads(text or "")
        base = said["base"]
        return Told(
            version=str(said["version"]),
            base=str(base["name"]),
            base_hash=str(base["hash"]),
            called=str(said["called"]),
            kind=None if said["class"] is None else str(said["class"]),
            data={str(each["hash"]): str(each["caption"]) for each in said["data"]},
            held=_held(said["data"]),
            settings=dict(said["settings"]),
            run=dict(said["run"]),
        )
    except (ValueError, KeyError, TypeError):
        raise MismatchedWeights(
            f"{path.name} was not trained by Limner, or its record is damaged",
            hint="limner inspect FILE says what any LoRA file is",
        ) from None


def _held(data: Sequence[Mapping[str, object]]) -> frozenset[str] | None:
    if not all("held_out" in each for each in data):
        return None
    return frozenset(str(each["hash"]) for each in data if each["held_out"])
