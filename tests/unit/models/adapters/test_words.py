"""Textual inversions: every way they are stored, words in a prompt, vectors in the text encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from limner.errors import CorruptFile, MismatchedWeights, UnsafeFile
from limner.models.adapters.embedding import read_embedding, vectors
from limner.models.adapters.overlay import AddedEmbedding, graft
from limner.models.adapters.words import Added, pattern_of
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.prompts.chunks import Block, chunk
from limner.prompts.syntax import parse_weights

VOCABULARY = 100


def saved(path: Path, **tensors: Tensor) -> Path:
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("name", ["emb_params", "<cat-toy>", "string_to_param.*", "anything"])
def test_one_table_under_any_of_its_names(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / "word.safetensors", **{name: torch.ones(3, 768)})
    embedding = read_embedding(path)
    assert (embedding.count, embedding.made_for) == (3, "Stable Diffusion 1 (width 768)")
    assert vectors(path, "text_encoder").shape == (3, 768)


def test_a_single_vector_without_an_axis_for_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "word.safetensors", **{"<x>": torch.ones(1024).half()})
    assert read_embedding(path).count == 1
    assert vectors(path, "text_encoder").shape == (1, 1024)
    assert vectors(path, "text_encoder").dtype == torch.float32


def test_a_table_for_each_encoder_of_xl(tmp_path: Path) -> None:
    path = saved(tmp_path / "word.safetensors", clip_g=torch.ones(2, 1280), clip_l=torch.zeros(2, 768))
    embedding = read_embedding(path)
    assert embedding.made_for == "Stable Diffusion XL (widths 768 and 1280)"
    assert vectors(path, "text_encoder_2").shape == (2, 1280)
    embedding.refuse_other({"text_encoder": 768, "text_encoder_2": 1280}, "word", "base")
    embedding.refuse_other({"text_encoder_2": 1280}, "word", "refiner")


@pytest.mark.parametrize(
    ("tables", "encoders"),
    [
        ({"emb_params": 768}, {"text_encoder": 1024}),
        ({"emb_params": 768}, {"text_encoder": 768, "text_encoder_2": 1280}),
        ({"clip_l": 768, "clip_g": 1280}, {"text_encoder": 768}),
        ({"emb_params": 1280}, {"text_encoder_2": 1280}),
    ],
)
def test_another_width_is_refused_by_name(
    tmp_path: Path, tables: Mapping[str, int], encoders: Mapping[str, int]
) -> None:
    path = saved(tmp_path / "word.safetensors", **{name: torch.ones(1, width) for name, width in tables.items()})
    with pytest.raises(
        MismatchedWeights, match=r"the textual inversion 'glow' is for .*, and tiny reads words of width"
    ):
        read_embedding(path).refuse_other(encoders, "glow", "tiny")


def test_what_is_no_textual_inversion(tmp_path: Path) -> None:
    with pytest.raises(MismatchedWeights, match="no textual inversion"):
        read_embedding(saved(tmp_path / "a.safetensors", a=torch.ones(2, 3), b=torch.ones(2, 3)))
    with pytest.raises(MismatchedWeights, match="no textual inversion"):
        read_embedding(saved(tmp_path / "b.safetensors", clip_l=torch.ones(2, 3), clip_g=torch.ones(1, 3)))
    with pytest.raises(CorruptFile, match="not finite"):
        vectors(saved(tmp_path / "c.safetensors", emb_params=torch.full((1, 4), float("inf"))), "text_encoder")
    torch.save({"emb_params": torch.ones(1, 4)}, tmp_path / "d.safetensors")
    with pytest.raises(UnsafeFile):
        read_embedding(tmp_path / "d.safetensors")


def plain(text: str) -> Sequence[int]:
    return [4 + len(word) for word in text.split()]


ADDED = Added.of([("Glow", 2), ("glow-soft", 3)], {"": VOCABULARY})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a glow", [5, Block((100, 101))]),
        ("GLOW, glow-soft", [Block((100, 101)), 5, Block((102, 103, 104))]),
        ("glowing aglow glow_", [11, 9, 9]),
        ("", []),
    ],
)
def test_words_that_stand_alone_become_their_vectors(text: str, expected: Sequence[int | Block]) -> None:
    assert ADDED.encoder(plain, "")(text) == expected


def test_emphasis_reaches_every_vector_and_a_run_is_never_split() -> None:
    pieces = parse_weights("a b c d (glow-soft:1.5) e")
    made = chunk(pieces, ADDED.encoder(plain, ""), bos=1, eos=2, pad=0, length=8)
    assert [each.ids for each in made] == [(1, 5, 5, 5, 5, 2, 0, 0), (1, 102, 103, 104, 5, 2, 0, 0)]
    assert made[1].weights == (1.0, 1.5, 1.5, 1.5, 1.0, 1.0, 1.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abc-(.", min_size=1, max_size=6), min_size=1, max_size=5), st.text("abc-(. ", max_size=30))
def test_what_is_found_is_one_of_the_words_and_stands_alone(words: list[str], text: str) -> None:
    for match in pattern_of(words).finditer(text):
        assert match[0].casefold() in {word.casefold() for word in words}
        before, after = text[: match.start()][-1:], text[match.end() :][:1]
        assert not before.isalnum()
        assert not after.isalnum()


CONFIG = ClipTextConfig(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
                        num_attention_heads=2, max_position_embeddings=8, eos_token_id=3)  # fmt: skip


def test_an_encoder_reads_added_vectors_as_if_they_were_in_its_table() -> None:
    torch.manual_seed(0)
    text = ClipText(CONFIG).eval().requires_grad_(False)
    added = torch.randn(3, 16)
    twin = graft(text, {"embeddings.token_embedding": lambda base: AddedEmbedding(base, VOCABULARY, added)})
    larger = ClipText(ClipTextConfig(**{**{f: getattr(CONFIG, f) for f in CONFIG.__slots__}, "vocab_size": 103}))
    state = text.state_dict()
    table = "embeddings.token_embedding.weight"
    larger.load_state_dict({**state, table: torch.cat((state[table], added))})
    ids = torch.tensor([[1, 5, 101, 102, 100, 7, 3, 0], [1, 3, 0, 0, 0, 0, 0, 0]])
    assert torch.equal(twin(ids), larger(ids))
    assert torch.equal(twin.both(ids)[1], larger.both(ids)[1])
    assert isinstance(text.embeddings.token_embedding, nn.Embedding)
