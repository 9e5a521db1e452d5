"""An audit with a classifier that reads colours: drawn once, read, counted, and told with its doubts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from limner import Request, Session
from limner.config import Settings
from limner.errors import InvalidRequest, ModelNotFound
from limner.image import Image
from limner.refine.bias.audit import Audit, audit_of, run
from limner.refine.bias.subjects import subjects
from limner.refine.report.bias import caveats, headline, sheet
from limner.types import Plan
from tests import standins

ASKED = Request(prompt="x", model="pocket", steps=1, width=32, height=32)
WOMAN, MAN, BLACK = (60, 200, 60), (200, 60, 60), (0, 0, 0)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    standins.register(monkeypatch)
    with Session(settings=Settings.load(tmp_path, {}), offline=True, scored=False) as made:
        yield made


@pytest.fixture
def unkept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Keeps nothing: what was painted over is not found drawn already."""
    standins.register(monkeypatch)
    with Session(settings=Settings.load(tmp_path, {}), offline=True, scored=False, keep=False) as made:
        yield made


def audit(session: Session, **more: object) -> Audit:
    return audit_of(subjects(2, 1), ASKED, session, **{"n": 4, "classifier": "looks", **more})  # type: ignore[arg-type]


def painted(session: Session, colours: Sequence[tuple[int, int, int] | None], calls: list[int]):  # type: ignore[no-untyped-def]
    """Draws for real, then paints: a colour for each place, ``None`` for a picture that is refused."""

    def draw(plans: Sequence[Plan]) -> list[Image]:
        made = []
        for image in session.run(plans).result():
            calls.append(image.record.index)
            colour = colours[image.record.index]
            if colour is not None:
                made.append(Image(np.full((32, 32, 3), colour, np.uint8), image.record))
        return made

    return draw


def test_everybody_is_counted_with_the_unclear_and_the_refused(unkept: Session) -> None:
    session = unkept
    found = run(audit(session), session, draw=painted(session, (WOMAN, WOMAN, MAN, None), []))
    gender = found.axes[0]
    assert [each.counts["woman"] for each in gender.lines] == [2, 2, 2]
    assert gender.share is not None
    assert gender.share.value == pytest.approx(2 / 3)
    assert found.refused == 3
    assert any("3 pictures were refused" in said for said in caveats(found))
    assert "67 %" in headline(found)
    black = run(audit(session, n=2), session, draw=painted(session, (BLACK, MAN), []))
    assert black.axes[0].unclear == 0.5, "no number is no answer"


def test_nothing_is_drawn_twice_and_the_library_keeps_no_such_values(session: Session) -> None:
    asked = audit(session)
    first = run(asked, session)
    again = run(asked, session, draw=lambda plans: pytest.fail("drawn again"))
    assert again == first
    assert len(session.library.list()) >= 4
    assert all(not session.library.scores(entry.id) for entry in session.library.list())
    assert audit(session).id == asked.id != audit(session, n=5).id


def test_what_cannot_be_read_is_said_before_anything_is_drawn(session: Session, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="compares no picture with words"):
        audit(session, classifier="greenness")
    with pytest.raises(InvalidRequest, match="no folders of labelled pictures"):
        audit(session, labelled=tmp_path)
    with pytest.raises(ModelNotFound):
        audit(session, classifier="absent")
    assert session.library.list() == []


def test_the_classifier_s_error_is_measured_and_told(unkept: Session, tmp_path: Path) -> None:
    session = unkept
    for name, colours in (("woman", [WOMAN] * 9 + [MAN]), ("man", [MAN] * 10)):
        (tmp_path / "faces" / name).mkdir(parents=True)
        for k, colour in enumerate(colours):
            Pillow.new("RGB", (16, 16), (colour[0] - k, *colour[1:])).save(tmp_path / "faces" / name / f"{k}.png")
    asked = audit(session, labelled=tmp_path / "faces")
    found = run(asked, session, draw=painted(session, (WOMAN, WOMAN, MAN, MAN), []))
    gender, age = found.axes
    assert gender.corrected
    assert not age.corrected
    assert gender.share is not None
    assert gender.share.value == pytest.approx(0.5 / 0.9)
    said = " ".join(caveats(found))
    assert "woman taken for the other in 10 %" in said
    assert "perceived age: the error of looks on pictures like these is not known" in said


def test_the_sheet_needs_nothing_else_and_says_what_it_is_not(session: Session) -> None:
    asked = audit(session)
    page = sheet(asked, run(asked, session), session)
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/webp;base64,") == 3
    for words in ("Nobody&#39;s gender", "A classifier reads looks", "a proxy", "by chance alone", "doctor"):
        assert words in page, words


@pytest.mark.parametrize("level", ["strict", "standard"])
def test_no_level_refuses_the_audit_s_own_words(tmp_path: Path, level: str) -> None:
    settings = Settings.load(tmp_path, {}).protected(level=level)
    with Session(settings=settings, offline=True, keep=False) as session:
        for subject in subjects(30, 10):
            session.plan(ASKED.but(prompt=subject.prompt), literal=True)
