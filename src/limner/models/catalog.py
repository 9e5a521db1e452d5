"""The model catalog: one ``Card`` a model, read from ``catalog.toml`` when first asked for.

A card holds what is known before anything is downloaded, and nothing that is guessed. Hub repos and folders without a
card get one from ``Card.for_unknown``: their own config files say what they can, and the family fills in the rest.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from limner.errors import ConfigError, UnknownName
from limner.types import Frozen

UNCHECKED = "never checked"
OWN_LORA = "lora/pytorch_lora_weights.safetensors"
"""What a model's own LoRA is called among its files; diffusers' name for it, in a folder as a part has."""


class Card(Frozen):
    """What is known of a model. Sizes are pixels and bytes. ``None`` means "not known": the family decides.

    Exactly one of ``repo`` (hub repo id), ``asset`` (folder inside the package's assets) and ``folder`` (or one file)
    says where the weights are; ``companion`` is a second repo at a commit, where a model's parts were never published
    together. ``adapter`` is a second folder inside the assets, with a LoRA that makes another model of a built-in one:
    always worn, and one of its files. ``variant`` names the published weights to prefer where a repo holds several
    ("fp16", "bf16"); ``None`` is the full ones. ``pipeline`` is the diffusers class of models of the family "pipeline".
    ``parameters`` counts the numbers of all networks that drawing uses. ``guidance`` 1 is off; of pipelines it is what
    the pipeline itself takes. ``world`` is the domain of its pictures, which scorers compare with their own.
    ``no_checks`` says why its pictures need no image check; empty, they do. ``verified`` is "published weights (date,
    machine)", "random weights only", "trained here" or "never checked".
    """

    name: str
    title: str
    family: str
    repo: str | None = None
    asset: str | None = None
    folder: str | None = None
    commit: str | None = None
    companion: str | None = None
    adapter: str | None = None
    variant: Literal["fp16", "bf16"] | None = None
    pipeline: str | None = None
    licence: str = "not known"
    restrictions: str = ""
    gated: bool | None = None
    size_bytes: Annotated[int | None, Field(gt=0)] = None
    parameters: Annotated[int | None, Field(gt=0)] = None
    memory_bytes: Annotated[int | None, Field(gt=0)] = None
    width: Annotated[int | None, Field(ge=16)] = None
    height: Annotated[int | None, Field(ge=16)] = None
    steps: Annotated[int | None, Field(ge=1)] = None
    guidance: Annotated[float | None, Field(ge=0)] = None
    solver: str | None = None
    prediction: str | None = None
    blurb: str = ""
    world: str = "not known"
    no_checks: str = ""
    verified: str = UNCHECKED
    aliases: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(place is not None for place in (self.repo, self.asset, self.folder)) != 1:
            raise ValueError("give exactly one of repo, asset and folder")
        if self.adapter is not None and self.asset is None:
            raise ValueError("an adapter goes with an asset: other models have none of their own")
        return self

    @property
    def built_in(self) -> bool:
        """True where the weights ship inside the package, so that no network is ever needed."""
        return self.asset is not None

    def asset_path(self) -> Path:
        """Folder of a built-in model's files. Raises ``ValueError`` for any other card."""
        if self.asset is None:
            raise ValueError(f"{self.name} is not built in")
        return _assets() / self.asset

    def worn(self) -> dict[str, Path]:
        """The model's own LoRA by its name among the model's files, be it here or not; empty where it has none."""
        return {} if self.adapter is None else {OWN_LORA: _assets() / self.adapter / Path(OWN_LORA).name}

    @classmethod
    def for_unknown(
        cls,
        name: str,
        *,
        family: str,
        repo: str | None = None,
        folder: Path | None = None,
        commit: str | None = None,
        unet: Mapping[str, object] | None = None,
        vae: Mapping[str, object] | None = None,
        scheduler: Mapping[str, object] | None = None,
        size_bytes: int | None = None,
    ) -> Self:
        """A card for a checkpoint nobody described: native size and prediction as its configs give them, no more."""
        side = _native_side(unet or {}, vae or {})
        prediction = (scheduler or {}).get("prediction_type")
        return cls(
            name=name,
            title=name,
            family=family,
            repo=repo,
            folder=None if folder is None else str(folder),
            commit=commit,
            width=side,
            height=side,
            prediction=prediction if isinstance(prediction, str) else None,
            size_bytes=size_bytes or None,
        )


def _assets() -> Path:
    return Path(str(files("limner"))) / "assets"


def _native_side(unet: Mapping[str, object], vae: Mapping[str, object]) -> int | None:
    """Pixels a side: the UNet's latent size times the autoencoder's factor, which doubles with each block but one."""
    latent, blocks = unet.get("sample_size"), vae.get("block_out_channels")
    if isinstance(latent, bool) or not isinstance(latent, int) or not isinstance(blocks, list) or not blocks:
        return None
    side = int(latent * 2 ** (len(blocks) - 1))
    return side if 16 <= side <= 8192 else None


class Catalog:
    """Cards by name and alias, case-insensitively."""

    def __init__(self, cards: Iterable[Card]) -> None:
        self._cards: dict[str, Card] = {card.name: card for card in cards}
        self._known: dict[str, Card] = {}
        for card in self._cards.values():
            for name in (card.name, *card.aliases):
                other = self._known.setdefault(name.lower(), card)
                if other is not card:
                    raise ConfigError(f"the model name {name!r} is given to both {other.name} and {card.name}")

    @classmethod
    def load(cls, extra: Iterable[Card] = ()) -> Catalog:
        """The built-in cards and ``extra`` ones. Raises ``ConfigError`` where an extra name is already taken."""
        added = tuple(extra)
        for card in added:
            if card.name in {known.name for known in _built_in()}:
                raise ConfigError(f"the model name {card.name!r} is already a built-in one", hint="choose another name")
        return cls((*_built_in(), *added))

    @property
    def cards(self) -> tuple[Card, ...]:
        """All cards, in the catalog's own order (built-in first)."""
        return tuple(self._cards.values())

    def find(self, name: str) -> Card | None:
        """The card of a name or alias; ``None`` where there is none."""
        return self._known.get(name.strip().lower())

    def get(self, name: str) -> Card:
        """As ``find``. Raises ``UnknownName`` with the nearest names."""
        card = self.find(name)
        if card is None:
            raise UnknownName("model", name, self._known)
        return card

    def names(self) -> tuple[str, ...]:
        """Names without aliases, in the catalog's own order."""
        return tuple(self._cards)

    def known(self) -> tuple[str, ...]:
        """Names and aliases in lower case, for suggestions."""
        return tuple(self._known)


@cache
def _built_in() -> tuple[Card, ...]:
    return read_cards((files("limner.models") / "catalog.toml").read_text("utf-8"), "catalog.toml")


def read_cards(text: str, where: str) -> tuple[Card, ...]:
    """Cards of a TOML text, one table a card. Raises ``ConfigError`` naming ``where``, the card and the field."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from None
    cards = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(
                f"{where}: {name!r} is not a table", hint=f"write a card as [{name}] with its fields below"
            )
        try:
            cards.append(Card(name=name, **table))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "card"
            raise ConfigError(f"{where}: [{name}] {field}: {first['msg']}") from None
    return tuple(cards)
