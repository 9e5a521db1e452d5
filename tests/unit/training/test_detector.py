"""What a detector is taught is what the picture shows, and it trains and is exported at toy size."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training import captions_judge, exam, lessons, train_classifier, train_detector, world
from training.data import held_out_scenes
from training.layout import Layout, lay_out
from training.loop import Options
from training.render import Renderer
from training.scene import Part, Scene, is_held_out
from training.sprites import Atlas

from limner.evaluate.nets.detector import COLOURS, GRID, GROUNDS, PLACES, TIMES, Detector, DetectorConfig
from limner.evaluate.pocket_sight import Fact, Logits, Sight, calibrated

SMALL = DetectorConfig((), (4, 8, 12), (0, 0, 1), 8)


def test_the_worlds_words_are_the_detectors() -> None:
    assert list(world.COLOURS) == list(COLOURS)
    assert (*world.PLACES, world.OPEN, world.PLAIN) == PLACES
    assert list(world.TIMES) == list(TIMES)


def perfect(scene: Scene, things: int) -> Sight:
    """What a detector that has learnt its lessons to the letter sees."""
    layout = lay_out([scene], [random.Random(3)])
    told = lessons.taught(layout)
    logits = Logits(
        20.0 * told.there[0] - 10,
        np.zeros((GRID, GRID, things)),
        np.zeros((GRID, GRID, len(COLOURS))),
        np.zeros((GRID, GRID, 2)),
        *(np.zeros(n) for n in (len(PLACES), len(TIMES), len(GROUNDS))),
    )
    for row, column, thing, colour, shift in zip(
        told.row, told.column, told.thing, told.colour, told.shift, strict=True
    ):
        logits.things[row, column, thing] = 20
        logits.shifts[row, column] = shift
        if colour >= 0:
            logits.colours[row, column, colour] = 20
    place, time, ground = lessons.around(scene)
    for part, label in ((logits.places, place), (logits.times, time), (logits.grounds, ground)):
        if label != lessons.IGNORED:
            part[label] = 20
    return Sight(logits, exam.NAMES, {})


def test_who_has_learnt_the_lesson_answers_every_question(atlas: Atlas) -> None:
    scenes, _ = held_out_scenes(150, 1, atlas.things)
    rng = random.Random(0)
    wrong = []
    for scene in scenes:
        sight = perfect(scene, len(atlas.things))
        for q in captions_judge.questions(scene, atlas.things, rng, 6):
            if (sight.yes(Fact(q.kind, q.things, q.value)) > 0.5) != q.truth:
                wrong.append((scene, q))
    assert wrong == []


def test_a_lesson_is_the_same_again_and_never_held_out(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Scene] = []

    def spied(scenes: list[Scene], rngs: list[random.Random], aligned: bool) -> Layout:
        shown.extend(scenes)
        return lay_out(scenes, rngs, aligned)

    monkeypatch.setattr(lessons, "lay_out", spied)
    first, again = (lessons.Lessons(4, 16, atlas.things, favoured=2)[3_000] for _ in range(2))
    assert np.array_equal(first.layout.slots, again.layout.slots)
    assert not any(is_held_out(scene, atlas.things) for scene in shown)
    assert {len(scene.parts) for scene in shown} == {1, 2}


def test_own_colours_are_those_one_sees(atlas: Atlas) -> None:
    seen = [COLOURS[k] for k in lessons.own_colours(atlas).argmax(1)]
    assert dict(zip((t.name for t in atlas.things), seen, strict=True)) == {
        **{"fox": "orange", "cat": "yellow", "whale": "blue"},
        **{"frog": "green", "rose": "red", "ghost": "white"},
    }


def test_a_small_render_is_the_large_one_reduced(atlas: Atlas) -> None:
    scenes = [Scene((Part(0), Part(2, colour="red")), relation="left", place="snow"), Scene((Part(1, size="small"),))]
    layout = lay_out(scenes, [random.Random(0), random.Random(1)])
    large, small = Renderer(atlas, 1)(layout), Renderer(atlas, 1, 128)(layout)
    assert (torch.nn.functional.avg_pool2d(large, 2) - small).abs().mean() < 0.01


def test_the_calibration_makes_shares_of_chances() -> None:
    rng = random.Random(0)
    # A judge that says 0.9 and is right in 7 cases of 10.
    line = exam.line([(0.9 if k % 2 else 0.1, (rng.random() < 0.7) == bool(k % 2)) for k in range(4000)])
    assert calibrated(0.9, line) == pytest.approx(0.7, abs=0.03)
    assert calibrated(0.1, line) == pytest.approx(0.3, abs=0.03)


def test_a_detector_trains_and_exports(atlas: Atlas, tmp_path: Path) -> None:
    options = Options(out=tmp_path, samples=8, batch=4, warmup=2, save_every=60.0)
    trainer = train_detector.train(atlas, options, variants=1, config=SMALL, checked=8)
    assert trainer.step == 2
    saved = load_file(tmp_path / "model.safetensors")
    assert all(v.dtype == torch.float16 for v in saved.values())
    assert not any("norm" in name for name in saved)
    assert {"atom_all", "brier"} <= set((tmp_path / "log.jsonl").read_text().replace('"', " ").split())


def test_every_second_lesson_shows_things_as_large_as_pocket_draws_them(atlas: Atlas) -> None:
    def side(index: int) -> float:
        slots = lessons.Lessons(4, 64, atlas.things, curriculum=10**9)[index].layout.slots  # single things alone
        return float(np.median(slots[:, 0, 3][slots[:, 0, 0] >= 0]))

    assert side(1) > 1.05 * side(0)


def test_a_detector_goes_on_from_an_exported_one(atlas: Atlas, tmp_path: Path) -> None:
    options = Options(out=tmp_path / "first", samples=16, batch=4, warmup=2, save_every=60.0)
    train_detector.train(atlas, options, variants=1, config=SMALL, checked=8)
    weights = {k: v.float() for k, v in load_file(tmp_path / "first" / "model.safetensors").items()}
    names = tuple(t.name for t in atlas.things)
    bare, normed = Detector(replace(SMALL, things=names)), train_detector.build(replace(SMALL, things=names))
    bare.load_state_dict(weights)
    pictures = torch.rand(8, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    train_detector.unfolded(normed, weights, pictures)
    with torch.no_grad():
        assert torch.allclose(normed(pictures).things, bare(pictures).things, atol=1e-4)
    on = replace(options, out=tmp_path / "on", samples=4, rate=0.0)
    train_detector.train(atlas, on, variants=1, config=SMALL, checked=8, begin=tmp_path / "first")
    after = load_file(tmp_path / "on" / "model.safetensors")
    assert torch.allclose(after["thing.2.weight"].float(), weights["thing.2.weight"], atol=1e-3)


def test_weights_are_numbered_as_asked(tmp_path: Path, atlas: Atlas) -> None:
    options = Options(out=tmp_path, samples=4, batch=4, warmup=2, save_every=60.0)
    train_detector.train(atlas, options, variants=1, config=SMALL, checked=8)
    names = [t.name for t in atlas.things]
    usual, turned = train_detector.numbered(tmp_path, names), train_detector.numbered(tmp_path, names[::-1])
    assert torch.equal(usual["thing.2.bias"].flip(0), turned["thing.2.bias"])
    with pytest.raises(KeyError, match="wombat"):
        train_detector.numbered(tmp_path, ["wombat"])


def test_the_classifiers_answer_is_what_it_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene((Part(2, colour="red"), Part(4, colour="blue")), relation="left", place="beach", time="night")
    three = Scene((Part(1, count=3),), ground="green")
    monkeypatch.setattr(train_classifier, "sights", lambda *_: [perfect(scene, 6), perfect(three, 6)])
    model = Detector(DetectorConfig(tuple("abcdef"), (4, 8, 12), (0, 0, 0), 8))
    (first, second), features = train_classifier.answers(model, torch.zeros(2, 3, 256, 256))
    assert dict(zip(first.things, first.colours, strict=True)) == {2: "red", 4: "blue"}
    x = dict(zip(first.things, (centre[0] for centre in first.centres), strict=True))
    assert x[2] < 0.4 < 0.6 < x[4]
    assert (first.count, train_classifier.SETTINGS[first.setting]) == (2, "beach|night")
    assert (second.things[0], second.count, train_classifier.SETTINGS[second.setting]) == (1, 3, "plain|green")
    assert features.shape == (2, 12)
