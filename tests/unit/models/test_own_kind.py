"""A card may name a folder of a kind that a family has of its own: DALL-E mini's has no model_index.json."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from limner.config import Settings
from limner.errors import ModelError
from limner.models.catalog import Card, Catalog
from limner.models.resolving.resolve import resolve
from limner.models.state import is_here
from tests.dalle import FIXTURES


def card(folder: Path) -> Card:
    return Card(name="small", title="Small", family="dalle-mini", folder=str(folder), guidance=2.0)


def test_it_is_here_and_resolved_with_the_cards_own_facts(own_home: Path) -> None:
    small = card(FIXTURES)
    assert is_here(small)
    found = resolve("small", Settings.load(own_home, {}), Catalog.load([small]))
    assert found.card == small
    assert {name.partition("/")[0] for name in found.files.paths} == {"model", "vqgan"}


def test_without_its_weights_it_is_not_here(own_home: Path, tmp_path: Path) -> None:
    for part in FIXTURES.iterdir():
        if part.is_dir():
            shutil.copytree(part, tmp_path / part.name, ignore=shutil.ignore_patterns("*.msgpack", "*.safetensors"))
    small = card(tmp_path)
    assert not is_here(small)
    with pytest.raises(ModelError):
        resolve("small", Settings.load(own_home, {}), Catalog.load([small]))
