"""Reading pictures and words, the schedule and the weights of timesteps, the plot: what needs no training."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import InvalidRequest, UnreadablePicture
from limner.sampling.training import Training
from limner.tune.data import held_out
from limner.tune.journal import Journal
from limner.tune.loop import schedule
from limner.tune.noise import Noising
from limner.tune.pictures import read_examples
from limner.tune.plot import plot
from limner.tune.settings import TuneSettings
from limner.tune.words import wording
from tests.tuning import settings, write_pictures


def test_captions_come_from_beside_the_picture_or_from_a_manifest(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    (folder / "00.txt").write_text(" a sks fox\n on grass \n")
    by_folder = read_examples(folder).found
    assert [each.caption for each in by_folder] == ["a sks fox on grass", None, None, None]
    lines = [{"image": f"a/{k:02d}.png", "caption": f"fox {k}"} for k in range(4)]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "m.csv").write_text("file,text\n" + "\n".join(f"a/{k:02d}.png,fox {k}" for k in range(4)))
    for name in ("m.jsonl", "m.csv"):
        assert [each.caption for each in read_examples(tmp_path / name).found] == [f"fox {k}" for k in range(4)]


def test_the_same_picture_twice_counts_once_and_is_told(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    (folder / "copy.png").write_bytes((folder / "00.png").read_bytes())
    found = read_examples(folder)
    assert len(found.found) == 4
    assert "copy.png is the same picture as 00.png" in found.notices[0]


def test_every_damaged_picture_is_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a", 5)
    for name in ("01.png", "03.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:200])
    with pytest.raises(UnreadablePicture, match=r"2 of 5 .*01\.png.*03\.png"):
        read_examples(folder)


def test_a_manifest_says_which_line_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"image": "a.png"}\nnot json\n')
    with pytest.raises(InvalidRequest, match="line 2"):
        read_examples(tmp_path / "m.jsonl")


def test_a_subject_names_pictures_without_words_and_says_which_captions_leave_it_out(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    (folder / "00.txt").write_text("a fox on grass")
    said = wording(settings(), read_examples(folder).found)
    assert said.captions == ("a fox on grass", "a sks fox", "a sks fox", "a sks fox")
    assert (said.called, said.prior) == ("a sks fox", "a fox")
    assert "1 of 4 captions do not say 'sks'" in said.notices[0]
    styled = wording(TuneSettings.of(model="pocket", style="inkwash"), read_examples(folder).found)
    assert styled.captions[:2] == ("a fox on grass, inkwash style", "inkwash style")
    with pytest.raises(InvalidRequest, match="class word"):
        wording(settings(subject="sks"), read_examples(folder).found)


@pytest.mark.parametrize(
    "more", [{"targets": ("text",)}, {"prior": 4, "subject": None}, {"dtype": "float16"}, {"lr": 0}]
)
def test_settings_that_make_no_sense_are_refused(more: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        settings(**more)


@given(steps=st.integers(2, 5000), warmup=st.integers(0, 300))
def test_the_rate_rises_then_falls_and_stays_above_nothing(steps: int, warmup: int) -> None:
    rates = [schedule(k, steps, warmup) for k in range(1, steps + 1)]
    assert all(0 < rate <= 1 for rate in rates)
    after = rates[warmup:]
    assert all(one >= other for one, other in pairwise(after))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("zero", [False, True])
def test_what_the_network_is_to_say_gives_the_clean_latent_back(prediction: str, zero: bool) -> None:
    training = Training.from_json(
        {"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
         "prediction_type": prediction, "rescale_betas_zero_snr": zero}
    )  # fmt: skip
    noising = Noising.of(training, 5.0)
    t = torch.tensor([0, 400, 900, 999])
    clean, noise = torch.randn(2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    x, target = noising.noised(clean, noise, t)
    a, s = (value.view(-1, 1, 1, 1) for value in (noising.bars[t].sqrt(), (1 - noising.bars[t]).sqrt()))
    if prediction == "v_prediction":
        assert torch.allclose(a * x - s * target, clean, atol=1e-4)
    else:
        assert torch.equal(target, noise)
    weights = noising.weights(torch.arange(noising.steps))
    assert bool(weights.isfinite().all())
    assert bool((weights > 0).all())


@given(st.integers(3, 500))
def test_what_is_held_out_leaves_enough(pictures: int) -> None:
    assert held_out(None, pictures) <= pictures / 8


def test_a_torn_journal_goes_on(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, 0)
    for step in (1, 2, 3):
        journal.write(step=step, loss=0.5, seconds=0.1)
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    again = Journal.open(tmp_path, 2)
    assert again.losses == [(1, 0.5), (2, 0.5)]
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == 2


def test_the_plot_is_well_formed_whatever_the_losses() -> None:
    from xml.etree import ElementTree

    for losses in ([], [(1, 0.0)], [(k, 1.0) for k in range(1, 9)]):
        root = ElementTree.fromstring(plot(losses, losses, "a <b> & c"))
        assert root.tag.endswith("svg")
