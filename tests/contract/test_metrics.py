"""What every metric promises, over the registry: a new metric adds the line that makes it with small weights."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limner import registry
from limner.canonical import tagged
from limner.errors import InvalidRequest, LimnerError, ModelNotFound
from limner.evaluate.metric import Embeddings, Metric, MetricCard, SetMetric
from limner.evaluate.pixel_embedding import PixelEmbedding
from limner.types import Pixels, Score
from tests import pocket_scorers, scorers

Make = Callable[[Path], Metric | SetMetric]


def of_class(name: str) -> Callable[..., Metric | SetMetric]:
    found = registry.load("metrics", name)
    assert callable(found)
    return found


def small(name: str, write: Callable[[Path], Path]) -> Make:
    """The metric on small random weights."""
    return lambda folder: of_class(name)(write(folder))


def without(name: str) -> Make:
    """A metric that needs no weights."""
    return lambda folder: of_class(name)()


MADE: dict[str, Make] = {
    **{name: without(name) for name in ("blank", "blur", "clipped", "duplicates", "vendi")},
    **{name: small(name, scorers.clip) for name in ("clip-b32", "clip-l14", "pickscore", "cmmd")},
    "aesthetic": small("aesthetic", scorers.aesthetic),
    "hps": small("hps", scorers.hps),
    "imagereward": small("imagereward", scorers.reward),
    "vqascore": small("vqascore", scorers.seer),
    "atoms": small("atoms", scorers.seer),
    # Inception has no small form: its features are checked by themselves.
    "fid": lambda folder: of_class("fid")(embedder=PixelEmbedding()),
    "kid": lambda folder: of_class("kid")(embedder=PixelEmbedding()),
    "lpips": small("lpips", pocket_scorers.write_lpips),
    "pocket-clip": small("pocket-clip", pocket_scorers.write_clip),
    "pocket-judge": small("pocket-judge", pocket_scorers.write_judge),
}
NAMES = registry.names("metrics")
CARDS = {name: card for name in NAMES if isinstance(card := getattr(of_class(name), "card", None), MetricCard)}
PICTURES = [name for name, card in CARDS.items() if card.takes != "set"]
SETS = [name for name, card in CARDS.items() if card.takes == "set"]
TEXTS = ["a red fox in the snow", "a blue dog on grass", "two cats"]
BOUNDS = re.compile(r"(?<!about )(?<![\d.-])(-?infinity|-?\d+(?:[.,]\d+)*) to (-?infinity|-?\d+(?:[.,]\d+)*)")
COMMANDS = ("limner ", "mkdir ", "curl ", ".venv/bin/")

every = pytest.mark.parametrize("name", NAMES)
of_pictures = pytest.mark.parametrize("name", PICTURES)
of_sets = pytest.mark.parametrize("name", SETS)


class Kept(dict[str, "np.ndarray"]):
    """A cache in memory."""

    def put(self, key: str, embedding: np.ndarray) -> None:
        self[key] = embedding


class Forgetful:
    """A cache that keeps nothing."""

    def get(self, key: str) -> None:
        return None

    def put(self, key: str, embedding: np.ndarray) -> None: ...


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Metric | SetMetric]:
    """Metrics on small weights, each made once."""
    kept: dict[str, Metric | SetMetric] = {}

    def one(name: str) -> Metric | SetMetric:
        if name not in kept:
            kept[name] = MADE[name](tmp_path_factory.mktemp(name))
        return kept[name]

    return one


def pictures(count: int = 3, seed: int = 0) -> list[Pixels]:
    """Coarse coloured fields, each other, not square."""
    rng = np.random.default_rng(seed)
    return [np.kron(rng.integers(0, 256, (5, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(count)]


def score(metric: Metric | SetMetric, images: list[Pixels], texts: list[str], cache: Embeddings) -> list[Score]:
    assert not isinstance(metric, SetMetric)
    return list(metric.score(images, texts if metric.card.takes == "picture and text" else [], cache))


def asked(metric: Metric | SetMetric) -> object:
    """Anything it may be asked."""
    if isinstance(metric, SetMetric):
        return metric.measure(pictures(), pictures(seed=1), Forgetful())
    return score(metric, pictures(1), TEXTS[:1], Forgetful())


def values(scores: list[Score]) -> list[float]:
    return [each.value for each in scores]


def bounds(scale: str) -> tuple[float, float]:
    """The ends that a scale states; what is only "about LOW to HIGH" is where values lie in use, and no bound."""
    found = BOUNDS.search(scale)
    if found is None:
        assert "about" in scale, f"{scale!r} says neither LOW to HIGH nor about where"
        return -np.inf, np.inf
    low, high = (float(end.replace("infinity", "inf").replace(",", "")) for end in found.groups())
    return low, high


def test_the_suite_has_small_weights_for_every_metric() -> None:
    assert sorted(MADE) == sorted(NAMES)


@every
def test_the_card_is_complete(name: str) -> None:
    card = CARDS[name]
    assert card.name == name
    for told in (card.title, card.revision, card.scale, card.source, card.licence, card.verified, card.domain):
        assert told.strip()
    assert not (card.repo and not card.commit), "weights of a repo are named at a commit"
    if card.repo or card.asset:
        assert card.backbone, "two scorers on one network are no independent witnesses"
        assert card.training_data
    method = "measure" if card.takes == "set" else "score"
    assert callable(getattr(of_class(name), method))
    bounds(card.scale)


@every
def test_what_is_missing_is_a_command(name: str, made: Callable[[str], Metric | SetMetric]) -> None:
    command = of_class(name)().missing()
    assert command is None or command.startswith(COMMANDS)
    assert made(name).missing() is None


@every
def test_without_its_weights_it_says_how_to_fetch_them(name: str, tmp_path: Path) -> None:
    card = CARDS[name]
    if not (card.repo or card.asset):
        return
    lacking = of_class(name)(tmp_path / "nothing")
    with pytest.raises(ModelNotFound) as caught:
        _ = asked(lacking)
    assert caught.value.hint


def test_cards_are_read_without_torch() -> None:
    told = (
        "import sys; from limner import registry\n"
        "for name in registry.names('metrics'): registry.load('metrics', name).card\n"
        "heavy = {'torch', 'transformers', 'diffusers'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@of_pictures
def test_scores_are_numbers_of_the_scale_and_say_whose(name: str, made: Callable[[str], Metric | SetMetric]) -> None:
    metric, images = made(name), pictures()
    before = [image.copy() for image in images]
    scores = score(metric, images, TEXTS, Kept())
    low, high = bounds(metric.card.scale)
    for each, text in zip(scores, TEXTS, strict=True):
        assert np.isfinite(each.value)
        assert low - 1e-6 <= each.value <= high + 1e-6
        assert (each.scorer, each.revision) == (name, metric.card.revision)
        assert (each.scale, each.domain) == (metric.card.scale, metric.card.domain)
        if metric.card.takes == "picture and text":
            assert each.text == tagged(text.encode())
    assert all((a == b).all() for a, b in zip(before, images, strict=True)), "pictures are not written to"


@of_pictures
def test_the_same_again_in_any_order_and_one_by_one(name: str, made: Callable[[str], Metric | SetMetric]) -> None:
    metric, images = made(name), pictures()
    scores = values(score(metric, images, TEXTS, Forgetful()))
    assert values(score(metric, images, TEXTS, Forgetful())) == scores
    cache = Kept()
    assert values(score(metric, images, TEXTS, cache)) == pytest.approx(scores, rel=1e-5, abs=1e-6)
    assert values(score(metric, images, TEXTS, cache)) == pytest.approx(scores, rel=1e-5, abs=1e-6)
    turned = values(score(metric, images[::-1], TEXTS[::-1], Forgetful()))
    assert turned == pytest.approx(scores[::-1], rel=1e-5, abs=1e-6)
    alone = [values(score(metric, [a], [b], Forgetful()))[0] for a, b in zip(images, TEXTS, strict=True)]
    assert alone == pytest.approx(scores, rel=1e-5, abs=1e-6)
    assert score(metric, [], [], Forgetful()) == []


@of_pictures
def test_the_picture_matters(name: str, made: Callable[[str], Metric | SetMetric]) -> None:
    found = values(score(made(name), [*pictures(), np.zeros((40, 48, 3), np.uint8)], TEXTS[:1] * 4, Kept()))
    assert len(set(found)) > 1


@of_pictures
def test_what_is_no_picture_is_refused(name: str, made: Callable[[str], Metric | SetMetric]) -> None:
    wrong: list[object] = [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)]
    for each in wrong:
        with pytest.raises(LimnerError):
            score(made(name), [each], TEXTS[:1], Forgetful())  # type: ignore[list-item]


@pytest.mark.parametrize("name", [name for name in PICTURES if CARDS[name].takes == "picture and text"])
def test_a_text_a_picture(name: str, made: Callable[[str], Metric | SetMetric]) -> None:
    with pytest.raises(InvalidRequest):
        score(made(name), pictures(2), TEXTS[:1], Forgetful())


@pytest.mark.parametrize("name", [name for name in PICTURES if CARDS[name].token_limit])
def test_a_text_over_the_limit_is_flagged_or_refused(name: str, made: Callable[[str], Metric | SetMetric]) -> None:
    try:
        (found,) = score(made(name), pictures(1), ["a red fox in the snow " * 100], Forgetful())
    except InvalidRequest:
        return
    assert found.flags


@of_sets
def test_a_set_has_one_score(name: str, made: Callable[[str], Metric | SetMetric]) -> None:
    metric = made(name)
    assert isinstance(metric, SetMetric)
    images, reference = pictures(4), pictures(4, seed=1) if name in ("fid", "kid", "cmmd") else []
    found = metric.measure(images, reference, Kept())
    low, high = bounds(metric.card.scale)
    assert np.isfinite(found.value)
    assert low - 1e-6 <= found.value <= high + 1e-6
    assert found.scorer == name
    assert found.scale == metric.card.scale
    assert metric.measure(images, reference, Forgetful()).value == found.value
    turned = metric.measure(images[::-1], reference[::-1], Forgetful())
    assert turned.value == pytest.approx(found.value, rel=1e-5, abs=1e-9)


@of_sets
def test_too_few_pictures_or_none_are_refused(name: str, made: Callable[[str], Metric | SetMetric]) -> None:
    metric = made(name)
    assert isinstance(metric, SetMetric)
    with pytest.raises(InvalidRequest):
        metric.measure([], [], Forgetful())
    with pytest.raises(LimnerError):
        metric.measure([np.zeros((8, 8), np.uint8)] * 3, [], Forgetful())
