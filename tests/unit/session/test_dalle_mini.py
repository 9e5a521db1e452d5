"""Whole pictures of DALL-E mini: through Session, engine and library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from limner import Request, Session
from limner.config import Settings
from limner.errors import InvalidRequest, LimnerError, MismatchedWeights, NonFinite, UnsupportedField
from limner.types import Cancelled, Done, Made, Step
from tests.dalle import FIXTURES, OTHER_CONFIG, dalle_tree, write_other

PROMPT = "the Eiffel tower landing on the moon!"
DALLE = np.load(FIXTURES / "reference" / "dalle.npz")
VQGAN = np.load(FIXTURES / "reference" / "vqgan.npz")


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(offline=True) as made:
        yield made


def asked(**fields: object) -> Request:
    base: dict[str, object] = {"prompt": PROMPT, "model": str(FIXTURES), "seed": 5, "dtype": "float32"}
    return Request.of(**(base | fields))


def test_the_likeliest_picture_is_the_originals(session: Session) -> None:
    """Text, ids, greedy codes at guidance 10 and pixels, end to end: row 3 of the reference is this prompt's."""
    (image,) = session.generate(asked(temperature=0)).result()
    gap = np.abs(image.pixels.astype(int) - VQGAN["pixels_uint8"][3].astype(int))
    assert gap.max() <= 1
    assert (gap > 0).sum() <= 2


def test_every_picture_is_its_seeds_own(session: Session) -> None:
    three = session.generate(asked(n=3)).result()
    alone = [session.generate(asked(seed=5 + k)).result()[0] for k in range(3)]
    assert [i.record.pixel_hash for i in three] == [i.record.pixel_hash for i in alone]
    assert len({i.record.pixel_hash for i in three}) == 3


def test_more_pictures_than_are_written_together(session: Session) -> None:
    images = session.generate(asked(n=18)).result()
    assert [i.record.index for i in images] == list(range(18))
    assert images[17].record.pixel_hash == session.generate(asked(seed=22)).result()[0].record.pixel_hash


def test_events_and_previews(session: Session) -> None:
    events = list(session.generate(asked(n=2), previews=True))
    assert isinstance(events[-1], Done)
    steps = [e for e in events if isinstance(e, Step) and e.index == 1]
    assert [s.step for s in steps] == list(range(1, 17))
    assert [s.preview.shape for s in steps if s.preview is not None] == [(4, 16, 3), (8, 16, 3), (12, 16, 3)]
    final = next(e.image for e in events if isinstance(e, Made) and e.index == 1)
    assert final.pixels.shape == (16, 16, 3)


def test_a_record_is_drawn_again(session: Session) -> None:
    image = session.generate(asked(n=2, guidance=3, temperature=0.8, top_k=20, top_p=0.9)).result()[1]
    assert image.path is not None
    assert image.record.request.top_k == 20
    assert image.record.recipe.options["top_p"] == 0.9
    assert session.replay(image.path).verdict == "identical"


@pytest.mark.parametrize(
    "fields",
    [
        {"negative": "rain"},
        {"steps": 20},
        {"width": 64, "height": 64},
        {"solver": "euler"},
        {"schedule": "karras"},
        {"variation": 0.2},
        {"morph_to": "a castle"},
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(session: Session, fields: dict[str, object]) -> None:
    with pytest.raises(UnsupportedField) as caught:
        session.plan(asked(**fields))
    assert caught.value.field in fields


def test_other_families_refuse_its_fields(session: Session) -> None:
    with pytest.raises(UnsupportedField, match="top_k"):
        session.plan(Request.of(prompt=PROMPT, top_k=3))


@pytest.mark.parametrize("field", [{"temperature": -1}, {"top_k": -1}, {"top_p": 1.5}])
def test_values_out_of_range(field: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(field))):
        asked(**field)


@pytest.mark.parametrize("prompt", ["...", "###", "<b></b>"])
def test_a_text_of_nothing_is_refused(session: Session, prompt: str) -> None:
    with pytest.raises(InvalidRequest, match="nothing"):
        session.plan(asked(prompt=prompt))


def test_text_that_is_cut_is_told_and_recorded(session: Session) -> None:
    (image,) = session.generate(asked(prompt="a very long prompt that keeps going and going until it is cut")).result()
    ours = [n.code for n in image.record.notices if n.code not in ("unchecked", "no-watermark")]  # of the protection
    assert ours == ["text-truncated"]


@pytest.mark.parametrize(
    "fields", [{"guidance": 1}, {"guidance": 3}, {"temperature": 0.5}, {"top_k": 0}, {"top_p": 0.5}]
)
def test_every_option_decides_pixels_and_identity(session: Session, fields: dict[str, object]) -> None:
    (plain,), (other,) = session.generate(asked()).result(), session.generate(asked(**fields)).result()
    assert plain.record.identity != other.record.identity
    if fields not in ({"top_k": 0},):
        assert plain.record.pixel_hash != other.record.pixel_hash


def test_cancel_takes_effect_at_the_next_token(session: Session) -> None:
    generation = session.generate(asked(n=4))
    seen = 0
    for event in generation:
        if isinstance(event, Step):
            seen = event.step
            generation.cancel()
        ended = event
    assert isinstance(ended, Cancelled)
    assert seen <= 16
    assert len(session.generate(asked()).result()) == 1, "the next request works"


def test_a_vqgan_that_does_not_match(session: Session, tmp_path: Path) -> None:
    config = {**OTHER_CONFIG, "image_length": 9}
    root = write_other(tmp_path / "m", dalle_tree(config), config)
    with pytest.raises(MismatchedWeights, match="9 codes"):
        session.plan(asked(model=str(root)))


def test_a_model_of_other_sizes_draws(session: Session, tmp_path: Path) -> None:
    root = write_other(tmp_path / "m", dalle_tree(OTHER_CONFIG, dtype="float16", stacked=False))
    (image,) = session.generate(asked(model=str(root))).result()
    assert image.pixels.std() > 1


def test_truncated_weights_are_one_clear_error(session: Session, tmp_path: Path) -> None:
    root = write_other(tmp_path / "m", dalle_tree(OTHER_CONFIG))
    path = root / "model" / "flax_model.msgpack"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(LimnerError, match="flax_model") as caught:
        session.generate(asked(model=str(root))).result()
    assert caught.value.hint


def test_logits_that_are_not_finite_end_the_job(session: Session, tmp_path: Path) -> None:
    tree = dalle_tree(OTHER_CONFIG)
    tree["lm_head/kernel"] = tree["lm_head/kernel"] * np.float32(3e38)
    root = write_other(tmp_path / "m", tree)
    with pytest.raises((NonFinite, LimnerError), match=r"NaN or infinity|not finite"):
        session.generate(asked(model=str(root))).result()


def test_notation_it_reads_as_words_is_said(session: Session) -> None:
    for prompt, said in (("a (red:1.3) fox", True), ("a [red|blue] fox", True), ("a red fox", False)):
        (plan,) = session.plan(asked(prompt=prompt))
        assert ("syntax-as-words" in [notice.code for notice in plan.notices]) is said


def test_settings_and_styles_it_cannot_honour_are_named_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[defaults]\nnegative = "rain"\nsteps = 7\nclip_skip = 2\n')
    (tmp_path / "styles.toml").write_text("[sunny]\nprompt = '{prompt} in the sun'\nnegative = 'clouds'\n")
    with Session(settings=Settings.load(tmp_path, {}), offline=True, scored=False) as made:
        image = made.generate(asked(styles=("sunny",))).result()[0]
        messages = {notice.code: notice.message for notice in image.record.notices}
        for name in ("negative", "steps", "clip_skip"):
            assert name in messages["settings-unused"]
        assert "takes no negative prompt" in messages["negative-unused"]
        request = image.record.request
        assert (request.negative, request.steps, request.clip_skip) == (None, None, None)
        assert made.replay(image.path or "").verdict == "identical"
