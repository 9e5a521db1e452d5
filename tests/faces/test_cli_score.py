"""``limner score``, and scores in the gallery. Stand-in metrics, no torch."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result

from limner import registry
from limner.library.store import Library
from tests import standins
from tests.faces import pictures
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.faces.fake_drawing import fake_drawing
from tests.standins import CALLS


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def limner(home: Path, monkeypatch: pytest.MonkeyPatch) -> Limner:
    standins.register(monkeypatch)
    fake_drawing(monkeypatch)
    return limner_in(home)


@pytest.fixture
def ids(home: Path) -> list[str]:
    """A red fox (10 November), a blue cat (11th), two dogs at the beach (12th)."""
    return pictures.fill(home / "library")


def scored(result: Result) -> list[dict[str, object]]:
    found = said(result)
    assert isinstance(found, dict)
    return found["pictures"]


def listed(result: Result) -> list[str]:
    found = said(result)
    assert isinstance(found, list)
    return [each["id"] for each in found]


def test_scores_go_by_each_pictures_own_prompt_and_are_kept(limner: Limner, ids: list[str], home: Path) -> None:
    result = limner("score", *ids, "--metric", "redness")
    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["picture", "redness", "text"]
    assert [line[0] for line in lines[1:]] == ids
    assert lines[1][2:] == ["a", "red", "fox"]
    assert "each picture is scored against its own prompt" in result.stderr
    library = Library(home / "library")
    kept = [library.scores(name)[0] for name in ids]
    library.close()
    assert [f"{score.value:.4g}" for score in kept] == [line[1] for line in lines[1:]]


def test_text_and_several_metrics(limner: Limner, ids: list[str]) -> None:
    (one,) = scored(
        limner("score", "last", "--text", "a (red:1.3) fox", "--metric", "redness", "--metric", "greenness", "--json")
    )
    assert one["picture"] == "last"
    assert one["id"] == ids[-1]
    assert one["text"] == "a (red:1.3) fox"  # what was typed is what is scored against
    assert [score["scorer"] for score in one["scores"]] == ["redness", "greenness"]
    shown = said(limner("gallery", "show", "last", "--json"))
    assert [score["scorer"] for score in shown["scores"]] == ["greenness", "redness"]


def test_a_second_run_computes_nothing(limner: Limner, ids: list[str]) -> None:
    first = limner("score", *ids, "--metric", "redness", "--json")
    CALLS.clear()
    assert limner("score", *ids, "--metric", "redness", "--json").stdout == first.stdout
    assert CALLS == []


def test_a_file_outside_the_library_is_scored_and_that_it_is_not_kept_is_said(limner: Limner, tmp_path: Path) -> None:
    path = pictures.a1111(tmp_path / "lighthouse.png")
    result = limner("score", str(path), "--metric", "redness")
    assert result.exit_code == 0
    assert "a lighthouse at dusk" in result.stdout
    assert "1 picture is not in the library" in result.stderr
    silent = pictures.png(tmp_path / "silent.png", {})
    assert_refused(limner("score", str(silent), "--metric", "redness"), 2, "silent.png has none")
    assert limner("score", str(silent), "--metric", "redness", "--text", "a boat").exit_code == 0
    assert limner("score", str(silent), "--metric", "greenness").exit_code == 0  # needs no words


def test_without_metric_the_scorer_of_the_pictures_world_is_taken_and_said(
    limner: Limner, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.BUILT_IN["metrics"], "pocket-clip", "tests.standins:EmojiJudge")
    result = limner("score", "last")
    assert result.exit_code == 0, result.stderr
    assert "emoji scenes: scored by pocket-clip" in result.stderr


def test_pictures_of_another_world_are_refused_by_a_scorer_that_does_not_know_them(
    limner: Limner, home: Path, ids: list[str]
) -> None:
    (other,) = pictures.fill(home / "library", "a photograph", model="sd15")
    result = limner("score", *ids, other, "--metric", "emoji-judge", "--force")
    assert_refused(result, 8, f"emoji-judge knows emoji scenes alone; {other} is of photographs and art by sd15")
    assert CALLS == []


def test_force_scores_pictures_of_unknown_origin_and_flags_them(limner: Limner, tmp_path: Path) -> None:
    path = str(pictures.a1111(tmp_path / "lighthouse.png"))
    assert_refused(limner("score", path, "--metric", "emoji-judge"), 8, "unknown origin", "--force")
    result = limner("score", path, "--metric", "emoji-judge", "--force")
    assert result.exit_code == 0
    assert " *" in result.stdout
    assert "* emoji-judge: of unknown origin" in result.stderr


def test_one_picture_that_fails_leaves_the_others_and_is_told(limner: Limner, ids: list[str], home: Path) -> None:
    pictures.cut_short(pictures.file_of(home, ids[1]))
    result = limner("score", *ids, "--metric", "greenness")
    assert result.exit_code == 7
    assert [line.split()[1] for line in result.stdout.splitlines()][2] == "failed"
    assert f"limner: {ids[1]}, greenness: " in result.stderr
    found = limner("score", *ids, "--metric", "greenness", "--json")
    assert found.exit_code == 7
    assert '"code": "unreadable_picture"' in found.stdout


def test_a_text_longer_than_the_scorer_reads_is_refused(limner: Limner, ids: list[str]) -> None:
    result = limner("score", "last", "--metric", "redness", "--text", "word " * 500)
    assert result.exit_code == 2
    assert "500 tokens; redness reads 6" in result.stderr


def test_metrics_of_sets_are_of_all_pictures_together(limner: Limner, ids: list[str]) -> None:
    result = limner("score", *ids, "--metric", "spread", "--metric", "greenness")
    assert result.exit_code == 0
    assert "spread of 3 pictures together" in result.stderr
    found = said(limner("score", *ids, "--metric", "spread", "--json"))
    assert isinstance(found, dict)
    assert found["pictures"] == []
    assert [score["scorer"] for score in found["sets"]] == ["spread"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["last", "--metric", "rednes"], 2, "did you mean redness"),
        (["last", "--text", "x", "--from-record"], 2, "both --text and --from-record"),
        (["last", "--text", " "], 2, "it is empty"),
        (["last", "--metric", "absent"], 3, "limner metrics pull absent"),
        (["nowhere.png", "--metric", "redness"], 7, "nowhere.png"),
        (["last", "--metric", "redness", "--reference", "last"], 2, "--reference is for metrics of sets"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    limner: Limner, ids: list[str], args: list[str], code: int, words: str
) -> None:
    assert_refused(limner("score", *args), code, words)
    assert CALLS == []


def test_the_gallery_sorts_by_score_and_finds_by_it(limner: Limner, ids: list[str]) -> None:
    rows = scored(limner("score", *ids, "--metric", "redness", "--json"))
    best = [row["id"] for row in sorted(rows, key=lambda row: -row["scores"][0]["value"])]  # type: ignore[index]
    values = {row["id"]: row["scores"][0]["value"] for row in rows}  # type: ignore[index]
    assert listed(limner("gallery", "--sort", "score:redness", "--json")) == best
    assert listed(limner("gallery", "--sort", "score", "--json")) == best  # the only scorer there is
    assert listed(limner("gallery", "--sort", "worst:redness", "--json")) == best[::-1]
    middle = repr(values[best[1]])
    assert listed(limner("gallery", "--sort", "score:redness", "--min-score", middle, "--json")) == best[:2]
    assert listed(limner("gallery", "--min-score", f"redness:{middle}", "--max-score", middle, "--json")) == best[1:2]
    shown = limner("gallery", "--sort", "score:redness").stdout.splitlines()
    assert shown[0].split()[-2:] == ["redness", "prompt"]
    assert f"{values[best[0]]:.4g}" in shown[1]


def test_where_less_is_better_the_best_come_first_too(
    limner: Limner, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lower = standins.Greenness.card.model_copy(update={"better": "lower"})
    monkeypatch.setattr(standins.Greenness, "card", lower)
    rows = scored(limner("score", *ids, "--metric", "greenness", "--json"))
    best = [row["id"] for row in sorted(rows, key=lambda row: row["scores"][0]["value"])]  # type: ignore[index]
    assert listed(limner("gallery", "--sort", "score:greenness", "--json")) == best


def test_pictures_without_a_score_come_last_either_way(limner: Limner, ids: list[str]) -> None:
    limner("score", ids[1], "--metric", "redness")
    for sort in ("score:redness", "worst:redness"):
        assert listed(limner("gallery", "--sort", sort, "--json"))[0] == ids[1]


def test_the_gallery_says_what_a_score_is_of(limner: Limner, ids: list[str]) -> None:
    limner("score", "last", "--metric", "redness")
    limner("score", "last", "--metric", "redness", "--text", "something else")
    lines = [line for line in limner("gallery", "show", "last").stdout.splitlines() if "redness" in line]
    assert len(lines) == 2
    assert sum("of another text" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--sort", "prettiest"], "score:NAME"),
        (["--sort", "score:nobody"], "nobody"),
        (["--min-score", "redness:much"], "'much' is not a number"),
        (["--min-score", "redness:nan"], "'nan' is not a number"),
    ],
)
def test_an_order_or_bound_that_is_none_is_refused(limner: Limner, ids: list[str], args: list[str], words: str) -> None:
    limner("score", "last", "--metric", "redness")
    assert_refused(limner("gallery", *args), 2, words)


def test_without_any_score_the_gallery_says_how_to_get_one(limner: Limner, ids: list[str]) -> None:
    assert_refused(limner("gallery", "--sort", "score"), 2, "limner score")
