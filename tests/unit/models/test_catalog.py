"""The catalog and its cards."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from limner.errors import ConfigError, UnknownName
from limner.models.catalog import Card, Catalog, read_cards
from limner.models.resolving.layout import INDEX


def test_pocket_comes_first_and_its_card_tells_the_truth_about_its_files() -> None:
    pocket = Catalog.load().cards[0]
    assert pocket.name == "pocket"
    assert pocket.built_in
    folder = pocket.asset_path()
    assert (folder / INDEX).is_file()
    parts = [
        path for name in ("unet", "vae", "text_encoder", "tokenizer", "scheduler") for path in (folder / name).iterdir()
    ]
    assert pocket.size_bytes == sum(path.stat().st_size for path in parts)


def test_names_and_aliases_are_found_in_any_case() -> None:
    catalog = Catalog.load()
    assert catalog.find("SD-1.5") is catalog.find("sd15")
    assert catalog.find("nothing") is None
    assert "sd-1.5" in catalog.known()
    assert "sd-1.5" not in catalog.names()


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        Catalog.load().get("pokcet")
    assert caught.value.nearest[0] == "pocket"


def test_no_card_claims_checks_that_did_not_happen() -> None:
    for card in Catalog.load().cards:
        assert card.verified in ("trained here", "random weights only", "never checked"), card.name
        assert card.licence != "not known", card.name
        assert card.blurb, card.name


def test_the_catalog_holds_what_a_person_would_pick() -> None:
    names = set(Catalog.load().names())
    assert {
        "sd15",
        "sd21",
        "sd-turbo",
        "sdxl",
        "sdxl-refiner",
        "sdxl-turbo",
        "sdxl-lcm",
        "pixart-sigma",
        "sana",
    } <= names
    assert {"sd35-medium", "flux-schnell", "z-image-turbo", "dalle-mini", "dalle-mega"} <= names
    assert "mirror" in Catalog.load().get("sd21").title


def test_cards_are_whole_and_pinned_by_commits_only() -> None:
    for card in Catalog.load().cards:
        if card.built_in:
            continue
        assert card.width, card.name
        assert card.commit is None or re.fullmatch("[0-9a-f]{40}", card.commit), card.name
        assert (card.pipeline is not None) == (card.family == "pipeline"), card.name
        assert card.restrictions or card.licence == "Apache-2.0", card.name
        if card.parameters and card.size_bytes:  # 2 to 4 bytes a number, whatever mixture was published
            assert 1.95 < card.size_bytes / card.parameters < 4.05, card.name


def test_a_card_has_exactly_one_source() -> None:
    with pytest.raises(ValidationError, match="exactly one"):
        Card(name="x", title="x", family="sd")
    with pytest.raises(ValidationError, match="exactly one"):
        Card(name="x", title="x", family="sd", repo="a/b", folder="/x")


def test_users_cards_are_added_but_replace_nothing() -> None:
    mine = Card(name="mine", title="Mine", family="sd", folder="/models/mine")
    assert Catalog.load([mine]).names()[-1] == "mine"
    for taken in ("pocket", "sd-1.5"):
        with pytest.raises(ConfigError, match="model name"):
            Catalog.load([mine.model_copy(update={"name": taken})])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 3", "not a table"),
        ("[x", "not valid TOML"),
        ('[x]\ntitle = "X"\nfamily = "sd"\nrepo = "a/b"\nstep = 3', r"\[x\] step"),
    ],
)
def test_wrong_cards_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_cards(text, "cards.toml")


def test_an_unknown_checkpoint_gets_what_its_own_configs_say() -> None:
    card = Card.for_unknown(
        "org/name",
        family="sd",
        repo="org/name",
        unet={"sample_size": 96},
        vae={"block_out_channels": [128, 256, 512, 512]},
        scheduler={"prediction_type": "v_prediction"},
    )
    assert (card.width, card.height, card.prediction) == (768, 768, "v_prediction")
    assert (card.steps, card.guidance, card.memory_bytes) == (None, None, None)
    assert card.verified == "never checked"


@pytest.mark.parametrize("sample_size", [None, "big", True, [64, 64], 10**6, 0])
def test_a_native_size_that_makes_no_sense_is_left_to_the_family(sample_size: object) -> None:
    card = Card.for_unknown(
        "x", family="sd", repo="a/b", unet={"sample_size": sample_size}, vae={"block_out_channels": [1, 2, 3, 4]}
    )
    assert card.width is None
