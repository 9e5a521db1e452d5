"""pocket-dalle at toy size: it trains, resumes, is packed, and Limner draws what the training's networks draw."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image as Picture
from safetensors.torch import load_file
from tokenizers import Tokenizer
from training import dalle, dalle_bank, hints, pack_dalle, train_classifier, train_dalle, train_vqgan, vq_nets
from training import run as driver
from training.card import Facts
from training.data import Stream
from training.evaluate import measure, measure_dalle, prompts
from training.loop import Options
from training.sprites import Atlas

from limner import Request, Session
from limner.evaluate.nets.detector import DetectorConfig
from limner.models.dalle import plan as dalle_plan
from limner.models.dalle.files import arrange
from limner.models.family import Files
from limner.models.nets.bart import Bart
from limner.models.nets.dalle_configs import DalleConfig, Stack, VqganConfig
from tests.dalle import files_of

TINY = VqganConfig(32, (1, 1, 1, 1, 1), 1, (), 64, 32, 8, 24)  # 64 pixels, 4x4 codes
SAID = ("a red fox in the snow", "Two cats to the left of a whale!", "A tiny FROG, night", "zyx #rose")


def sizes(words: int, codes: int, grid: int) -> DalleConfig:
    """As shipped, but small, and unlike on the two sides."""
    stacks = {"encoder": Stack(1, 4, 40), "decoder": Stack(2, 2, 24)}
    return replace(dalle.sizes(words, codes, grid), d_model=32, **stacks)


def options(out: Path, samples: int, **more: float) -> Options:
    return replace(Options(out=out, samples=samples, batch=8, warmup=2, save_every=60.0), **more)


@pytest.fixture(scope="module")
def run(atlas: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a tokenizer of pictures and a transformer of a few steps."""
    root = tmp_path_factory.mktemp("run")
    train_vqgan.train(atlas, options(root / "vqgan", 16), variants=1, config=TINY, checked=2)
    _train(atlas, root, "dalle", 24)
    return root


def _train(
    atlas: Atlas, root: Path, name: str, samples: int, begin: Path | None = None, **more: float
) -> dict[str, torch.Tensor]:
    pictures = train_vqgan.load(root / "vqgan", "cpu")
    how: dict[str, Any] = {"room": 16, "reuse": 1, "variants": 1, "sizes": sizes, "checked": 4, "begin": begin}
    trainer = train_dalle.train(atlas, options(root / name, samples, **more), pictures, **how)
    assert trainer.step == samples // 8 or "stop_after" in more
    return trainer.modules["bart"].state_dict()


@pytest.fixture(scope="module")
def drawn(run: Path) -> dalle.Dalle:
    """What was trained, with the rounding of what is packed; words matter, as after a longer training."""
    made = train_dalle.load(run / "dalle", train_vqgan.load(run / "vqgan", "cpu"), "cpu")
    torch.manual_seed(0)
    for module in (made.bart, made.vqgan):
        for value in module.parameters():
            value.data = (value + 0.05 * torch.randn_like(value)).half().float()
    return made


@pytest.fixture(scope="module")
def packed(atlas: Atlas, drawn: dalle.Dalle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    pack_dalle.pack(drawn, folder, Facts(atlas.things, 1234, 90.0, "| single | 60% |\n", "- All fails.\n"), 567)
    return folder


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(offline=True) as made:
        yield made


def test_a_resumed_transformer_ends_where_an_unbroken_one_does(atlas: Atlas, run: Path) -> None:
    _train(atlas, run, "halves", 24, stop_after=0.0)
    whole, halves = _train(atlas, run, "whole", 24), _train(atlas, run, "halves", 24)
    for name, value in whole.items():
        assert torch.equal(value, halves[name]), name


def test_a_transformer_goes_on_from_an_exported_one(atlas: Atlas, run: Path) -> None:
    begun = _train(atlas, run, "begun", 24, begin=run / "dalle", stop_after=0.0)
    exported = load_file(run / "dalle" / train_dalle.WEIGHTS)
    assert begun.keys() == exported.keys()
    assert all(torch.equal(begun[name], value) for name, value in exported.items())
    fewer = Atlas(atlas.things[:3], atlas.pixels[:3], atlas.gain[:3])
    with pytest.raises(ValueError, match="other words or sizes"):
        _train(fewer, run, "fewer", 24, begin=run / "dalle", stop_after=0.0)


def test_codes_of_another_tokenizer_are_refused(atlas: Atlas, run: Path) -> None:
    other = train_vqgan.build(TINY)
    with pytest.raises(ValueError, match="another vqgan"):
        train_dalle.load(run / "dalle", other, "cpu")
    with pytest.raises(ValueError, match="another vqgan"):
        train_dalle.train(atlas, options(run / "dalle", 32), other, room=16, reuse=1, variants=1, sizes=sizes)


def test_without_its_bank_a_run_renders_the_same_scenes_again(atlas: Atlas, run: Path) -> None:
    whole = _train(atlas, run, "unbroken", 24)
    _train(atlas, run, "bankless", 16)
    (run / "bankless" / "bank0.pt").unlink()
    again = _train(atlas, run, "bankless", 24)
    assert whole.keys() == again.keys()
    kept = torch.load(run / "bankless" / "bank0.pt", weights_only=True)
    wanted = torch.load(run / "unbroken" / "bank0.pt", weights_only=True)
    assert kept["held"] == wanted["held"]
    assert all(torch.equal(kept["rings"][name], ring) for name, ring in wanted["rings"].items())


class ByColour(vq_nets.PictureTokenizer):
    """Eight codes that need no training: whether a patch is red, green, blue."""

    def tokenise(self, pixels: torch.Tensor) -> torch.Tensor:
        much = (F.adaptive_avg_pool2d(pixels, 4).flatten(2) > 0.6).long()
        return (much * torch.tensor([[4], [2], [1]])).sum(1)


def test_the_loss_falls_and_words_come_to_matter(atlas: Atlas, tmp_path: Path) -> None:
    run = options(tmp_path, 960, rate=5e-3)
    made = {"room": 512, "reuse": 2, "variants": 1, "checked": 16}
    train_dalle.train(atlas, run, ByColour(TINY).eval(), sizes=sizes, **made)
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["unseen"] < 1.5 < np.log(TINY.codes)  # held-out scenes, nats a code; 1.02 where this was written
    assert last["unseen"] < last["unsaid"] - 0.01  # and without their captions; 0.04 there


def test_limners_loader_gives_the_logits_of_what_was_trained(drawn: dalle.Dalle, packed: Path) -> None:
    loaded = pack_dalle.load_pack(packed, "cpu")
    ids = torch.tensor([dalle.encode(text, drawn.words) for text in ("", *SAID)])
    mask = ids != drawn.words.pad
    codes = torch.randint(0, TINY.codes, (len(ids), 16), generator=torch.Generator().manual_seed(1))
    shifted = torch.cat([torch.full_like(codes[:, :1], TINY.codes), codes[:, :-1]], 1)
    with torch.no_grad():
        wanted = drawn.bart.lm_head(dalle.teacher_forced(drawn.bart, ids, mask, codes)[1])
        memory = loaded.bart.remember(loaded.bart.encode(ids, mask), mask)
        slots = loaded.bart.slots(memory, 1)
        found = torch.cat([loaded.bart.decode(shifted[:, k : k + 1], slots) for k in range(16)], 1)
        assert torch.equal(loaded.vqgan.decode(codes), drawn.vqgan.decode(codes))
    assert wanted.std() > 0.1
    assert (found - wanted).abs().max() < 1e-4


def test_limner_draws_the_folder_as_the_training_does(drawn: dalle.Dalle, packed: Path, session: Session) -> None:
    request = {"model": str(packed), "guidance": 3, "top_k": 7, "dtype": "float32"}
    theirs = drawn.draw(list(SAID), range(4), guidance=3, top_k=7)
    assert theirs.shape == (4, 3, 64, 64)
    for seed, text in enumerate(SAID[:2]):
        (image,) = session.generate(Request.of(prompt=text, seed=seed, **request)).result()
        ours = torch.from_numpy(image.pixels.astype(np.float32)).permute(2, 0, 1) / 127.5 - 1
        assert (ours - theirs[seed]).abs().max() < 2.1 / 127.5  # cut off to a byte
    assert not torch.equal(theirs[0], theirs[1])


def test_the_tokenizer_gives_the_ids_of_training(atlas: Atlas, packed: Path) -> None:
    paths = arrange(files_of(packed), "here")
    assert paths is not None
    files = Files(packed, paths)
    config, _ = dalle_plan.configs(files)
    read = dalle_plan._tokens(files, config)
    words = dalle.words_of(dalle.byte_pairs(atlas.things))
    assert read.tokenizer.get_vocab() == words.tokenizer.get_vocab()
    batch = dalle_bank.Said(Stream(3, 32), atlas.things, words)[5]
    assert batch.tokens.shape == (32, dalle_bank.WAYS, dalle.LENGTH)
    for row in batch.tokens[:, 0].tolist():
        text = words.tokenizer.decode(row, skip_special_tokens=True)
        assert [*read.encode(text).ids, *[1] * dalle.LENGTH][: dalle.LENGTH] == row
    # A word of the grammar is one token, whatever its case; the text of nothing is what the decoder was taught beside.
    assert len(read.encode(dalle_plan.dalle_text.normalise("FOXES, ghost!")).ids) == 5
    assert dalle.encode("", words)[:4] == [0, 2, 1, 1]
    assert list(read.unconditional()) == [0, 2]


def test_words_it_was_not_taught_are_named(packed: Path, session: Session) -> None:
    def notices(prompt: str) -> list[str]:
        (plan,) = session.plan(Request.of(prompt=prompt, model=str(packed)))
        return [notice.message for notice in plan.notices if "word" in notice.code or "subject" in notice.code]

    assert notices("Two FOXES in the snow") == []
    assert notices("🦊 in the snow, a red-and-blue cát") == []
    (said,) = notices("a fox on a lawnmower")
    assert "lawnmower" in said
    (said,) = notices("a lawnmower")
    assert "will draw something else" in said
    (said,) = notices("a lawnmower and a typewriter")
    assert "'lawnmower'" in said
    assert "'typewriter'" in said


def test_the_driver_knows_both_stages(atlas: Atlas, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(train_dalle, "train", lambda _, __, pictures, **more: asked.update(more, pictures=pictures))
    driver.train("dalle", atlas, driver.defaults("dalle", "cpu"), run, things=3, curriculum=7)
    assert (asked["things"], asked["curriculum"]) == (3, 7)
    assert asked["pictures"].config == TINY
    monkeypatch.setattr(train_vqgan, "train", lambda _, options, things: asked.update(vqgan=options, of=things))
    driver.train("vqgan", atlas, driver.defaults("vqgan", "cuda"), run, things=3)
    assert asked["vqgan"] == driver.defaults("vqgan", "cuda") != driver.defaults("vqgan", "cpu")
    assert asked["of"] == 3


def test_one_caption_in_ten_is_the_text_of_nothing() -> None:
    torch.manual_seed(0)
    ids, empty = torch.arange(4).expand(4000, 4), torch.tensor([9, 9, 9, 9])
    given, silent = train_dalle.silenced(ids, empty)
    assert silent.float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert torch.equal(given[silent], empty.expand(int(silent.sum()), 4))
    assert torch.equal(given[~silent], ids[~silent])


def test_the_decoder_is_shown_some_wrong_codes_in_some_rows_many() -> None:
    torch.manual_seed(0)
    codes = torch.arange(400).expand(2000, 400)
    shown = train_dalle.mistaken(codes)
    assert (shown < 400).all()
    assert (shown >= 0).all()
    wrong = (shown != codes).float().mean(1)
    assert wrong.max().item() == pytest.approx(train_dalle.WRONG, abs=0.05)
    assert wrong.mean().item() == pytest.approx(train_dalle.WRONG / 2, abs=0.03)
    assert (wrong < 0.2).float().mean().item() == pytest.approx(0.25, abs=0.04)


def test_nouns_are_found_in_these_ids(atlas: Atlas) -> None:
    words = dalle.words_of(dalle.byte_pairs(atlas.things))
    nouns = dalle_bank.Nouns(atlas.things, words)
    batch = dalle_bank.Said(Stream(3, 64), atlas.things, words)[0]
    for rows, scene in zip(batch.tokens.tolist(), batch.scenes, strict=True):
        for row in rows:
            found = nouns(row, scene)
            said = sorted(int(thing) for thing in found[:, 0] if thing != hints.IGNORED)
            assert said == sorted(part.thing for part in scene.parts)


def test_a_bank_keeps_the_latest_scenes(tmp_path: Path) -> None:
    bank = dalle_bank.Bank(4, 2, 3, "cpu")
    for k in range(3):
        number = torch.arange(2) + 2 * k
        shapes = {"codes": (2, 2), "ids": (2, 4, 3), "cells": (2, 2, 8, 8), "words": (2, 4, 3, 3)}
        bank.put({name: number.view(-1, *[1] * (len(s) - 1)).expand(s) for name, s in shapes.items()})
    again = dalle_bank.Bank(4, 2, 3, "cpu")
    bank.save(tmp_path / "bank0.pt")
    again.load(tmp_path / "bank0.pt")
    assert again.held == 6
    seen = again.draw(200)
    assert set(seen.codes[:, 0].tolist()) == {2, 3, 4, 5}
    for part in (seen.ids[:, 0], seen.cells[:, 0, 0, 0], seen.words[:, 0, 0]):
        assert torch.equal(part if part.ndim == 1 else part[:, 0], seen.codes[:, 0])


def test_the_folder_has_what_the_published_one_has(packed: Path) -> None:
    names = {p.relative_to(packed).as_posix() for p in packed.rglob("*") if p.is_file()}
    assert {"README.md", "LICENSE", "NOTICE", "model/vocab.json", "model/merges.txt", "vqgan/config.json"} <= names
    config = json.loads((packed / "model" / "config.json").read_text())
    assert (config["decoder_start_token_id"], config["image_vocab_size"], config["image_length"]) == (24, 24, 16)
    text = (packed / "README.md").read_text()
    for part in (
        "of 6 things",
        "1,234",
        "567 pictures",
        "1.5 hours",
        "| single | 60% |",
        "- All fails.",
        "64x64 pixels",
    ):
        assert part in text, part
    assert (packed / "NOTICE").read_text().startswith("pocket-dalle, a model built into Limner")
    plain = Tokenizer.from_file(str(packed / "model" / "tokenizer.json")).encode(" a fox")
    assert plain.tokens == ["<s>", "Ġa", "Ġfox", "</s>"]


def test_what_ships_has_the_size_that_the_card_says() -> None:
    with torch.device("meta"):
        bart = Bart(dalle.sizes(2912, train_vqgan.CONFIG.codes, train_vqgan.CONFIG.grid))
        tokenizer = vq_nets.PictureTokenizer(train_vqgan.CONFIG)
    assert train_vqgan.CONFIG.grid == 16
    assert pack_dalle._millions(bart) == pytest.approx(2.6, abs=0.05)
    assert pack_dalle._millions(tokenizer.vqgan) == pytest.approx(2.6, abs=0.05)


def test_the_evaluation_asks_for_single_things(atlas: Atlas, drawn: dalle.Dalle, tmp_path: Path) -> None:
    pictures = train_vqgan.build(replace(TINY, multipliers=(1,) * 7, resolution=256))
    (tmp_path / "vqgan").mkdir()
    train_vqgan.save(pictures, tmp_path / "vqgan")
    pack_dalle.pack(replace(drawn, vqgan=pictures.vqgan), tmp_path / "pack", Facts(atlas.things, 1), 1)
    shape = DetectorConfig((), (4, 8, 12), (0, 0, 1), 8)
    train_classifier.train(atlas, options(tmp_path / "classifier", 8), variants=1, shape=shape, checked=4)
    rows = prompts.prompts(atlas.things, {"place": 2, "colour": 1})
    ready = pack_dalle.load_pack(tmp_path / "pack", "cpu")
    figures = measure_dalle.figures_of(ready, tmp_path, atlas, rows, "cpu", guidance=3, top_k=7, variants=1)
    assert figures["drawn"]["single"]["n"] == 3
    assert 0 < figures["psnr"] < 40
    measure.show(ready.draw, rows, tmp_path)
    assert (tmp_path / "heldout-64.txt").read_text().splitlines() == [row["prompt"] for row in rows]
    with Picture.open(tmp_path / "heldout-64.webp") as sheet:
        assert sheet.size == (8 * 256, 256)
