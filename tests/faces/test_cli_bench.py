"""limner bench: suites read, run, gone on with after a stop, told, and fetched from their publisher."""

from __future__ import annotations

import csv
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.refine.suites import catalog, fetching
from limner.refine.suites.catalog import KNOWN, Suite, find
from limner.refine.suites.reading import prompts_of
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.unit.refine.painting import Painter, take_over
from tests.unit.refine.paired import blueness, redness, register

OWN = "prompt,category\na red fox,animal\na dog,animal\na red red house,thing\na car,thing\na red fox,animal\n"
RED = ("--scorer", "redness")


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    register(monkeypatch, "redness", redness)
    register(monkeypatch, "blueness", blueness)
    return take_over(monkeypatch)


@pytest.fixture
def limner_(own_home: Path, painter: Painter) -> Limner:
    own_home.mkdir()
    (own_home / "config.toml").write_text('[score]\ndefault = "none"\n')
    return limner_in(own_home)


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "mine.csv"
    path.write_text(OWN)
    return str(path)


def test_a_file_by_category_each_prompt_once(limner_: Limner, own: str, painter: Painter) -> None:
    found = said(limner_("bench", own, "-n", "3", *RED, "--json"))
    assert isinstance(found, dict)
    table = {line["category"]: line for line in found["table"]}
    assert {name: (line["prompts"], line["pictures"]) for name, line in table.items()} == {
        "all": (4, 12),
        "animal": (2, 6),
        "thing": (2, 6),
    }
    assert table["thing"]["means"][0]["mean"] > table["animal"]["means"][0]["mean"]
    assert "nothing else" in found["note"]
    assert len(painter.painted) == 12
    with Path(found["csv"]).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert {row["model"] for row in rows} == {"pocket"}
    assert table["all"]["means"][0]["mean"] == pytest.approx(sum(float(row["redness"]) for row in rows) / 12)


def test_the_table_says_what_it_is_not_comparable_to(limner_: Limner) -> None:
    result = limner_("bench", "pocket-suite", "--limit", "8", "-n", "1", *RED)
    assert result.exit_code == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[1:6]] == [
        "all",
        "place",
        "colour",
        "count",
        "relation",
    ]
    assert "redness (95% interval)" in result.stdout
    assert "clustered by prompt" in result.stdout


def test_a_scorer_that_asks_gives_a_column_of_atoms_and_the_report_shows_it(limner_: Limner, tmp_path: Path) -> None:
    page = tmp_path / "bench.html"
    options = ("pocket-suite", "--limit", "8", "-n", "1", "--scorer", "pocket-judge")
    found = said(limner_("bench", *options, "--report", str(page), "--json"))
    assert isinstance(found, dict)
    assert found["report"] == str(page)
    for line in found["table"]:
        judge, atoms = line["means"]
        assert (judge["scorer"], atoms["scorer"]) == ("pocket-judge", "atoms satisfied")
        assert 0 <= atoms["mean"] <= 1
        assert atoms["valued"] == line["pictures"]
    with Path(found["csv"]).open() as file:
        rows = list(csv.DictReader(file))
    mean = sum(float(row["atoms satisfied"]) for row in rows) / len(rows)
    assert found["table"][0]["means"][1]["mean"] == pytest.approx(mean)
    text = page.read_text()
    assert "atoms satisfied" in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert "http" not in text.split("<details>")[0].replace("http-equiv", "")


def test_a_prompt_cannot_write_into_the_report(limner_: Limner, tmp_path: Path) -> None:
    mine, page = tmp_path / "mine.csv", tmp_path / "bench.html"
    mine.write_text("prompt,category\na red fox,<script>alert(1)</script>\na dog,other\n")
    assert limner_("bench", str(mine), "-n", "1", *RED, "--report", str(page)).exit_code == 0
    assert "<script" not in page.read_text()


def test_stopped_and_gone_on_with_draws_nothing_twice(limner_: Limner, own: str, painter: Painter) -> None:
    painter.stop_after = 7
    stopped = limner_("bench", own, "-n", "3", *RED)
    assert stopped.exit_code == 130
    painter.stop_after = None
    found = said(limner_("bench", own, "-n", "3", *RED, "--json"))
    assert isinstance(found, dict)
    assert found["table"][0]["pictures"] == 12
    assert len(painter.painted) == len(set(painter.painted)) == 12
    again = limner_("bench", own, "-n", "3", *RED)
    assert "4 prompts done already" in again.stderr
    assert len(painter.painted) == 12


def test_a_torn_last_row_is_done_again(limner_: Limner, own: str, own_home: Path) -> None:
    first = said(limner_("bench", own, "-n", "2", *RED, "--json"))
    (rows,) = own_home.rglob("rows.jsonl")
    whole = rows.read_text()
    rows.write_text(whole[:-30])
    second = said(limner_("bench", own, "-n", "2", *RED, "--json"))
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert second["table"] == first["table"]
    assert sorted(json.loads(line)["key"] for line in rows.read_text().splitlines()) == sorted(
        json.loads(line)["key"] for line in whole.splitlines()
    )


def test_another_setting_is_another_bench(limner_: Limner, own: str) -> None:
    one, two, three = (
        said(limner_("bench", own, "-n", "1", *RED, "--json", *more))
        for more in ((), ("--steps", "3"), ("--scorer", "blueness"))
    )
    assert len({json.dumps(each["id"]) for each in (one, two, three)}) == 3  # type: ignore[index]


def test_a_prompt_that_cannot_be_drawn_leaves_the_rest(limner_: Limner, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("prompt,width\na fox,\na dog,99999999\n")
    result = limner_("bench", str(path), "-n", "1", *RED)
    assert result.exit_code == 0, result.stderr
    assert "“a dog” was left out" in result.stderr
    assert "1 prompt of 2 could not be drawn" in result.stderr


def test_what_a_scorer_cannot_value_is_counted(limner_: Limner, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "picky", lambda pixels, text: float("nan") if "dog" in text else 1.0)
    found = said(limner_("bench", own, "-n", "2", "--scorer", "picky", "--json"))
    assert isinstance(found, dict)
    assert found["table"][0]["means"][0]["valued"] == 6
    assert sum(found["failures"].values()) == 2


def test_refusals_come_before_any_picture(limner_: Limner, own: str, painter: Painter, tmp_path: Path) -> None:
    assert_refused(limner_("bench", "parti"), 3, "not here", "limner bench fetch parti")
    assert_refused(limner_("bench", "nonsense"), 3, "no suite", "pocket-suite")
    assert_refused(limner_("bench", own, "--scorer", "nonsense"), 2, "nonsense")
    assert_refused(limner_("bench", own, *RED, "--csv", str(tmp_path / "no" / "x.csv")), 4)
    assert_refused(limner_("bench", "fetch", "pocket-suite"), 2, "needs no fetching")
    assert_refused(limner_("bench", "fetch", "parti", "--offline"), 3, "network")
    assert painter.painted == []


PARTI = (
    b"Prompt\tCategory\tChallenge\tNote\nbond\tAbstract\tBasic\tx\n"
    b'"a sign that says ""(hi)"""\tArts\tText\t\nbond\tAbstract\t\t\n'
)
GENEVAL = b'{"tag": "counting", "include": [{"class": "cow", "count": 2}], "prompt": "a photo of two cows"}\n'
DSG = (
    b'item_id,text,keywords\nwhoops_5,"A cube, purple",cube\nwhoops_5,"A cube, purple",purple\n'
    b"tifa_partiprompt_9,a dog,dog\n"
)


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("parti", PARTI, [("bond", "Abstract"), ('a sign that says "(hi)"', "Arts")]),
        ("geneval", GENEVAL, [("a photo of two cows", "counting")]),
        ("dsg-1k", DSG, [("A cube, purple", "whoops"), ("a dog", "tifa_partiprompt")]),
    ],
)
def test_published_layouts_are_read_each_prompt_once(
    name: str, data: bytes, found: list[tuple[str, str]], tmp_path: Path
) -> None:
    path = tmp_path / "suite"
    path.write_bytes(data)
    prompts = prompts_of(find(name), path)
    assert [(each.words, each.category) for each in prompts] == found
    assert prompts[-1].prompt.replace("\\", "") == found[-1][0]  # brackets of a published prompt are letters


def test_known_suites_are_at_a_commit_with_a_hash() -> None:
    for suite in KNOWN:
        assert suite.note
        assert suite.licence
        if suite.fetched:
            assert len(str(suite.commit)) == 40
            assert len(str(suite.sha256)) == 64
            assert "not comparable" in suite.note


def test_pocket_suite_is_held_out_and_balanced() -> None:
    suite = find("pocket-suite")
    prompts = prompts_of(suite, Path(catalog.__file__).parent / suite.path)
    kinds = [each.category for each in prompts]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(("place", "colour", "count", "relation"), 30)


class Publisher(http.server.BaseHTTPRequestHandler):
    answers: dict[str, bytes] = {}  # noqa: RUF012  # set by the test

    def do_GET(self) -> None:
        data = self.answers.get(self.path)
        self.send_response(200 if data is not None else 404)
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(fetching, "RAW", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(Publisher, "answers", {})
    yield Publisher.answers
    server.shutdown()
    server.server_close()


@pytest.fixture
def geneval(monkeypatch: pytest.MonkeyPatch) -> Suite:
    """GenEval as if it were one line."""
    made = find("geneval").model_copy(update={"sha256": hashlib.sha256(GENEVAL).hexdigest()})
    monkeypatch.setattr(catalog, "KNOWN", (made,))
    return made


def test_fetched_with_its_licence_shown_and_run(
    limner_: Limner, publisher: dict[str, bytes], geneval: Suite, painter: Painter
) -> None:
    publisher[f"/{geneval.repo}/{geneval.commit}/{geneval.path}"] = GENEVAL
    result = limner_("bench", "fetch", "geneval")
    assert result.exit_code == 0, result.stderr
    assert "licence: MIT" in result.stderr
    assert Path(result.stdout.strip()).read_bytes() == GENEVAL
    publisher.clear()
    assert limner_("bench", "fetch", "geneval").exit_code == 0  # it is here
    ran = limner_("bench", "geneval", "-n", "2", *RED)
    assert ran.exit_code == 0, ran.stderr
    assert "not comparable to the paper" in ran.stdout
    assert [prompt for prompt, _ in painter.painted] == ["a photo of two cows"] * 2


def test_another_file_than_the_published_one_is_not_kept(
    limner_: Limner, publisher: dict[str, bytes], geneval: Suite, own_home: Path
) -> None:
    publisher[f"/{geneval.repo}/{geneval.commit}/{geneval.path}"] = GENEVAL + b"\n"
    assert_refused(limner_("bench", "fetch", "geneval"), 3, "not the published geneval")
    publisher.clear()
    assert_refused(limner_("bench", "fetch", "geneval"), 3, "404")
    assert list(own_home.rglob("evaluation_metadata.jsonl")) == []
