"""A stand-in for the worker process: speaks the real frames, draws stripes with numpy, keeps them in the real library.

Run by path, as ``python serving_worker.py JSON``. See :mod:`tests.serving` for what it listens to.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from limner.config import Settings
from limner.errors import GenerationError, OutOfMemory, Refused
from limner.library.store import Library
from limner.sampling.catalog import A1111_NAMES
from limner.serve.jobs import Body, Kind
from limner.serve.work.draw import encoded, missing
from limner.serve.work.tell import Work
from limner.serve.worker import Worker, pipes
from limner.session.birth import birth
from limner.types import Drawn, Facts, Notice, Pixels, Plan, Score

SLOW = 0.1  # seconds a step
FACTS = Facts("stand-in", 1, {"total": 0.01}, None, {"limner": "stand-in"})


def drawn(work: Work, library: Library) -> Body:
    """Pictures of a draw, step by step."""
    for plan in missing([Plan.model_validate(each) for each in work.ask.plans], work.made):
        work.tell("loading", model=plan.model.name, part="unet")
        for k in range(len(plan.seeds)):
            _picture(work, plan, k, library)
    return {}


def _picture(work: Work, plan: Plan, k: int, library: Library) -> None:
    index, steps, words = plan.first + k, max(len(plan.recipe.levels) - 1, 1), set(plan.prompt.split())
    pixels = stripes(plan.seeds[k].seed, *plan.recipe.finished)
    for step in range(1, steps + 1):
        work.check()
        if "zzslow" in words:
            time.sleep(SLOW)
        if step == min(2, steps):
            _mischief(work, words, library.root)
        preview = encoded(pixels[::4, ::4]) if work.ask.previews else b""
        work.tell("step", preview, index=index, step=step, steps=steps)
    if "zzwarn" in words:
        work.tell("warned", code="stand-in", message="a warning", index=index)
    record = birth(plan, Drawn(index, pixels, FACTS), (Notice(code="checked", message="nothing"),))
    entry = library.add(pixels, record, parent=plan.parent)
    work.tell("made", index=index, picture=entry.id, seconds=0.01)


def _mischief(work: Work, words: set[str], root: Path) -> None:
    if "zzcrash" in words:
        os._exit(3)
    once = root / f".crashed-{work.job}"
    if "zzcrashonce" in words and not once.exists():
        root.mkdir(parents=True, exist_ok=True)
        once.touch()
        os._exit(3)
    while "zzhang" in words:
        time.sleep(0.05)
    if "zzfail" in words:
        raise GenerationError("the stand-in failed", hint="as it was told to")
    if "zzoom" in words:
        raise OutOfMemory("it does not fit", hint="draw smaller")
    if "zzrefuse" in words:
        raise Refused("the picture is refused", category="sexual", rule="stand-in")
    if "zzbug" in words:
        raise ValueError("a bug of the stand-in")
    if "zzcuda" in words:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


def stripes(seed: int, width: int, height: int) -> Pixels:
    """Pixels that differ by seed and are the same for the same one."""
    colours = np.random.default_rng(seed).integers(0, 256, (8, 3), dtype=np.uint8)
    rows = np.arange(height) * 8 // height
    return np.ascontiguousarray(np.broadcast_to(colours[rows][:, None], (height, width, 3)))


def scored(work: Work, library: Library) -> Body:
    """Half a point for every picture."""
    pictures, metrics = _strings(work, "pictures"), _strings(work, "metrics") or ["clip-pocket"]
    scores = [
        (picture, Score(scorer=metric, revision="stand-in", value=0.5, scale="0 to 1", domain="any"))
        for picture in pictures
        for metric in metrics
    ]
    library.add_scores(scores)
    return {"scores": [{"picture": picture, **score.model_dump(mode="json")} for picture, score in scores]}


def enlarged(work: Work, library: Library) -> Body:
    """The picture again, twice as large, as a child of the first."""
    entry = library.get(str(work.ask.body["picture"]))
    assert entry.record is not None
    pixels = stripes(entry.seed or 0, entry.width * 2, entry.height * 2)
    new = library.add(pixels, entry.record, parent=entry.id)
    work.tell("made", index=0, picture=new.id, seconds=0.01)
    return {}


def studied(work: Work, library: Library) -> Body:
    """Three notes and an answer, for what has no stand-in of its own."""
    for k in range(3):
        work.check()
        if "zzslow" in json.dumps(dict(work.ask.body)):
            time.sleep(SLOW * 5)
        while "zzwait" in json.dumps(dict(work.ask.body)):
            work.check()
            time.sleep(SLOW)
        work.tell("note", text=f"part {k + 1} of 3", done=k + 1, total=3)
    return {"stand_in": True, **_study_of_old(work, library)}


def _study_of_old(work: Work, library: Library) -> Body:
    """The study that a refinement says it made, where its words ask for one: the library's newest."""
    if work.ask.kind != "refine" or "zzstudied" not in json.dumps(dict(work.ask.body)):
        return {}
    kept = sorted((library.root / "refinements").glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    return {"study": kept[-1].name.split(".")[0]}


def _strings(work: Work, name: str) -> list[str]:
    given = work.ask.body.get(name) or ()
    assert isinstance(given, list | tuple)
    return [str(each) for each in given]


def _kinds() -> Iterator[tuple[Kind, Callable[[Work, Library], Body]]]:
    yield "draw", drawn
    yield "score", scored
    yield "upscale", enlarged
    yield from ((kind, studied) for kind in ("refine", "compare", "pull"))


def main() -> None:
    library = Library(Settings.load().library_root, sampler_names=A1111_NAMES)
    kinds = dict(_kinds())
    time.sleep(float(os.environ.get("STAND_IN_START", "0")))
    source, sink = pipes()
    Worker(source, sink, lambda kind: lambda work: kinds[kind](work, library), library.close).serve()


if __name__ == "__main__":
    assert len(sys.argv) == 2, "the server says how to draw"
    main()
