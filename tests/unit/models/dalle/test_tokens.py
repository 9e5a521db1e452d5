from __future__ import annotations

import json
from pathlib import Path

import pytest

from limner.errors import CorruptFile, MismatchedWeights, ModelNotFound
from limner.models.dalle.tokens import read
from limner.models.family import Files
from tests.dalle import FIXTURES, files_of

FILES = Files(FIXTURES, files_of(FIXTURES))
TOKENS = json.loads((FIXTURES / "reference" / "tokens.json").read_text("utf-8"))


def files_without(name: str) -> Files:
    return Files(FIXTURES, {k: v for k, v in FILES.paths.items() if k != name})


@pytest.mark.parametrize("files", [FILES, files_without("model/tokenizer.json")], ids=["tokenizer.json", "vocab.json"])
def test_ids_and_truncation_as_the_original(files: Files) -> None:
    tokens = read(files, "model", length=16, vocabulary=420)
    for text, ids, mask in zip(TOKENS["normalized"], TOKENS["input_ids"], TOKENS["attention_mask"], strict=True):
        found = tokens.encode(text)
        assert [*found.ids, *[tokens.pad] * (16 - len(found.ids))] == ids
        assert len(found.ids) == sum(mask)
    assert found.cut > 0
    assert found.ids[-1] == tokens.eos


def test_the_unconditional_input_is_no_text_at_all() -> None:
    assert read(FILES, "model", length=16, vocabulary=420).unconditional() == (0, 2)


def test_a_tokenizer_with_more_words_than_the_encoder() -> None:
    read(FILES, "model", length=16, vocabulary=500)
    with pytest.raises(MismatchedWeights, match="419"):
        read(FILES, "model", length=16, vocabulary=419)


def test_no_tokenizer_and_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        read(Files(tmp_path, {}), "model", length=16, vocabulary=420)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CorruptFile):
        read(Files(tmp_path, {"model/tokenizer.json": tmp_path / "tokenizer.json"}), "model", length=16, vocabulary=420)
