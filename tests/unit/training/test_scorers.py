"""The scorers' data tells right from wrong, and both stages train at toy size."""

import json
import random
from pathlib import Path

import torch
from training import captions, captions_judge, pack, scene, train_clip
from training.loop import Options
from training.negatives import negatives
from training.scene import Part, Scene
from training.sprites import Atlas
from transformers import CLIPModel


def _options(out: Path) -> Options:
    return Options(out=out, samples=8, batch=4, warmup=2, save_every=60.0)


def test_near_misses_differ_in_one_thing_only(atlas: Atlas) -> None:
    rng = random.Random(0)
    for _ in range(300):
        shown = scene.draw(rng, len(atlas.things), scene.FULL)
        for kind, other in negatives(shown, rng, len(atlas.things), 3):
            assert other != shown
            assert (other.relation != shown.relation) is (kind == "relation")
            assert ((other.place, other.time, other.ground) != (shown.place, shown.time, shown.ground)) is (
                kind == "place"
            )
            assert ([p.count for p in other.parts] != [p.count for p in shown.parts]) is (kind == "count")


def test_questions_are_answered_by_the_scene(atlas: Atlas) -> None:
    shown = Scene((Part(0, colour="red"), Part(1)), relation="left", place="snow", time="night")
    asked = captions_judge.questions(shown, atlas.things, random.Random(0), 200)
    truth: dict[str, set[bool]] = {}
    for _, text, yes, *_ in asked:
        truth.setdefault(text, set()).add(yes)
    assert all(len(answers) == 1 for answers in truth.values())
    assert truth.get("is the fox red?", {True}) == {True}
    assert truth.get("is it night?", {True}) == {True}
    assert truth.get("is the fox right of the cat?", {False}) == {False}
    assert {kind for kind, *_ in asked} == {"thing", "colour", "relation", "place", "time"}


def test_yes_and_no_are_about_as_frequent(atlas: Atlas) -> None:
    rng = random.Random(0)
    said = [
        question.truth
        for _ in range(300)
        for question in captions_judge.questions(scene.draw(rng, 6, scene.FULL), atlas.things, rng, 6)
    ]
    assert 0.35 < sum(said) / len(said) < 0.65


def test_pocket_clip_trains_and_reports(atlas: Atlas, tmp_path: Path) -> None:
    trainer = train_clip.train(atlas, _options(tmp_path), variants=1, width=64, layers=2, checked=8)
    assert trainer.step == 2
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_clip_loss_falls_when_own_captions_match() -> None:
    seen = torch.nn.functional.normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    near = -seen
    good = train_clip.contrast_loss(seen, torch.stack([seen, near], 1), torch.tensor(10.0))
    bad = train_clip.contrast_loss(seen, torch.stack([near, seen], 1), torch.tensor(10.0))
    assert good < bad


def test_a_larger_picture_is_seen_averaged_down() -> None:
    model = train_clip.build(20, width=64, layers=2).eval()
    picture, ids = torch.rand(2, 3, 256, 256), torch.tensor([[2, 5, 3]])
    halved = torch.nn.functional.avg_pool2d(picture, 2)
    assert torch.equal(train_clip.embed(model, picture, ids)[0], train_clip.embed(model, halved, ids)[0])


def test_the_packed_clip_gives_the_same_embeddings(atlas: Atlas, tmp_path: Path) -> None:
    trainer = train_clip.train(atlas, _options(tmp_path / "clip"), variants=1, width=64, layers=2, checked=8)
    pack.pack_clip(tmp_path, tmp_path / "packed")
    packed = CLIPModel.from_pretrained(tmp_path / "packed", dtype=torch.float32)
    prepare = json.loads((tmp_path / "packed" / "preprocessor_config.json").read_text())
    assert prepare["size"] == {"height": 128, "width": 128}  # the positions are learnt for that many patches
    trainer.swap()  # the export holds the averaged weights
    ids = torch.tensor([captions.encode("a fox in the snow", captions.vocabulary(atlas.things), 32)])
    picture = torch.zeros(1, 3, 128, 128)
    ours = train_clip.embed(trainer.modules["clip"], picture, ids)
    for mine, theirs in zip(ours, train_clip.embed(packed, picture, ids), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-2)
