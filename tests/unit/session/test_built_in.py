"""Every model that ships draws what it is asked for, as the judge that ships sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from limner import Request, Session
from limner.config import Settings
from limner.models.catalog import Catalog

ASKED = ("a penguin in the snow", "a lion in the desert", "two red apples")
BUILT_IN = [card for card in Catalog.load().cards if card.built_in]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("home")
    with Session(settings=Settings.load(home, {}), offline=True) as made:
        yield made


@pytest.mark.parametrize("name", [card.name for card in BUILT_IN])
def test_its_pictures_are_nearest_to_their_own_words(session: Session, name: str) -> None:
    (card,) = (each for each in BUILT_IN if each.name == name)
    images = [session.generate(Request.of(prompt=text, model=name, seed=7)).result()[0] for text in ASKED]
    assert {each.pixels.shape for each in images} == {(card.height, card.width, 3)}
    for asked, image in zip(ASKED, images, strict=True):
        said = {text: session.score([str(image.id)], text, ["pocket-judge"])[0][0].value for text in ASKED}
        assert said[asked] > 0.5 > max(value for text, value in said.items() if text != asked), said
