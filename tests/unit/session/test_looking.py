"""Pictures are looked at before they are kept or shown: what each level does, and what when nobody can look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from limner import Request, Session
from limner.config import Settings
from limner.errors import ConfigError, LimnerError, NonFinite, Refused
from limner.library.files import decode, pixel_hash
from limner.library.metadata import read
from limner.safety.checks.blurring import blurred
from limner.safety.checks.panel import Panel
from limner.types import Done, Event, Failed, Made, Plan, Step, Warned
from tests import checkers

FOLDER = str(files("limner") / "assets" / "pocket")
FOX = Request(prompt="a red fox", seed=1, steps=1, width=32, height=32)
UNKNOWN = FOX.but(model=FOLDER)
"""The same weights as a folder: nothing says of a folder that its pictures need no check."""

OURS = ("checked", "blurred", "unchecked", "refused")
Opens = Callable[..., Session]


@pytest.fixture
def opens(tmp_path: Path) -> Iterator[Opens]:
    made: list[Session] = []

    def session(level: str = "standard", checker: str | None = None) -> Session:
        if checker is not None:
            (tmp_path / "config.toml").write_text(f'[safety]\nchecker = "{checker}"\n', "utf-8")
        settings = Settings.load(tmp_path, {}).protected(level=level)
        made.append(Session(settings=settings, offline=True))
        return made[-1]

    yield session
    for each in made:
        each.close()


def codes(session: Session, request: Request = UNKNOWN) -> tuple[list[str], list[str]]:
    """Codes of what was told, and of the picture's Record."""
    events = list(session.generate(request))
    assert isinstance(events[-1], Done), events[-1]
    record = events[-1].images[0].record
    return told(events), [notice.code for notice in (*record.notices, *record.checks) if notice.code in OURS]


def told(events: Sequence[Event]) -> list[str]:
    return [event.notice.code for event in events if isinstance(event, Warned) and event.notice.code in OURS]


@pytest.mark.parametrize("level", ["strict", "standard", "adult"])
def test_the_pocket_models_need_no_check(opens: Opens, monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    checkers.install(monkeypatch, [checkers.finding("likely")])
    assert codes(opens(level), FOX) == ([], [])
    assert checkers.ASKED == []


def test_a_lora_on_them_does(opens: Opens) -> None:
    from limner.types import Adapter

    session = opens()
    (plan,) = session.plan(FOX)
    assert not session._checking.looking.needed(plan)
    for kind, needed in (("lora", True), ("vae", True), ("embedding", False), ("upscaler", False)):
        other = plan.model_copy(update={"adapters": (Adapter(kind=kind, name="x", hash="sha256:0"),)})
        assert session._checking.looking.needed(other) is needed


def test_the_engine_s_thread_looks(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    checkers.install(monkeypatch, [checkers.finding("clear", score=0.01)])
    assert codes(opens()) == ([], ["checked"])
    assert checkers.ASKED == ["limner-engine"]


def test_strict_draws_nothing_that_nobody_can_look_at(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    checkers.install(monkeypatch, here=False)
    session = opens("strict")
    with pytest.raises(Refused) as caught:
        session.generate(UNKNOWN)
    assert caught.value.category == "unchecked"
    assert "limner safety pull marqo" in caught.value.hint
    assert session.settings.data.is_dir()
    assert any("image-check" in path.read_text("utf-8") for path in session.settings.data.rglob("*.jsonl"))
    assert codes(session, FOX) == ([], [])


def test_standard_draws_and_says_that_nobody_looked(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    checkers.install(monkeypatch, here=False)
    assert codes(opens()) == (["unchecked"], ["unchecked"])
    assert codes(opens("adult")) == ([], [])


TABLE = [
    ("strict", "sexual", "possible", "refused"),
    ("strict", "sexual", "likely", "refused"),
    ("strict", "violence_graphic", "possible", "blurred"),
    ("standard", "sexual", "possible", "blurred"),
    ("standard", "sexual", "likely", "refused"),
    ("standard", "violence_graphic", "possible", "kept"),
    ("standard", "violence_graphic", "likely", "blurred"),
    ("adult", "sexual", "likely", "kept"),
    ("adult", "dangerous", "likely", "kept"),
    *((level, "sexual_minors", "likely", "refused") for level in ("strict", "standard", "adult")),
    *((level, "sexual", "clear", "kept") for level in ("strict", "standard", "adult")),
]


@pytest.mark.parametrize(("level", "category", "verdict", "outcome"), TABLE)
def test_what_follows_from_a_finding(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, level: str, category: str, verdict: str, outcome: str
) -> None:
    checkers.install(monkeypatch, [checkers.finding(verdict, category)])
    session = opens(level)
    last = list(session.generate(UNKNOWN))[-1]
    if outcome == "refused":
        assert isinstance(last, Failed)
        assert isinstance(last.error, Refused)
        assert (last.error.category, last.error.rule) == (category, "image-check:standin")
        assert session.library.list() == []
        return
    assert isinstance(last, Done)
    assert ("blurred" in [notice.code for notice in last.images[0].record.checks]) is (outcome == "blurred")


def test_a_blurred_picture_is_nowhere_kept_sharp(opens: Opens, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkers.install(monkeypatch, [])
    session = opens()
    sharp = session.generate(UNKNOWN).result()[0]
    checkers.install(monkeypatch, [checkers.finding("possible")])
    events = list(session.generate(UNKNOWN.but(seed=1)))
    assert told(events) == ["blurred"]
    assert isinstance(events[-1], Done)
    (soft,) = events[-1].images
    np.testing.assert_array_equal(soft.pixels, blurred(sharp.pixels))
    assert soft.record.pixel_hash == pixel_hash(soft.pixels), "the Record is of what is handed out"
    stored = decode(Path(soft.path or ""))
    assert float(np.abs(stored.astype(int) - blurred(sharp.pixels).astype(int)).mean()) < 4
    found = read(Path(soft.path or "")).record
    assert found is not None
    assert "blurred" in [notice.code for notice in found.checks]


def test_blurring_leaves_nothing_but_colours() -> None:
    rng = np.random.default_rng(0)
    for shape in ((32, 32), (512, 100), (1, 40)):
        pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        other = pixels[::-1, ::-1].copy() if shape[0] > 1 else pixels
        soft = blurred(pixels)
        assert soft.shape == pixels.shape
        np.testing.assert_array_equal(soft, blurred(pixels))
        if shape[0] > 100:  # averages of noise are grey, whatever the noise was
            assert float(soft.std()) < 0.25 * float(pixels.std())
            assert float(np.abs(soft.astype(int) - blurred(other).astype(int)).mean()) < 25


def test_the_others_of_a_batch_are_kept(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    count = iter(range(9))
    checkers.install(monkeypatch, lambda _: [checkers.finding("likely" if next(count) == 1 else "clear")])
    session = opens()
    events = list(session.generate(UNKNOWN.but(n=4)))
    assert [event.index for event in events if isinstance(event, Made)] == [0, 2, 3]
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, Refused)
    assert len(events[-1].images) == len(session.library.list()) == 3
    refused = [event for event in events if isinstance(event, Warned) and event.notice.code == "refused"]
    assert [event.index for event in refused] == [1]
    assert not any((image.pixels == 0).all() for image in events[-1].images), "never a black square"


def test_no_number_is_said_and_never_clear(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (NonFinite("the checker standin answered nan"), RuntimeError("broken"), LimnerError("damaged")):
        checkers.install(monkeypatch, error)
        assert codes(opens()) == (["unchecked"], ["unchecked"])
        last = list(opens("strict").generate(UNKNOWN))[-1]
        assert isinstance(last, Failed)
        assert isinstance(last.error, Refused)
        assert str(error.args[0]) in last.error.message


def test_previews_are_withheld_where_pictures_are_looked_at(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(session: Session, request: Request) -> list[bool]:
        events = session.generate(request.but(steps=2), previews=True)
        return [event.preview is not None for event in events if isinstance(event, Step)]

    checkers.install(monkeypatch, [checkers.finding("clear")])
    session = opens()
    assert shown(session, UNKNOWN) == [False, False]
    assert shown(session, FOX) == [True, True]
    monkeypatch.setitem(checkers.SAYS, "here", False)
    assert shown(session, UNKNOWN) == [True, True], "nobody looks at the picture either"


def test_the_named_checker_is_not_replaced(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    checkers.install(monkeypatch, here=False)
    with pytest.raises(ConfigError, match=r"config.toml:2: \[safety\] checker: standin is not on this machine"):
        opens(checker="standin").generate(UNKNOWN)
    with pytest.raises(ConfigError, match="there is no check called 'marko'"):
        opens(checker="marko").generate(UNKNOWN)


def test_the_first_that_is_here_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    here: set[str] = set()

    def make(name: str) -> checkers.Standin:
        made = checkers.Standin()
        categories = ("sexual", "sexual_minors") if name == "compvis" else ("sexual",)
        made.__dict__["card"] = checkers.Standin.card.model_copy(update={"name": name, "categories": categories})
        made.__dict__["missing"] = lambda: None if name in here else "fetch"
        return made

    def chosen(level: str) -> list[str]:
        return [each.card.name for each in Panel("auto", make=make).of(level)]  # type: ignore[arg-type]

    assert chosen("standard") == []
    here.add("compvis")
    assert chosen("strict") == chosen("adult") == ["compvis"]
    here.add("falconsai")
    assert chosen("strict") == ["falconsai"]
    here.add("marqo")
    assert chosen("standard") == ["marqo"]
    assert chosen("adult") == ["compvis"], "only it knows of what no level allows"


def test_the_plan_has_room_for_the_checker(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(session: Session, request: Request) -> int:
        (plan,) = session.plan(request)
        return plan.estimate.peak_bytes or 0

    checkers.install(monkeypatch, here=False)
    without, pocket = peak(opens(), UNKNOWN), peak(opens(), FOX)
    monkeypatch.setitem(checkers.SAYS, "here", True)
    assert peak(opens(), UNKNOWN) == without + 1_000_000
    assert peak(opens(), FOX) == pocket


def test_a_session_that_closes_has_looked_at_what_was_drawn(opens: Opens, monkeypatch: pytest.MonkeyPatch) -> None:
    checkers.install(monkeypatch, [checkers.finding("clear")])
    session = opens()
    (plan,) = session.plan(UNKNOWN)
    drawn = replace(_drawn(session, plan))
    future = session._finish(plan, drawn)
    session.close()
    assert [notice.code for notice in future.result().record.checks] == ["checked"]


def _drawn(session: Session, plan: Plan):  # type: ignore[no-untyped-def]
    from limner.types import Drawn

    ticket = session._backend.submit(plan)
    return next(each for each in ticket if isinstance(each, Drawn))
