"""A request's life: events in order, what is kept, what happens when something breaks."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from limner import Request, Session, disk
from limner.config import Settings
from limner.errors import GenerationError, InvalidRequest, MismatchedWeights, NonFinite, PictureNotFound, StorageError
from limner.library import files
from limner.library.metadata import read
from limner.session import hooks
from limner.types import Cancelled, Done, Event, Failed, Made, Notice, Plan, Queued, Step

FOX = Request(prompt="a red fox", seed=1, steps=2, width=32, height=32)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session(settings=Settings.load(tmp_path, {}), offline=True) as made:
        yield made


def kinds(events: list[Event]) -> list[str]:
    return [type(e).__name__ for e in events if type(e).__name__ not in {"Loading", "Warned"}]


def test_events_in_order_and_one_end(session: Session) -> None:
    events = list(session.generate(FOX.but(n=2)))
    told = kinds(events)
    assert told[0] == "Queued"
    assert told[-1] == "Done"
    assert told.count("Step") == 4
    assert [e.index for e in events if isinstance(e, Made)] == [0, 1]
    assert isinstance(events[-1], Done)
    assert len(events[-1].images) == 2


def test_a_picture_is_kept_with_its_record(session: Session) -> None:
    image = session.generate(FOX).result()[0]
    assert image.path is not None
    found = read(Path(image.path)).record
    assert found == image.record
    assert session.library.get(image.id or "").record == image.record
    assert found is not None
    assert json.loads(found.to_json())["schema"] == 1
    assert found.pixel_hash == files.pixel_hash(files.decode(Path(image.path)))


def test_keep_false_keeps_nothing(tmp_path: Path) -> None:
    with Session(settings=Settings.load(tmp_path, {}), offline=True, keep=False) as session:
        image = session.generate(FOX).result()[0]
    assert image.path is None
    assert not list(tmp_path.rglob("*.png"))
    target = image.save(tmp_path / "fox.webp")
    found = read(target).record
    assert found is not None
    assert found.model_copy(update={"notices": image.record.notices}) == image.record
    new = [notice.code for notice in found.notices if notice not in image.record.notices]
    assert new == ["no-watermark"]  # 32 pixels are too few; said in the file


def test_previews_are_small_pictures(session: Session) -> None:
    shown = [e.preview for e in session.generate(FOX, previews=True) if isinstance(e, Step)]
    assert all(p is not None and p.dtype == np.uint8 and p.shape == (32, 32, 3) for p in shown)


def test_cancel_keeps_what_is_finished(session: Session) -> None:
    generation = session.generate(FOX.but(n=50, steps=20))
    events = []
    for event in generation:
        events.append(event)
        if isinstance(event, Made):
            generation.cancel()
    assert isinstance(events[-1], Cancelled)
    assert 1 <= len(events[-1].images) < 50
    assert len(session.library.list()) == len(events[-1].images)


def test_a_cancel_while_the_plan_is_handed_over_is_heard(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    generation = session.generate(FOX.but(n=200, steps=50))
    submit = session._backend.submit

    def interrupted(plan: Plan, *, previews: bool = False) -> object:
        ticket = submit(plan, previews=previews)
        generation.cancel()
        return ticket

    monkeypatch.setattr(session._backend, "submit", interrupted)
    last = list(generation)[-1]
    assert isinstance(last, Cancelled)
    assert len(last.images) < 5


def test_async(session: Session) -> None:
    async def collect() -> list[Event]:
        return [event async for event in session.generate(FOX)]

    assert kinds(asyncio.run(collect()))[-2:] == ["Made", "Done"]


def test_a_full_disk_fails_with_its_reason_and_the_next_request_works(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "fsync", full)
        events = list(session.generate(FOX.but(n=3, steps=20)))
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, StorageError)
    assert not list(session.library.root.rglob("*.png")), "no torn file"
    assert len(session.generate(FOX).result()) == 1


def test_a_poisoned_decode_is_done_again_in_float32_and_said(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from limner.models.sd import StableDiffusion

    forward = StableDiffusion.forward

    def overflowing(self: StableDiffusion, module: object, part: str, batch: object) -> object:
        out = forward(self, module, part, batch)  # type: ignore[arg-type]
        if part != "vae":
            return out
        decodes.append(part)
        return out * float("nan") if len(decodes) == 1 else out

    decodes: list[str] = []
    monkeypatch.setattr(StableDiffusion, "forward", overflowing)
    image = session.generate(FOX.but(dtype=native_half())).result()[0]
    assert "float32-decode" in [notice.code for notice in image.record.notices]
    assert len(decodes) == 2
    assert image.pixels.std() > 0


def native_half() -> str:
    from limner.models.machine import choose_dtype, probe

    dtype = choose_dtype(None, "cpu", probe()).dtype
    if dtype == "float32":
        pytest.skip("this CPU has no native half precision")
    return dtype


def test_a_picture_that_is_not_finite_is_never_saved(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from limner.models.sd import StableDiffusion

    forward = StableDiffusion.forward
    monkeypatch.setattr(
        StableDiffusion,
        "forward",
        lambda self, module, part, batch: forward(self, module, part, batch) * (float("nan") if part == "vae" else 1),
    )
    with pytest.raises(NonFinite):
        session.generate(FOX).result()
    assert session.library.list() == []


def test_replay_is_identical_and_says_why_when_it_is_not(session: Session) -> None:
    image = session.generate(FOX).result()[0]
    assert image.path is not None
    again = session.replay(image.path)
    assert (again.verdict, again.mean, again.reasons) == ("identical", 0.0, ())
    assert len(session.library.list()) == 1, "a replay is not kept"

    other = image.record.model_copy(
        update={"pixel_hash": "sha256:0", "versions": {**image.record.versions, "torch": "1.0"}, "threads": 99}
    )
    changed = np.clip(image.pixels.astype(int) + 3, 0, 255).astype(np.uint8)
    entry = session.library.add(changed, other)
    near = session.replay(entry.path)
    assert near.verdict == "near"
    assert near.mean is not None
    assert 2 < near.mean <= 3
    assert any("torch: 1.0 then" in r for r in near.reasons)
    assert any("threads: 99 then" in r for r in near.reasons)


def test_replay_of_variants_variations_and_morphs(session: Session) -> None:
    asked = FOX.but(prompt="a {red|blue} fox", variation=0.3, variation_seed=9, morph_to="a cat", morph=0.4, n=2)
    for image in session.generate(asked).result():
        assert session.replay(image.id or "").verdict == "identical"


def test_replay_refuses_other_weights_unless_told(session: Session) -> None:
    image = session.generate(FOX).result()[0]
    changed = {**image.record.model.files, "unet/config.json": "sha256:other"}
    other = image.record.model_copy(update={"model": image.record.model.model_copy(update={"files": changed})})
    entry = session.library.add(image.pixels, other)
    with pytest.raises(MismatchedWeights, match=r"not the weights of the picture: other bytes in unet/config\.json"):
        session.replay(entry.path)
    told = session.replay(entry.path, any_weights=True)
    assert told.verdict == "identical"
    assert any("not the same files as then" in reason for reason in told.reasons)


def test_replay_of_what_is_not_ours(session: Session, tmp_path: Path) -> None:
    from PIL import Image

    plain = tmp_path / "plain.png"
    Image.new("RGB", (8, 8)).save(plain)
    with pytest.raises(PictureNotFound, match=r"plain\.png says nothing of how it was drawn"):
        session.replay(plain)


def test_checks_see_the_prompt(session: Session) -> None:
    class Watching:
        def check_prompt(self, prompt: str, negative: str) -> list[Notice]:
            return [Notice(code="read", message=prompt)]

    assert isinstance(Watching(), hooks.Check)
    session._checking.__dict__["_checks"] = (Watching(),)
    image = session.generate(FOX).result()[0]
    (read_,) = image.record.checks
    assert read_.message == "a red fox"


def test_threads_may_ask_at_once(session: Session) -> None:
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda k: session.generate(FOX.but(seed=k, steps=2 + k)).result()[0], range(6)))
    assert [image.record.seed.seed for image in made] == list(range(6))
    assert len(session.library.list()) == 6


def test_a_closed_session_says_so(session: Session) -> None:
    running = iter(session.generate(FOX.but(n=500, steps=50)))
    assert isinstance(next(running), Queued)
    next(running)
    session.close()
    assert isinstance(list(running)[-1], Cancelled | Failed)
    with pytest.raises(GenerationError, match="closed"):
        session.draw("a fox")


def test_an_engine_that_cannot_start_fails_the_request(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    import limner.engine.desk

    def broken(*_: object) -> None:
        raise ImportError("no torch here")

    monkeypatch.setattr(limner.engine.desk, "Desk", broken)
    with pytest.raises(GenerationError, match="no torch here"):
        session.generate(FOX).result()


def test_a_fault_of_the_engine_fails_what_is_open_and_the_next_request_works(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limner.engine.scheduler import Scheduler

    with monkeypatch.context() as patch:
        patch.setattr(Scheduler, "pick", lambda self, waiting: 1 / 0)
        with pytest.raises(GenerationError, match="ZeroDivisionError") as caught:
            session.generate(FOX).result()
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert len(session.generate(FOX).result()) == 1


def test_a_script_that_ends_while_drawing_ends_cleanly(tmp_path: Path) -> None:
    code = (
        "from limner import Request, Session\n"
        "for event in Session(keep=False, offline=True).generate(Request(prompt='a fox', n=99)):\n"
        "    if type(event).__name__ == 'Step': break\n"
    )
    env = {**os.environ, "LIMNER_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_leaving_the_loop_cancels_and_keeps_what_is_drawn(session: Session) -> None:
    generation = session.generate(FOX.but(n=500, steps=3))
    for event in generation:
        if isinstance(event, Made):
            break
    made = len(generation.images)
    assert 1 <= made < 500
    assert len(session.library.list()) == made
    assert list(generation) == []


def test_one_that_cannot_be_stored_hides_none_that_can(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    add, calls = session.library.add_encoded, []

    def failing(*args: object, **named: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            while len(generation._finishing) < 4:  # the others are drawn by now, and wait to be stored
                time.sleep(0.01)
            raise StorageError("the disk is full", hint="make room")
        return add(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(session.library, "add_encoded", failing)
    generation = session.generate(FOX.but(n=6))
    events = list(generation)
    assert isinstance(events[-1], Failed)
    assert len(events[-1].images) == len(session.library.list()) >= 4


def test_words_that_fail_do_not_stop_the_next_words(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = FOX.but(prompt="a {red|blue} fox", seed=0, n=8)
    drawable = session.plan(asked)
    assert len(drawable) > 2
    locate = session._locate

    def failing(plan: Plan) -> object:
        if plan is broken[0]:
            raise ZeroDivisionError("oops")
        return locate(plan)

    monkeypatch.setattr(session._backend, "_locate", failing)
    broken = [drawable[0]]
    events = list(session.run(drawable))
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, GenerationError)
    assert len(events[-1].images) == 8 - len(drawable[0].seeds)


def test_replay_tells_a_changed_file(session: Session, tmp_path: Path) -> None:
    image = session.generate(FOX).result()[0]
    changed = image.pixels.copy()
    changed[0, 0] ^= 1
    (tmp_path / "changed.png").write_bytes(files.encode(changed, image.record))
    replayed = session.replay(tmp_path / "changed.png")
    assert replayed.verdict == "near"
    assert "changed since" in replayed.reasons[-1]
    lossy = image.save(tmp_path / "fox.jpg")
    replayed = session.replay(lossy)
    assert replayed.verdict == "identical"
    assert "compared by the Record" in replayed.reasons[-1]


def test_draw_makes_one(session: Session) -> None:
    with pytest.raises(InvalidRequest, match="one picture"):
        session.draw("a fox", n=4)


def test_marks_change_the_file_and_not_the_picture(session: Session) -> None:
    asked = FOX.but(width=64, height=64)
    marked = session.generate(asked).result()[0]
    with Session(settings=session.settings, backend=session._backend, marks="none") as other:
        plain = other.generate(asked).result()[0]
        assert np.array_equal(marked.pixels, plain.pixels)
        assert marked.record.pixel_hash == plain.record.pixel_hash == files.pixel_hash(marked.pixels)
        shown = files.decode(Path(marked.path or ""))
        assert marked.record.watermark is not None
        assert marked.record.watermark.pixel_hash == files.pixel_hash(shown) != marked.record.pixel_hash
        assert np.array_equal(files.decode(Path(plain.path or "")), plain.pixels)
        assert session.replay(Path(marked.path or "")).verdict == "identical"


def test_a_script_that_ends_at_once_ends_cleanly(tmp_path: Path) -> None:
    """While torch is still being imported on the engine's thread."""
    code = "from limner import Request, Session\nsession = Session(keep=False, offline=True)\nsession._backend.warm()\n"
    env = {**os.environ, "LIMNER_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=90
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_empty_plan_list_ends_at_once(session: Session) -> None:
    assert [type(e) for e in session.run([])] == [Queued, Done]
