"""Chunks: every token of a long prompt is in one, and every chunk fits the encoder."""

from __future__ import annotations

import math
import random
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from limner.errors import InvalidRequest
from limner.prompts.chunks import Block, Chunk, chunk, pad_to
from limner.prompts.syntax import BREAK, Piece, Span, parse_weights

BOS, EOS, PAD, COMMA = 1, 2, 0, 9


def encode(text: str) -> list[int]:
    """A token a word and a comma; words are their length + 100."""
    words = text.replace(",", " , ").split()
    return [COMMA if word == "," else 100 + len(word) for word in words]


def _chunks(spans: tuple[Piece, ...], length: int = 7, backtrack: int = 0) -> tuple[Chunk, ...]:
    return chunk(spans, encode, bos=BOS, eos=EOS, pad=PAD, length=length, comma_backtrack=backtrack)


def _own(chunks: tuple[Chunk, ...]) -> list[list[int]]:
    return [[i for i in part.ids if i not in (BOS, EOS, PAD)] for part in chunks]


def test_markers_padding_and_weights() -> None:
    (only,) = _chunks(parse_weights("a (red:1.5) fox"))
    assert only == Chunk((BOS, 101, 103, 103, EOS, PAD, PAD), (1.0, 1.0, 1.5, 1.0, 1.0, 1.0, 1.0))


def test_an_empty_prompt_is_one_chunk() -> None:
    assert _chunks(()) == (Chunk((BOS, EOS, PAD, PAD, PAD, PAD, PAD), (1.0,) * 7),)


def test_a_full_chunk_has_no_padding_and_the_next_word_opens_another() -> None:
    assert _chunks((Span("a a a a a"),))[0].ids == (BOS, 101, 101, 101, 101, 101, EOS)
    assert [len(part) for part in _own(_chunks((Span("a a a a a bb"),)))] == [5, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a BREAK bb", [[101], [102]]),
        ("a BREAK", [[101]]),
        ("BREAK a", [[], [101]]),
        ("a BREAK BREAK bb", [[101], [], [102]]),
        ("a a a a a BREAK bb", [[101] * 5, [102]]),
    ],
)
def test_break(text: str, expected: list[list[int]]) -> None:
    assert _own(_chunks(parse_weights(text))) == expected


def test_comma_backtrack_keeps_phrases_together() -> None:
    text = Span("aa bb, cc dd ee ff")
    assert [len(part) for part in _own(_chunks((text,)))] == [5, 2]
    assert [len(part) for part in _own(_chunks((text,), backtrack=3))] == [3, 4]
    # the comma is further back than allowed
    assert [len(part) for part in _own(_chunks((text,), backtrack=2))] == [5, 2]


def test_backtrack_without_a_comma_token_changes_nothing() -> None:
    def wordy(text: str) -> list[int]:
        return [5 for _ in text.replace(",", " ").split()]

    kinds = {"bos": BOS, "eos": EOS, "pad": PAD, "length": 7}
    spans = (Span("a, b, c, d, e, f, g"),)
    assert chunk(spans, wordy, comma_backtrack=20, **kinds) == chunk(spans, wordy, **kinds)


def test_too_short_an_encoder() -> None:
    with pytest.raises(InvalidRequest, match="length 2"):
        _chunks((), length=2)


SPANS = st.lists(
    st.builds(Span, st.text(alphabet="ab ,", max_size=40), st.sampled_from([0.5, 1.0, 1.3])) | st.just(BREAK),
    max_size=8,
)


@settings(deadline=None)
@given(SPANS, st.integers(3, 12), st.integers(0, 8))
def test_nothing_is_lost(spans: list[Piece], length: int, backtrack: int) -> None:
    chunks = _chunks(tuple(spans), length, backtrack)
    wanted = [(i, s.weight) for s in spans if isinstance(s, Span) for i in encode(s.text)]
    found = [(i, w) for part in chunks for i, w in zip(part.ids, part.weights, strict=True) if i not in (BOS, EOS, PAD)]
    assert found == wanted
    for part in chunks:
        assert len(part.ids) == len(part.weights) == length
        assert part.ids[0] == BOS
        assert part.ids.count(EOS) == 1
    if backtrack == 0 and BREAK not in spans:
        assert len(chunks) == max(1, math.ceil(len(wanted) / (length - 2)))


def test_a_thousand_prompts_through_a_real_tokenizer() -> None:
    """Pocket's own: what a long prompt would lose to truncation arrives, in order."""
    tokenizer = Tokenizer.from_file(str(files("limner").joinpath("assets/pocket/tokenizer/tokenizer.json")))
    vocabulary = tokenizer.get_vocab()
    bos, eos, pad = vocabulary["<bos>"], vocabulary["<eos>"], vocabulary["<pad>"]
    known = sorted(word for word in vocabulary if word.isalpha())
    rng = random.Random(0)
    for _ in range(1000):
        said = [rng.choice(known) for _ in range(rng.randrange(120))]
        text = " ".join(f"({word}:1.2)" if rng.random() < 0.2 else word for word in said)
        ids = tokenizer.encode(" ".join(said), add_special_tokens=False).ids
        chunks = chunk(
            parse_weights(text),
            lambda part: tokenizer.encode(part, add_special_tokens=False).ids,
            bos=bos,
            eos=eos,
            pad=pad,
            length=24,
        )
        assert [i for part in chunks for i in part.ids[1 : part.ids.index(eos)]] == ids
        assert len(chunks) == max(1, math.ceil(len(said) / 22))


@settings(deadline=None)
@given(SPANS, SPANS)
def test_pad_to_evens_the_counts(first: list[Piece], second: list[Piece]) -> None:
    a, b = _chunks(tuple(first)), _chunks(tuple(second))
    even_a, even_b = pad_to(a, b, bos=BOS, eos=EOS, pad=PAD)
    assert len(even_a) == len(even_b) == max(len(a), len(b))
    assert even_a[: len(a)] == a
    assert even_b[: len(b)] == b
    assert all(extra == _chunks(())[0] for extra in (*even_a[len(a) :], *even_b[len(b) :]))


def test_a_comma_that_finds_its_chunk_full_opens_the_next() -> None:
    """A1111 looks back for a comma only where the next token is none itself."""
    assert _own(_chunks((Span("a , a a a , bb"),), backtrack=5)) == [[101, COMMA, 101, 101, 101], [COMMA, 102]]
    assert _own(_chunks((Span("a , a a a bb , c"),), backtrack=5)) == [[101, COMMA], [101, 101, 101, 102, COMMA], [101]]


def test_a_block_is_not_torn() -> None:
    """The vectors of a textual inversion stay together; the rest of a chunk they do not fit is padding."""

    def with_blocks(text: str) -> list[int | Block]:
        return [Block((7, 8, 9)) if word == "inv" else 100 + len(word) for word in text.split()]

    def chunks(text: str) -> list[list[int]]:
        return _own(chunk(parse_weights(text), with_blocks, bos=BOS, eos=EOS, pad=PAD, length=7))

    assert chunks("a inv a inv") == [[101, 7, 8, 9, 101], [7, 8, 9]]
    assert chunks("a a a inv a") == [[101] * 3, [7, 8, 9, 101]]
    only = chunk(parse_weights("(inv:1.5)"), with_blocks, bos=BOS, eos=EOS, pad=PAD, length=7)[0]
    assert only.weights == (1.0, 1.5, 1.5, 1.5, 1.0, 1.0, 1.0)
    with pytest.raises(InvalidRequest, match="3 vectors"):
        chunk(parse_weights("inv"), with_blocks, bos=BOS, eos=EOS, pad=PAD, length=4)
