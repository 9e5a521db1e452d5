"""A picture scored as it was drawn, and its file in the library with a watermark, are one picture with one score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from limner.image import Image
from limner.library.files import decode
from limner.marking import Marking
from tests import standins
from tests.faces import pictures
from tests.unit.session.test_scoring import new_session


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    standins.register(monkeypatch)


def test_the_librarys_file_has_the_score_of_the_picture_as_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    drawn = (rng.normal(0, 4, (96, 96, 3)) + np.array([140, 60, 90])).clip(0, 255).astype(np.uint8)
    with new_session(tmp_path) as session:
        file = Marking.of(session.settings).file(drawn, pictures.record(drawn, "red", marks="full"))
        entry = session.library.add_encoded(file.data, file.record, "png", size=(96, 96))
        copy = tmp_path / "copy.png"
        PillowImage.fromarray(decode(entry.path)).save(copy)
        ((unseen,),) = session.score([copy], None, ["blur"])  # from elsewhere: only what it is
        ((first,),) = session.score([entry.id], None, ["blur"])  # never scored as drawn: what the file is
        assert first.value == unseen.value
        ((birth,),) = session.score([Image(drawn, file.record)], None, ["blur"])
        assert birth.value != unseen.value
        ((again,),) = session.score([entry.id], None, ["blur"])
        assert again.value == birth.value
        ((still,),) = session.score([copy], None, ["blur"])
        assert still.value == unseen.value


def test_duplicates_see_through_the_watermark(tmp_path: Path) -> None:
    shapes = np.random.default_rng(3).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    drawn = np.asarray(PillowImage.fromarray(shapes).resize((128, 128), PillowImage.Resampling.BICUBIC))
    with new_session(tmp_path) as session:
        file = Marking.of(session.settings).file(drawn, pictures.record(drawn, marks="full"))
        entry = session.library.add_encoded(file.data, file.record, "png", size=(128, 128))
        found = session.measure([drawn, decode(entry.path)], "duplicates")
        same = session.measure([drawn, drawn.copy()], "duplicates")
        assert found.value == same.value
