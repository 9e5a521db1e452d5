"""Blind votes: what the page gives away, what is read back, how far raters agree, and the verdict with them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import InvalidRequest, LimnerError, PictureNotFound
from limner.refine.compare import Comparison, compare
from limner.refine.voting import BALLOT, Ballot, export, read_ballot
from limner.refine.voting_count import cohen, count, krippendorff
from limner.session import Session
from tests.unit.refine.painting import Painter
from tests.unit.refine.paired import redness, register

Choose = Callable[[int], str | None]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> Iterator[Session]:
    own_home.mkdir()
    (own_home / "config.toml").write_text('[score]\ndefault = "none"\n')
    register(monkeypatch, "redness", redness)
    with Session(backend=Painter()) as opened:
        yield opened


@pytest.fixture
def found(session: Session) -> Comparison:
    return compare("a fox", "a fox there", judges=["redness"], n=10, session=session)


def ballot_of(found: Comparison) -> Ballot:
    assert found.folder is not None
    return read_ballot(found.folder / BALLOT)


def paper(folder: Path, key: Ballot, rater: str, choose: Choose, items: int | None = None, **changes: object) -> Path:
    """A rater's file; ``choose(k)`` is "a", "b" or None."""
    votes = []
    for k, item in enumerate(key.items[:items]):
        side = choose(k)
        choice = None if side is None else getattr(item, side)
        votes.append({"item": item.item, "choice": choice, "left": item.a if k % 2 else item.b})
    path = folder / f"votes-{rater}.json"
    path.write_text(json.dumps({"format": 1, "ballot": key.ballot, "rater": rater, "votes": votes} | changes))
    return path


def test_the_page_tells_nothing_of_which_is_which(found: Comparison, session: Session, tmp_path: Path) -> None:
    text = export(found, session, tmp_path / "vote").read_text()
    shown = json.loads(re.search(r'type="application/json">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert {each["words"] for each in shown["items"]} == {"a fox"}
    assert len(shown["items"]) == 10
    assert "there" not in json.dumps([each["item"] for each in shown["items"]])
    assert "Record" not in text
    assert "pixel_hash" not in text
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text)
    assert [side[0] for each in shown["items"] for side in each["sides"]] == [
        name for each in shown["items"] for name in sorted(side[0] for side in each["sides"])
    ]


def test_words_cannot_break_out_of_the_page(session: Session, tmp_path: Path) -> None:
    wicked = "a </script><script>alert(1)</script> fox"
    text = export(compare(wicked, "a red fox", judges=["redness"], n=7, session=session), session, tmp_path).read_text()
    assert text.count("<script") == 2
    assert "alert(1)" not in re.sub(r'type="application/json">.*?</script>', "", text, flags=re.DOTALL)


def test_a_second_export_keeps_the_ballot(found: Comparison, session: Session, tmp_path: Path) -> None:
    one, other = (export(found, session, tmp_path / name).read_text() for name in ("one", "two"))
    assert one == other


def test_votes_decide_with_the_judges(found: Comparison, session: Session, tmp_path: Path) -> None:
    assert found.verdict.outcome == "no evidence"
    export(found, session, tmp_path)
    ballot = ballot_of(found)
    files = [paper(tmp_path, ballot, "ann", lambda k: "b"), paper(tmp_path, ballot, "bob", lambda k: "b" if k else "a")]
    counted = count(files, session)
    verdict = counted.verdict
    votes = verdict.judges[-1]
    assert (votes.scorer.name, votes.finding) == ("votes", "B")
    assert votes.mean_b == pytest.approx(0.95)
    # The sign test on nine pairs for B and a tie, two-sided, times two judges.
    assert votes.adjusted == pytest.approx(2 * 2 / 2**9)
    assert (counted.raters, counted.votes) == (("ann", "bob"), 20)
    assert verdict.hypotheses == 2
    assert counted.left == pytest.approx(0.5, abs=0.06)


def test_swapped_votes_are_for_a(found: Comparison, session: Session, tmp_path: Path) -> None:
    export(found, session, tmp_path)
    counted = count([paper(tmp_path, ballot_of(found), "ann", lambda k: "a")], session)
    assert counted.verdict.judges[-1].finding == "A"
    assert "one rater alone voted" in counted.verdict.caps
    assert counted.alpha is counted.kappa is None


def test_pairs_without_a_vote_are_left_out_and_told(found: Comparison, session: Session, tmp_path: Path) -> None:
    export(found, session, tmp_path)
    ballot = ballot_of(found)
    counted = count([paper(tmp_path, ballot, name, lambda k: "b", items=8) for name in ("ann", "bob")], session)
    assert counted.verdict.n == 8
    assert "2 of 10 seeds gave no value" in counted.verdict.caps


def test_votes_that_cannot_be_counted(found: Comparison, session: Session, tmp_path: Path) -> None:
    export(found, session, tmp_path)
    ballot = ballot_of(found)
    good = paper(tmp_path, ballot, "ann", lambda k: "b")
    (tmp_path / "twin").mkdir()
    strange = {"item": "001", "choice": "somebody", "left": ballot.items[0].a}
    broken = tmp_path / "broken.json"
    broken.write_text('{"format": 1')
    wrong: list[tuple[list[Path], type[LimnerError], str]] = [
        ([good, paper(tmp_path / "twin", ballot, "ann", lambda k: "b")], InvalidRequest, "twice"),
        ([broken], InvalidRequest, "no votes"),
        ([tmp_path / "nowhere.json"], InvalidRequest, "no file"),
        ([paper(tmp_path, ballot, "eve", lambda k: "b", votes=[strange])], InvalidRequest, "not on the page"),
        ([paper(tmp_path, ballot, "dan", lambda k: "b", ballot="../../etc-1")], PictureNotFound, "not in this library"),
        ([paper(tmp_path, ballot, "kim", lambda k: "b", ballot=f"{ballot.study}-1")], InvalidRequest, "older page"),
        ([good, paper(tmp_path, ballot, "fay", lambda k: "b", ballot="other-1")], InvalidRequest, "different pages"),
    ]
    for files, kind, words in wrong:
        with pytest.raises(kind, match=words):
            count(files, session)


def test_agreement_against_worked_examples() -> None:
    # Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), nominal data, two observers: 0.095.
    meg, owen = "0100000010", "1110010000"
    assert krippendorff([list(pair) for pair in zip(meg, owen, strict=True)]) == pytest.approx(0.095, abs=5e-4)
    # Cohen (1960), as given everywhere: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: 0.4.
    first, second = "y" * 25 + "n" * 25, "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15
    assert cohen(list(first), list(second)) == pytest.approx(0.4)
    assert krippendorff([["A"], ["B"]]) is None
    assert krippendorff([["A", "A"], ["A", "A"]]) is None
    assert cohen([], []) is None


@given(st.lists(st.sampled_from("ABt"), min_size=2, max_size=30))
def test_full_agreement_is_one(answers: list[str]) -> None:
    alone = len(set(answers)) == 1
    assert krippendorff([[each, each, each] for each in answers]) == (None if alone else 1)
    assert cohen(answers, answers) == (None if alone else pytest.approx(1))


def test_raters_who_guess_agree_by_chance() -> None:
    rng = np.random.default_rng(3)
    table = [[str(v) for v in rng.integers(0, 2, 3)] for _ in range(600)]
    found = krippendorff(table)
    assert found is not None
    assert abs(found) < 0.08
