"""Pictures measured by several metrics at once, through the package that can be called."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import limner
from limner.config import Settings
from limner.errors import InvalidRequest, UnknownName
from limner.session import Session
from limner.session.evaluating import evaluate


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(settings=Settings.load(), keep=False) as own:
        yield own


def noise(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3)).astype(np.uint8)


def test_metrics_of_pictures_and_of_sets_together(session: Session) -> None:
    pictures = [noise(seed) for seed in range(8)]
    found = limner.evaluate(pictures, None, ["blank", "vendi", "blur"], session=session)
    assert [sorted(row) for row in found.scores] == [["blank", "blur"]] * 8
    assert 1 <= found.of_set["vendi"].value <= 8
    blank, blur = found.means()
    assert (blank.metric, blur.metric) == ("blank", "blur")
    assert blank.low is not None
    assert blank.high is not None
    assert blank.low <= blank.mean <= blank.high
    assert blank.mean == pytest.approx(np.mean([value for value in found.values("blank") if value is not None]))
    assert evaluate(pictures[:3], None, ["blank"], session=session).means()[0].low is None


def test_one_picture_that_cannot_be_valued_leaves_the_others(session: Session) -> None:
    found = evaluate([noise(1), noise(2)], ["a red fox", "zzz"], ["pocket-judge"], force=True, session=session)
    assert found.values("pocket-judge")[0] is not None
    assert found.values("pocket-judge")[1] is None
    assert list(found.failures) == [(1, "pocket-judge")]


def test_what_is_no_metric_is_refused(session: Session) -> None:
    with pytest.raises(UnknownName):
        evaluate([noise(1)], None, ["beauty"], session=session)
    with pytest.raises(InvalidRequest, match="none is named"):
        evaluate([noise(1)], None, [], session=session)


def test_the_package_is_still_a_package() -> None:
    import limner.evaluate.vendi

    assert callable(limner.evaluate)
    assert limner.evaluate.vendi.vendi([[1.0, 0.0], [0.0, 1.0]]) == pytest.approx(2)  # type: ignore[attr-defined]
