"""The policy at every door of a Session, and what of it goes to the audit log. Nothing here is ever drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image as Picture

from limner import Request, Session
from limner.config import Settings, by_flag
from limner.errors import ConfigError, Refused
from limner.safety.audit import Audit
from limner.session import hooks
from limner.types import Notice
from tests.faces.fake_drawing import FakeBackend

NUDE = Request(prompt="a nude woman", seed=1, steps=2, width=32, height=32)
FOX = NUDE.but(prompt="a red fox")


def session_in(home: Path, **words: object) -> Session:
    said = {"settings": Settings.load(home, {}), "backend": FakeBackend(), "offline": True, "scored": False}
    return Session(**{**said, **words})  # type: ignore[arg-type]


def events(home: Path) -> list[tuple[object, object]]:
    return [(line["event"], line.get("rule") or line.get("marks")) for line in Audit(home).lines()]


def test_doors_refuse(tmp_path: Path) -> None:
    with session_in(tmp_path) as session:
        for door in (session.plan, session.foresee, session.precheck, session.review, session.generate):
            with pytest.raises(Refused):
                door(NUDE)
        with pytest.raises(Refused):
            session.draw("a nude woman")
    assert events(tmp_path) == [("refusal", "sexual.nudity")] * 6
    assert Audit(tmp_path).verify() == []


def test_styles_wildcards_and_variants(tmp_path: Path) -> None:
    (tmp_path / "styles.toml").write_text('[bare]\nprompt = "{prompt}, nude woman"\n')
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "wildcards" / "what.txt").write_text("nude woman\n")
    with session_in(tmp_path) as session:
        for asked in (FOX.but(styles=("bare",)), FOX.but(prompt="{a fox|a nude woman}")):
            with pytest.raises(Refused):
                session.review(asked)
        session.review(FOX.but(prompt="__what__"))  # its lines are not read yet
        with pytest.raises(Refused):
            session.plan(FOX.but(prompt="__what__"))


def test_a_plan_of_another_level(tmp_path: Path) -> None:
    with session_in(tmp_path / "a", safety="adult") as lenient, session_in(tmp_path / "b") as usual:
        planned = lenient.plan(NUDE)
        with pytest.raises(Refused):
            usual.run(planned)
        with pytest.raises(Refused, match="minors"):
            lenient.plan(NUDE.but(prompt="a nude child"))
    assert events(tmp_path / "a") == [("level-change", None), ("refusal", "minors.sexual")]


def test_replay_vary_and_upscale(tmp_path: Path) -> None:
    with session_in(tmp_path, safety="adult") as lenient:
        image = lenient.run(lenient.plan(NUDE)).result()[0]
    assert image.path is not None
    with session_in(tmp_path) as usual:
        with pytest.raises(Refused):
            usual.plan_again(image.record)
        with pytest.raises(Refused):
            usual.plan_upscaling(image.path, "lanczos")
        plain = tmp_path / "nude.png"
        Picture.fromarray(image.pixels).save(plain)
        usual.run([usual.plan_upscaling(plain, "lanczos")])  # a file's name is no request


def test_less_than_all_marks_is_logged_once(tmp_path: Path) -> None:
    with session_in(tmp_path, marks="none") as session:
        session.plan(FOX)
        session.plan(FOX)
    assert events(tmp_path) == [("marks-change", "none")]


def test_the_usual_protection_leaves_no_log(tmp_path: Path) -> None:
    with session_in(tmp_path) as session:
        session.plan(FOX)
    assert not Audit(tmp_path).path.exists()


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    with session_in(tmp_path, safety="adult") as session:
        (plan,) = session.plan(FOX)
        assert [notice.code for notice in plan.notices if notice.code.startswith("audit")] == ["audit-unwritten"]
        with pytest.raises(Refused) as caught:
            session.plan(NUDE.but(prompt="a nude child"))
        assert "audit log" in caught.value.hint


def test_plain_prompts_by_setting(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[safety]\naudit = "plain"\n')
    with session_in(tmp_path) as session, pytest.raises(Refused):
        session.plan(NUDE)
    assert next(Audit(tmp_path).lines())["prompt"] == "a nude woman"


def test_unchecked_language_is_in_the_plan(tmp_path: Path) -> None:
    with session_in(tmp_path) as session:
        (plan,) = session.plan(FOX.but(prompt="แมวแดง fox"))
        assert [notice.code for notice in plan.checks] == ["unchecked-language"]


def test_levels(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        session_in(tmp_path, safety="lax")
    with by_flag(level="adult"):
        assert Settings.load(tmp_path, {}).protection.level == "adult"
    assert Settings.load(tmp_path, {}).protection.level == "standard"


class Classifier:
    """A registered check of prompts whose weights are not here."""

    def missing(self) -> str | None:
        return "limner safety pull classifier"

    def check_prompt(self, prompt: str, negative: str) -> tuple[Notice, ...]:
        raise AssertionError("asked without its weights")


def test_a_classifier_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "checks", lambda: (Classifier(),))
    with session_in(tmp_path) as session:
        (plan,) = session.plan(FOX)
        assert [notice.code for notice in plan.checks] == ["unchecked-words"]
    with (
        session_in(tmp_path, safety="strict") as session,
        pytest.raises(Refused, match="limner safety pull classifier"),
    ):
        session.plan(FOX)
