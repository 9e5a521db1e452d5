"""What is packed is read by Limner's own scorers, and answers as the networks that were trained do."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from training import captions, exam, pack_scorers, train_clip, train_detector
from training.clip_hints import towers
from training.sprites import Atlas

from limner.evaluate.cache import ScoreCache
from limner.evaluate.nets.detector import Detector, DetectorConfig
from limner.evaluate.pocket_clip import PocketClip
from limner.evaluate.pocket_files import shown
from limner.evaluate.pocket_judge import PocketJudge
from limner.evaluate.pocket_sight import Fact
from limner.evaluate.pocket_words import world

PICTURES = [np.random.default_rng(k).integers(0, 256, (64, 64, 3), np.uint8) for k in range(2)]
TEXT = "a red fox in the snow"


def written(run: Path, marks: dict[str, float]) -> Path:
    """A run's folder with the last line of its log."""
    run.mkdir()
    (run / "log.jsonl").write_text(json.dumps({"minutes": 3.0, "seen": 1200, **marks}) + "\n")
    return run


def test_words_are_numbered_as_the_judge_numbers_its_things(atlas: Atlas, tmp_path: Path) -> None:
    assert pack_scorers.as_taught(tmp_path, atlas.things) == atlas.things
    names = [thing.name for thing in atlas.things][::-1]
    (tmp_path / "config.json").write_text(json.dumps({"things": names}))
    assert [thing.name for thing in pack_scorers.as_taught(tmp_path, atlas.things)] == names


def test_packed_clip_gives_the_cosines_of_what_was_trained(atlas: Atlas, tmp_path: Path) -> None:
    run = written(tmp_path / "clip", {"r1_text": 0.5, "near_all": 0.75, "near_colour": 0.8})
    vocab = captions.vocabulary(atlas.things)
    torch.manual_seed(0)
    model = train_clip.build(len(vocab), width=64, layers=2).half().float()
    model.save_pretrained(run / "model")
    (run / "vocab.json").write_text(json.dumps(vocab))
    pack_scorers.pack_clip(run, tmp_path / "pocket_clip", "\nSeen by eye.\n")
    scorer = PocketClip(tmp_path / "pocket_clip")
    found = [s.value for s in scorer.score(PICTURES, [TEXT] * 2, ScoreCache(None))]
    ids = torch.tensor([captions.encode(TEXT, vocab, 32)])
    with torch.no_grad():
        halved = torch.nn.functional.avg_pool2d(shown(PICTURES), 2)  # taught at 128 pixels a side
        seen, read, *_ = towers(model.eval(), halved, ids)
    assert found == pytest.approx((seen @ read.T).flatten().tolist(), abs=1e-5)
    card = (tmp_path / "pocket_clip" / "README.md").read_text()
    assert "| colour alone | 80.0% |" in card
    assert "Seen by eye." in card
    assert "75.0% of captions wrong in one fact told right" in scorer.card.verified
    assert (tmp_path / "pocket_clip" / "NOTICE").read_text().startswith("pocket_clip, a scorer built into Limner")


def judge_run(run: Path, things: list[str], marks: dict[str, float], seed: int = 0) -> Detector:
    """What a judge's stage leaves behind, untrained."""
    written(run, marks)
    torch.manual_seed(seed)
    config = DetectorConfig(tuple(things), (4, 8, 12), (0, 0, 1), 8)
    model = train_detector.build(config).half().float().eval()
    train_detector.export(model, run, {"thing": (0.5, 0.25)})
    return model


def test_packed_judge_gives_the_answers_of_what_was_trained(atlas: Atlas, tmp_path: Path) -> None:
    things = [thing.name for thing in atlas.things]
    model = judge_run(tmp_path / "judge", things, {"atom_all": 0.9, "atom_colour": 0.5, "atom_time": 1.0, "brier": 0.1})
    pack_scorers.pack_judge(tmp_path / "judge", tmp_path / "pocket_judge")
    scorer = PocketJudge(tmp_path / "pocket_judge")
    found = scorer.answers(PICTURES[0], TEXT)
    (sight,) = exam.sights(model, shown(PICTURES[:1]), {"thing": (0.5, 0.25)})
    fox = things.index("fox")
    facts = [Fact("thing", (fox,)), Fact("colour", (fox,), "red"), Fact("place", (), "snow")]
    assert [answer.yes for answer in found] == pytest.approx([sight.yes(fact) for fact in facts], abs=2e-3)
    assert "90.0% of yes-or-no questions told right" in scorer.card.verified
    assert scorer.card.verified.endswith("little better than chance at: colour")
    assert (
        "| mean squared error of its probabilities | 0.100 |" in (tmp_path / "pocket_judge" / "README.md").read_text()
    )


def test_the_revision_follows_the_weights(tmp_path: Path) -> None:
    revisions = []
    for seed in (0, 0, 1):
        run = tmp_path / f"run{len(revisions)}"
        judge_run(run, ["fox"], {"atom_all": 0.9}, seed)
        pack_scorers.pack_judge(run, run / "pocket_judge")
        revisions.append(PocketJudge(run / "pocket_judge").card.revision)
    assert revisions[0] == revisions[1] != revisions[2]


def test_the_words_are_read_back(atlas: Atlas, tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text(json.dumps(pack_scorers.words(atlas.things)))
    known = world(tmp_path / "words.json")
    assert [known.name(k) for k in range(len(known.things))] == [thing.name for thing in atlas.things]
    assert known.phrases[("foxes",)].plural
    assert known.phrases[("tiny", "fox")].value == known.phrases[("fox",)].value
