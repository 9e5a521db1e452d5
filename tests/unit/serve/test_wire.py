"""Frames: what is packed is read, however it is cut; what is cut off is the end."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.serve.wire import MOST, PREFIX, Frame, lengths, packed, read

JSON = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=5)
FRAMES = st.builds(
    Frame,
    st.sampled_from(["ready", "beat", "run", "stop", "close", "tiding", "end"]),
    st.dictionaries(st.text(min_size=1).filter(lambda name: name != "type"), JSON, max_size=4),
    st.binary(max_size=50),
)


@given(st.lists(FRAMES, max_size=4), st.integers(0, 200))
def test_what_is_packed_is_read_and_a_torn_frame_is_the_end(frames: list[Frame], cut: int) -> None:
    data = b"".join(map(packed, frames))
    stream = io.BytesIO(data[: len(data) - min(cut, len(data))])
    got = []
    while (frame := read(stream)) is not None:
        got.append(frame)
    assert got == frames[: len(got)]
    assert cut or got == frames


def test_a_frame_is_bounded() -> None:
    with pytest.raises(ValueError, match="bytes"):
        lengths(MOST.to_bytes(4, "big") + (1).to_bytes(4, "big"))


@pytest.mark.parametrize("head", [{}, {"type": "other"}, [], "run", None])
def test_what_no_worker_writes_is_refused(head: object) -> None:
    body = json.dumps(head).encode()
    stream = io.BytesIO(len(body).to_bytes(PREFIX // 2, "big") + bytes(4) + body)
    with pytest.raises(ValueError, match="frame"):
        read(stream)
