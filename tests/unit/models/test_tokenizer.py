"""Token ids as transformers gives them, from either form a checkpoint may ship its tokenizer in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import CorruptFile, ModelNotFound
from limner.models.family import Files
from limner.models.tokenizer import Text, read, vocabulary
from tests.checkpoints import LENGTH, POCKET

MARKERS = ["<|startoftext|>", "<|endoftext|>"]
TEXTS = [
    "a red fox in the snow",
    "A Photo of   a CAT,\n highly-detailed!!",
    "it's 3 o'clock; don't",
    "naïve café 猫 🦊 and Ünïcödé",
    "",
    "(parentheses) [and] {braces} 12345 x2",
]


def files(folder: Path) -> Files:
    return Files(folder, {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()})


def clip_like(folder: Path) -> Path:
    """A small byte-level BPE in CLIP's own form: vocab.json and merges.txt."""
    letters = [chr(c) for c in [*range(33, 127), *range(161, 173), *range(174, 256)]]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    merges = [("r", "e"), ("re", "d</w>"), ("f", "o"), ("fo", "x</w>"), ("s", "n"), ("sn", "o"), ("sno", "w</w>")]
    merges += [("t", "h"), ("th", "e</w>"), ("i", "n</w>"), ("d", "o"), ("do", "n"), ("1", "2")]
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), *MARKERS]
    home = folder / "tokenizer"
    home.mkdir(parents=True)
    (home / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (home / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    config = {"bos_token": MARKERS[0], "eos_token": MARKERS[1], "pad_token": MARKERS[1], "unk_token": MARKERS[1]}
    (home / "tokenizer_config.json").write_text(json.dumps({**config, "model_max_length": 77}))
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip_like(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture(scope="module")
def theirs(clip: Path) -> object:
    transformers = pytest.importorskip("transformers")
    return transformers.CLIPTokenizer.from_pretrained(clip / "tokenizer", local_files_only=True)


@pytest.mark.parametrize("words", TEXTS)
def test_vocab_and_merges_give_what_transformers_gives(clip: Path, theirs: object, words: str) -> None:
    assert read(files(clip)).encode(words) == theirs(words, add_special_tokens=False)["input_ids"]  # type: ignore[operator]


@settings(max_examples=60, deadline=None)
@given(words=st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs"])))
def test_any_text_as_transformers(clip: Path, theirs: object, words: str) -> None:
    assert read(files(clip)).encode(words) == theirs(words, add_special_tokens=False)["input_ids"]  # type: ignore[operator]


def test_special_ids_and_length(clip: Path) -> None:
    text = read(files(clip))
    assert (text.bos, text.eos, text.pad, text.length) == (
        *(len_of(text) - 2 + i for i in (0, 1)),
        len_of(text) - 1,
        77,
    )
    pocket = read(files(POCKET))
    assert (pocket.bos, pocket.eos, pocket.pad, pocket.length) == (2, 3, 0, LENGTH)


def len_of(text: Text) -> int:
    return text.tokenizer.get_vocab_size()


def test_what_a_vocabulary_knows(clip: Path) -> None:
    closed, open_ = vocabulary(read(files(POCKET))), vocabulary(read(files(clip)))
    assert not closed.open
    assert closed.knows("fox")
    assert not closed.knows("xylophone")
    assert closed.limit == LENGTH - 2
    assert open_.open
    assert open_.limit == 75
    assert open_.count("red fox") == 2


def test_no_tokenizer_and_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no tokenizer"):
        read(files(tmp_path))
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text("{not json")
    with pytest.raises(CorruptFile, match="cannot be read"):
        read(files(tmp_path))
    damaged = clip_like(tmp_path / "other")
    (damaged / "tokenizer" / "vocab.json").write_text('{"a": 0}')
    with pytest.raises(CorruptFile):
        read(files(damaged))
