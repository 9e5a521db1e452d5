"""What the captions promise: known words only, the same words for the same seed, nothing held out in training."""

import json
import random

from training import captions, scene
from training.evaluate import prompts
from training.scene import Part, Scene
from training.sprites import Atlas


def test_every_caption_is_made_of_known_words(atlas: Atlas) -> None:
    vocab = captions.vocabulary(atlas.things)
    for k in range(600):
        rng = random.Random(k)
        said = captions.caption(scene.draw(rng, len(atlas.things), scene.FULL), atlas.things, rng)
        assert [w for w in captions.words(said) if w not in vocab] == []
        assert len(captions.words(said)) <= 30


def test_a_caption_names_what_the_scene_shows(atlas: Atlas) -> None:
    shown = Scene((Part(0, colour="blue", size="big"), Part(1)), relation="left", place="snow", time="night")
    for k in range(50):
        said = captions.caption(shown, atlas.things, random.Random(k))
        assert "blue" in said
        assert said.index("fox") < said.index("left of") < said.index("cat")


def test_a_count_is_followed_by_a_plural(atlas: Atlas) -> None:
    said = {captions.caption(Scene((Part(0, count=3),)), atlas.things, random.Random(k)) for k in range(40)}
    assert all("foxes" in s or "foxs" in s for s in said)
    assert any(s.startswith("three") for s in said)


def test_the_same_seed_says_the_same(atlas: Atlas) -> None:
    def said(seed: int) -> str:
        rng = random.Random(seed)
        return captions.caption(scene.draw(rng, 6, scene.FULL), atlas.things, rng)

    assert [said(k) for k in range(30)] == [said(k) for k in range(30)]


def test_training_never_draws_a_held_out_combination(atlas: Atlas) -> None:
    rng = random.Random(0)
    drawn = [scene.training_scene(rng, atlas.things, scene.FULL) for _ in range(2000)]
    assert not any(scene.is_held_out(s, atlas.things) for s in drawn)
    asked = [scene.draw(rng, 6, scene.FULL) for _ in range(2000)]
    assert 0.02 < sum(scene.is_held_out(s, atlas.things) for s in asked) / 2000 < 0.4


def test_the_curriculum_starts_with_single_things(atlas: Atlas) -> None:
    rng = random.Random(0)
    easy = [scene.training_scene(rng, atlas.things, scene.SINGLE) for _ in range(200)]
    assert all(s.relation is None and s.parts[0].count == 1 for s in easy)


def test_held_out_prompts_are_held_out_and_distinct(atlas: Atlas) -> None:
    rows = prompts.prompts(atlas.things, {"place": 10, "colour": 3, "count": 1, "relation": 5})
    assert len({r["prompt"] for r in rows}) == len(rows) == 19
    assert prompts.prompts(atlas.things, {"place": 10, "colour": 3, "count": 1, "relation": 5}) == rows


def test_encoding_is_cut_and_padded() -> None:
    vocab = {"<pad>": 0, "<unk>": 1, "<bos>": 2, "<eos>": 3, "fox": 4}
    assert captions.encode("Fox, zebra", vocab, 6) == [2, 4, 1, 3, 0, 0]
    assert captions.encode("fox " * 9, vocab, 4) == [2, 4, 4, 3]


def test_the_list_is_asked_about_known_things_of_some_kinds_at_even_distances() -> None:
    known = ("cat", "dog", "fox", "horse", "owl", "penguin", "apple", "car", "house", "tree")
    rows = prompts.held_out(known)
    assert rows
    assert all(set(known).issuperset(row["things"]) for row in rows)
    assert {row["kind"] for row in prompts.held_out(known, kinds=("colour",))} == {"colour"}
    every = prompts.held_out(thing for row in map(json.loads, prompts.LIST.open()) for thing in row["things"])
    assert len(every) == sum(prompts.SIZES.values())
    some = prompts.held_out((thing for row in every for thing in row["things"]), 84)
    assert len(some) == 84
    assert {row["kind"] for row in some} == set(prompts.SIZES)
    assert prompts.spread(every, 10_000) == every
