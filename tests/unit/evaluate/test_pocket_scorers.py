"""The pocket scorers: what they read, see and flag, with small random weights and with those that ship."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from training import captions
from training.layout import lay_out
from training.render import Renderer
from training.scene import Part, Scene
from training.sprites import SIDE as SPRITE
from training.sprites import Atlas
from training.world import Thing

from limner.errors import CorruptFile, ModelNotFound, ScorerOutOfDomain
from limner.evaluate.pocket_atoms import atoms
from limner.evaluate.pocket_clip import PocketClip
from limner.evaluate.pocket_files import SIDE, Folder, shown
from limner.evaluate.pocket_judge import PocketJudge
from limner.types import Pixels
from tests.pocket_scorers import CLIP, JUDGE, VOCAB, fresh, write_clip, write_judge
from tests.unit.evaluate.test_model_free import CACHE, scene


class Counting(dict[str, "np.ndarray"]):
    """A cache that is asked and filled."""

    def put(self, key: str, embedding: np.ndarray) -> None:
        self[key] = embedding


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> PocketClip:
    return PocketClip(write_clip(tmp_path_factory.mktemp("clip")))


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> PocketJudge:
    return PocketJudge(write_judge(tmp_path_factory.mktemp("judge")))


@pytest.mark.parametrize("text", ["a red fox", "A Red fox, in the snow!", "", "two dogs -- 'on' grass", "x " * 60])
def test_words_are_numbered_as_in_training(tmp_path: Path, text: str) -> None:
    folder = Folder.of("pocket-clip", write_clip(tmp_path))
    assert folder.tokens(text, 32).ids == captions.encode(text, VOCAB, 32)


def test_what_is_cut_or_unknown_is_flagged(clip: PocketClip) -> None:
    def flags(text: str) -> tuple[str, ...]:
        return clip.score([scene(0)], [text], CACHE)[0].flags

    assert flags("a red fox in the snow") == ()
    assert flags("a turquoise fox") == ("words it was never taught: turquoise",)
    assert flags("a fox " * 20) == ("only 30 of 40 words were read",)


def test_pictures_are_shown_whole() -> None:
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, :40] = 255
    found = shown([wide, np.full((SIDE, SIDE, 3), 127, np.uint8)])
    assert found.shape == (2, 3, SIDE, SIDE)
    assert found[0, 0, 0, 0] == pytest.approx(1)  # the rim is carried outwards
    assert found[0, 0, 0, -1] == pytest.approx(-1)
    assert found[1].unique().tolist() == pytest.approx([127 / 127.5 - 1])


def test_a_picture_of_the_right_size_is_shown_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    torch.testing.assert_close(shown([pixels])[0].permute(1, 2, 0), torch.from_numpy(pixels) / 127.5 - 1)


def test_each_picture_and_text_is_encoded_once_a_cache(clip: PocketClip) -> None:
    cache = Counting()
    first = clip.score([scene(0), scene(0), scene(1)], ["a fox"] * 3, cache)
    assert len(cache) == 3
    cache.update({key: np.zeros_like(row) for key, row in cache.items()})
    assert [each.value for each in clip.score([scene(0)], ["a fox"], cache)] == [0]
    assert first[0].value == first[1].value != first[2].value


def test_the_score_is_the_mean_of_the_answers(judge: PocketJudge) -> None:
    text = "a red fox in the snow"
    answers = judge.answers(scene(0), text)
    assert [answer.atom for answer in answers] == list(atoms(text))
    assert all(0 <= answer.yes <= 1 for answer in answers)
    (score,) = judge.score([scene(0)], [text], CACHE)
    assert score.value == pytest.approx(sum(answer.yes for answer in answers) / 3)
    assert score.flags == ()


def test_what_the_judge_does_not_ask_is_flagged_and_nothing_at_all_refused(judge: PocketJudge) -> None:
    (score,) = judge.score([scene(0)], ["a fluffy fox"], CACHE)
    assert score.flags == ("not asked about: fluffy",)
    with pytest.raises(ScorerOutOfDomain, match="nothing to ask"):
        judge.score([scene(0)], ["gloomy abstraction"], CACHE)


def test_things_that_the_weights_were_not_taught_are_not_asked_about(tmp_path: Path) -> None:
    folder = write_judge(tmp_path)
    config = {**JUDGE, "things": ["dog", "fox"]}
    save_file(fresh(config), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    judge = PocketJudge(folder)
    assert [answer.atom.words for answer in judge.answers(scene(0), "a red fox on a cat, night")] == [
        *("fox", "red fox", "night"),
    ]
    (score,) = judge.score([scene(0)], ["a red fox on a cat"], CACHE)
    assert score.flags == ("not asked about: cat red fox on a cat",)
    with pytest.raises(ScorerOutOfDomain, match="nothing to ask"):
        judge.score([scene(0)], ["a cat"], CACHE)


def test_files_that_are_damaged_or_gone(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        PocketClip(tmp_path / "none").score([scene(0)], ["a fox"], CACHE)
    assert "training.pack_scorers" in caught.value.hint
    told = json.loads((write_judge(tmp_path / "judge") / "config.json").read_text())
    for text in ("{", "[]", json.dumps({**told, "things": 3}), json.dumps({**told, "calibration": {"thing": [1]}})):
        folder = write_judge(tmp_path / "judge")
        (folder / "config.json").write_text(text)
        with pytest.raises(CorruptFile):
            PocketJudge(folder).score([scene(0)], ["a fox"], CACHE)
    folder = write_clip(tmp_path / "clip")
    (folder / "config.json").write_text(json.dumps({**CLIP, "vocab": 3}))
    with pytest.raises(CorruptFile, match="no vocab"):
        PocketClip(folder).score([scene(0)], ["a fox"], CACHE)
    (write_judge(tmp_path / "judge") / "card.json").write_text("{}")
    with pytest.raises(CorruptFile):
        PocketJudge(tmp_path / "judge")


def test_other_weights_are_another_scorer(clip: PocketClip) -> None:
    assert clip.card.revision.startswith("small-")
    assert PocketClip.card.revision == PocketClip().card.revision != clip.card.revision


PLACES = {"snow": "in the snow", "sea": "underwater", "space": "in outer space", "grass": "in a meadow"}


@pytest.fixture(scope="module")
def places() -> dict[str, list[Pixels]]:
    """Renders of the training's own: an orange disc at each place, four times."""
    pixels = np.zeros((1, SPRITE, SPRITE, 4), np.uint8)
    y, x = np.mgrid[:SPRITE, :SPRITE] - SPRITE // 2
    pixels[0][x**2 + y**2 < (SPRITE // 2 - 6) ** 2] = (230, 120, 40, 255)
    ball = Thing("ball", (("ball", "balls"),), "?", "test")
    renderer = Renderer(Atlas((ball,), pixels, np.ones(1, np.float32)), 1)
    found = {}
    for place in PLACES:
        scenes = [Scene((Part(0),), place=place)] * 4
        drawn = renderer(lay_out(scenes, [random.Random(f"{place}{k}") for k in range(4)]))
        found[place] = list(((drawn.permute(0, 2, 3, 1) + 1) * 127.5).round().byte().numpy())
    return found


@pytest.mark.parametrize("metric", [PocketClip, PocketJudge])
def test_what_ships_tells_places_apart(
    metric: type[PocketClip] | type[PocketJudge], places: dict[str, list[Pixels]]
) -> None:
    scorer, right = metric(), []
    for own, images in places.items():
        for other in set(PLACES) - {own}:
            for image in images:
                fit, unfit = scorer.score([image] * 2, [PLACES[own], PLACES[other]], CACHE)
                right.append(fit.value > unfit.value)
    assert sum(right) >= 0.9 * len(right)


def test_the_scorers_that_ship_are_small_and_independent() -> None:
    sizes = [card.size_bytes for card in (PocketClip.card, PocketJudge.card) if card.size_bytes is not None]
    assert len(sizes) == 2
    assert sum(sizes) <= 12_000_000
    assert PocketClip.card.independent_of(PocketJudge.card)
