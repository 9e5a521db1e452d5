"""The report's page: whole in one file, deaf to what prompts say, and true to the comparison or refinement it tells."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from limner.refine.compare import Comparison, compare
from limner.refine.design import Budget
from limner.refine.preparing import Wishes
from limner.refine.refinement import Refinement
from limner.refine.refining import begin
from limner.refine.report import compared, refined
from limner.refine.report.page import render, write
from limner.session import Session
from limner.types import Request
from tests.unit.refine.painting import Painter
from tests.unit.refine.paired import blueness, redness, register

HOSTILE = (
    'a red fox "><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)> \\{\\{ 7*7 \\}\\} </pre>'
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> Iterator[Session]:
    own_home.mkdir()
    (own_home / "config.toml").write_text('[score]\ndefault = "none"\n')
    register(monkeypatch, "redness", redness, licence="CC-BY-NC-4.0", restrictions="no commercial use")
    register(monkeypatch, "blueness", blueness)
    register(monkeypatch, "warmth", lambda pixels, text: redness(pixels, text) ** 2)
    with Session(backend=Painter()) as opened:
        yield opened


def found(session: Session, b: str = "a red red fox", n: int = 9) -> Comparison:
    return compare("a fox", b, judges=["redness"], alignment="blueness", n=n, seed=3, session=session)


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text by element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1][0] if self.tags else "", data))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def assert_whole(text: str) -> Page:
    """No reference leads out of the file, and nothing runs but the page's own script."""
    page = Page(text)
    for tag, attrs in page.tags:
        for name in ("src", "href", "data", "poster", "srcset", "action"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:image/webp;base64,", "#")), (tag, name, value)
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
    assert len(page.of("script")) == 1
    policy = page.of("meta")
    assert any("default-src 'none'" in str(attrs.get("content")) for attrs in policy)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    return page


def test_the_verdict_stands_first_and_all_pictures_are_inside(session: Session) -> None:
    comparison = found(session)
    text = render(compared.report_of(comparison, session))
    page = assert_whole(text)
    headings = [data for tag, data in page.texts if tag in ("h1", "h2", "h3") and data.strip()]
    assert headings[0] == comparison.verdict.sentence
    inside = [attrs for attrs in page.of("img") if attrs.get("src")]
    assert len(inside) == 2 * 9
    assert all(attrs["alt"] for attrs in inside)


def test_the_worst_and_the_median_are_shown_and_not_only_the_best(session: Session) -> None:
    report = compared.report_of(found(session, n=12), session)
    (side,) = report.sides
    gains = [case.gain for case in side.cases]
    marked = {case.mark: case.gain for case in side.cases if case.mark}
    assert list(dict.fromkeys(case.mark for case in side.cases)) == ["worst", "median", "best", ""]
    assert marked["worst"] <= sorted(gains)[1]
    assert sorted(gains)[4] <= marked["median"] <= sorted(gains)[7]
    assert marked["best"] >= sorted(gains)[-2]
    others = [case.gain for case in side.cases if not case.mark]
    assert others == sorted(others)


def test_a_hostile_prompt_is_words_and_nothing_else(session: Session) -> None:
    text = render(compared.report_of(found(session, HOSTILE), session))
    page = assert_whole(text)
    assert "alert(1)</script>" not in text
    assert "7*7" in text
    whole = "".join(data for _, data in page.texts)
    assert "<script>alert(1)</script>" in whole


def test_lone_surrogates_are_written(session: Session, tmp_path: Path) -> None:
    report = replace(compared.report_of(found(session), session), notices=("a file's \udc80 name",))
    assert_whole(write(report, tmp_path / "r.html").read_text("utf-8"))


def test_provenance_is_the_comparison_again(session: Session) -> None:
    comparison = found(session)
    text = render(compared.report_of(comparison, session))
    (stored,) = re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL)
    kept = json.loads(html.unescape(stored))
    assert kept["study"] == json.loads(json.dumps(comparison.study.stored()))
    assert kept["verdicts"][0]["sentence"] == comparison.verdict.sentence
    assert kept["folder"] is None  # a path of this machine is nobody's business


def test_licences_of_models_and_scorers_are_told(session: Session) -> None:
    licences = {each.name: each for each in compared.report_of(found(session), session).licences}
    assert set(licences) == {"pocket", "redness", "blueness"}
    assert licences["redness"].restrictions == "no commercial use"


def test_no_evidence_says_what_it_means_and_how_many_more(session: Session) -> None:
    comparison = found(session, "a foxy fox")
    assert comparison.verdict.outcome == "no evidence"
    text = render(compared.report_of(comparison, session))
    assert "does not mean that A and B are equal" in text
    assert comparison.verdict.more is None or f"{comparison.verdict.more:,} more seeds" in text


def test_pictures_that_are_gone_are_told(session: Session) -> None:
    comparison = found(session)
    for row in comparison.taken.scored.values():
        for place, each in enumerate(row):
            row[place] = type(each)(each.trial, each.pixel_hash, each.scores, each.picture)
    assert comparison.scored[0, 0][0].picture is not None
    session.library.get(comparison.scored[0, 0][0].picture).path.unlink()
    text = render(compared.report_of(comparison, session))
    assert text.count("no longer in the library") == 1


def test_several_sides_have_a_section_each_and_a_table(session: Session, own_home: Path) -> None:
    from limner.refine.arms import Arm
    from limner.refine.compare import prepare, run, study_of
    from limner.refine.compare_study import Scorers, Text

    arms = [Arm.of(f"g{g:g}", Request.of(prompt="a fox", guidance=g)) for g in (1.0, 20.0, 60.0)]
    scorers = Scorers(judges=("redness",), alignment="redness", diversity="pixel-spread")
    study = study_of(arms, [Text(words="a fox")], scorers, n=8, seed=1)
    report = compared.report_of(run(prepare(study, session), session), session)
    page = assert_whole(render(report))
    assert len(report.sides) == 2
    assert [attrs["href"] for attrs in page.of("a")] == ["#side-0", "#side-1"]
    assert report.outcome == ""


@pytest.fixture
def refinement(session: Session) -> Refinement:
    wishes = Wishes(Budget(images=60), strategies=("weakest-atom",), search=("warmth",), judges=("redness",))
    return begin(Request.of(prompt="red, fox"), session, wishes).run()


def test_a_refinement_tells_its_search(session: Session, refinement: Refinement) -> None:
    report = refined.report_of(refinement, session)
    text = render(report)
    assert_whole(text)
    assert report.tree is not None
    assert {branch.id for branch in report.tree.branches} == {each.id for each in refinement.candidates}
    assert all(branch.fate for branch in report.tree.branches)
    assert html.unescape(text).count(refinement.sentence) >= 1
    assert [fact.value for fact in report.budget if fact.name == "pictures of the verdict"] == [
        str(refinement.spent.verdict)
    ]


def test_a_refinements_pairs_are_those_of_its_verdict(session: Session, refinement: Refinement) -> None:
    assert refinement.verdicts
    for k, verdict in enumerate(refinement.verdicts):
        paired = refined.paired_of(refinement, k)
        for test in verdict.tests:
            values = paired.values[test.scorer.name]
            assert sum(values.a) / len(values.a) == pytest.approx(test.mean_a)
            assert sum(values.b) / len(values.b) == pytest.approx(test.mean_b)


def test_not_verified_is_said(session: Session, refinement: Refinement) -> None:
    stopped = refinement.model_copy(update={"verdicts": (), "finalists": (), "outcome": "stopped", "sentence": "Stop."})
    text = render(refined.report_of(stopped, session))
    assert "No verdict was reached" in text
    assert "Stop." in text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
def test_it_opens_in_a_browser_without_errors(session: Session, tmp_path: Path) -> None:
    path = write(compared.report_of(found(session, HOSTILE), session), tmp_path / "r.html")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'browser'}"]
    command = [str(CHROMIUM), *flags, "--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom"]
    opened = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120)
    assert opened.returncode == 0, opened.stderr
    assert "CONSOLE" not in opened.stderr, opened.stderr
    shown = Page(opened.stdout)
    (slider,) = [attrs for attrs in shown.of("div") if attrs.get("class") == "slider"]
    assert "hidden" not in slider  # the script ran, and took the median pair
    pressed = [attrs for attrs in shown.of("button") if attrs.get("aria-pressed") == "true"]
    assert [attrs["class"] for attrs in pressed] == ["case median"]
