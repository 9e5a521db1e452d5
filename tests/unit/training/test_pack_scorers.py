"""What is packed is read by Limner's own scorers, and answers as the networks that were trained do."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from training import captions, pack_scorers, train_clip, train_judge
from training.sprites import Atlas

from limner.evaluate.cache import ScoreCache
from limner.evaluate.pocket_clip import PocketClip
from limner.evaluate.pocket_files import shown
from limner.evaluate.pocket_judge import PocketJudge
from limner.evaluate.pocket_words import world

PICTURES = [np.random.default_rng(k).integers(0, 256, (64, 64, 3), np.uint8) for k in range(2)]
TEXT = "a red fox in the snow"


def written(run: Path, marks: dict[str, float]) -> Path:
    """A run's folder with the last line of its log."""
    run.mkdir()
    (run / "log.jsonl").write_text(json.dumps({"minutes": 3.0, "seen": 1200, **marks}) + "\n")
    return run


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
        seen = train_clip._unit(model.get_image_features(pixel_values=shown(PICTURES)))
        read = train_clip._unit(model.get_text_features(input_ids=ids))
    assert found == pytest.approx((seen @ read.T).flatten().tolist(), abs=1e-5)
    card = (tmp_path / "pocket_clip" / "README.md").read_text()
    assert "| colour alone | 80.0% |" in card
    assert "Seen by eye." in card
    assert "75% of captions wrong in one fact told right" in scorer.card.verified
    assert (tmp_path / "pocket_clip" / "NOTICE").read_text().startswith("pocket_clip: a built-in scorer")


def test_packed_judge_gives_the_answers_of_what_was_trained(atlas: Atlas, tmp_path: Path) -> None:
    run = written(tmp_path / "judge", {"atom_all": 0.9, "atom_colour": 0.5, "atom_time": 1.0})
    vocab = train_judge.vocabulary(atlas.things)
    torch.manual_seed(0)
    model = train_judge.Judge(len(vocab), 48).half().float().eval()
    save_file({k: v.half() for k, v in model.state_dict().items()}, run / "model.safetensors")
    (run / "config.json").write_text(json.dumps({**model.shape, "length": train_judge.LENGTH, "vocab": vocab}))
    pack_scorers.pack_judge(run, tmp_path / "pocket_judge")
    scorer = PocketJudge(tmp_path / "pocket_judge")
    found = scorer.answers(PICTURES[0], TEXT)
    ids = [captions.encode(answer.atom.question, vocab, train_judge.LENGTH) for answer in found]
    with torch.no_grad():
        expected = model(shown(PICTURES[:1]), torch.tensor([ids]))[0].sigmoid().tolist()
    assert [answer.yes for answer in found] == pytest.approx(expected, abs=1e-5)
    assert "90% of yes-or-no questions told right" in scorer.card.verified
    assert scorer.card.verified.endswith("little better than chance at: colour")


def test_the_revision_follows_the_weights(atlas: Atlas, tmp_path: Path) -> None:
    revisions = []
    for seed in (0, 0, 1):
        run = tmp_path / f"run{len(revisions)}"
        written(run, {"atom_all": 0.9})
        torch.manual_seed(seed)
        model = train_judge.Judge(20, 48)
        save_file({k: v.half() for k, v in model.state_dict().items()}, run / "model.safetensors")
        (run / "config.json").write_text(json.dumps({**model.shape, "length": 20, "vocab": {"<pad>": 0}}))
        pack_scorers.pack_judge(run, run / "pocket_judge")
        revisions.append(PocketJudge(run / "pocket_judge").card.revision)
    assert revisions[0] == revisions[1] != revisions[2]


def test_the_words_are_read_back(atlas: Atlas, tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text(json.dumps(pack_scorers.words(atlas.things)))
    known = world(tmp_path / "words.json")
    assert [known.name(k) for k in range(len(known.things))] == [thing.name for thing in atlas.things]
    assert known.phrases[("foxes",)].plural
    assert known.phrases[("tiny", "fox")].value == known.phrases[("fox",)].value
