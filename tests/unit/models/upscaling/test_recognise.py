"""Upscaling networks: recognised by their tensors in every spelling, the same mathematics, pickles refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from limner.errors import CorruptFile, InvalidRequest, MismatchedWeights, UnsafeFile
from limner.models.upscaling.nets import load_upscaler
from limner.models.upscaling.recognise import Enlargement, Named, recognise
from tests import upscalers

X = torch.rand(1, 3, 9, 12, generator=torch.Generator().manual_seed(5))
STATES = {
    "real-4": (upscalers.real_esrgan(), "rrdb", 4),
    "real-2": (upscalers.real_esrgan(2), "rrdb", 2),
    "real-1": (upscalers.real_esrgan(1), "rrdb", 1),
    "old": (upscalers.old_esrgan(), "rrdb", 4),
    "basicsr": (upscalers.basicsr_esrgan(), "rrdb", 4),
    "compact-4": (upscalers.compact(), "compact", 4),
    "compact-2": (upscalers.compact(2), "compact", 2),
}


def loaded(path: Path) -> torch.nn.Module:
    return load_upscaler(path, torch.float32, torch.device("cpu"))


@pytest.mark.parametrize("name", STATES)
def test_recognised_and_as_large_as_it_says(tmp_path: Path, name: str) -> None:
    state, kind, scale = STATES[name]
    path = upscalers.write(tmp_path / "any name.safetensors", state)
    net = recognise(path)
    assert (net.kind, net.scale) == (kind, scale)
    made = loaded(path)(X)
    assert made.shape == (1, 3, 9 * scale, 12 * scale)
    assert made.std() > 0.005


def rrdb_as_in_the_paper(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """Wang et al. 2018, written out: no module, no loop variable shared with ours."""

    def conv(name: str, h: Tensor) -> Tensor:
        return F.conv2d(h, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    def lrelu(h: Tensor) -> Tensor:
        return F.leaky_relu(h, 0.2)

    def dense(name: str, h: Tensor) -> Tensor:
        a = lrelu(conv(f"{name}.conv1", h))
        b = lrelu(conv(f"{name}.conv2", torch.cat((h, a), 1)))
        c = lrelu(conv(f"{name}.conv3", torch.cat((h, a, b), 1)))
        d = lrelu(conv(f"{name}.conv4", torch.cat((h, a, b, c), 1)))
        return h + 0.2 * conv(f"{name}.conv5", torch.cat((h, a, b, c, d), 1))

    first = conv("conv_first", x)
    h = first
    for block in range(upscalers.BLOCKS):
        inner = h
        for k in (1, 2, 3):
            inner = dense(f"body.{block}.rdb{k}", inner)
        h = h + 0.2 * inner
    h = first + conv("conv_body", h)
    h = lrelu(conv("conv_up1", h.repeat_interleave(2, 2).repeat_interleave(2, 3)))
    h = lrelu(conv("conv_up2", h.repeat_interleave(2, 2).repeat_interleave(2, 3)))
    return conv("conv_last", lrelu(conv("conv_hr", h)))


def test_the_mathematics_of_the_paper_in_all_spellings(tmp_path: Path) -> None:
    expected = rrdb_as_in_the_paper(upscalers.real_esrgan(), X)
    for name in ("real-4", "old", "basicsr"):
        module = loaded(upscalers.write(tmp_path / f"{name}.safetensors", STATES[name][0]))
        assert torch.allclose(module(X), expected, atol=1e-6)


def test_the_compact_network_adds_to_the_enlarged_picture(tmp_path: Path) -> None:
    state = upscalers.compact()
    state["body.6.weight"].zero_()
    state["body.6.bias"].zero_()
    module = loaded(upscalers.write(tmp_path / "c.safetensors", state))
    assert torch.equal(module(X), X.repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_a_pickle_is_refused_with_the_way_on(tmp_path: Path) -> None:
    path = tmp_path / "4x.pth"
    path.write_bytes(b"\x80\x02")
    with pytest.raises(UnsafeFile, match="pickle") as refused:
        recognise(path)
    assert "limner models convert" in refused.value.hint


def test_another_network_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "swinir.safetensors"
    save_file({"patch_embed.norm.weight": torch.ones(3)}, path)
    with pytest.raises(MismatchedWeights, match=r"swinir\.safetensors is no upscaler") as refused:
        recognise(path)
    assert "Real-ESRGAN" in refused.value.hint


def test_a_network_with_more_than_is_known_is_refused(tmp_path: Path) -> None:
    state = {**upscalers.real_esrgan(), "body.0.rdb1.conv1x1.weight": torch.ones(4, 8, 1, 1)}
    with pytest.raises(MismatchedWeights, match="conv1x1"):
        loaded(upscalers.write(tmp_path / "plus.safetensors", state))


def test_a_cut_file_is_corrupt(tmp_path: Path) -> None:
    path = upscalers.write(tmp_path / "a.safetensors", upscalers.compact())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CorruptFile):
        recognise(path)


@pytest.mark.parametrize(
    ("text", "name", "factor"),
    [
        ("lanczos", "lanczos", None),
        ("lanczos:3", "lanczos", 3),
        ("a:b", "a:b", None),
        ("4x [31e35c80fc]:1.5", "4x [31e35c80fc]", 1.5),
    ],
)
def test_names_with_factors(text: str, name: str, factor: float | None) -> None:
    assert Named.of(text) == Named(name, factor)


@pytest.mark.parametrize("text", ["lanczos:1", "lanczos:0.5", "lanczos:99", "lanczos:1.2.3"])
def test_a_factor_must_enlarge(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no factor"):
        Named.of(text)


def test_too_large_is_said_before() -> None:
    with pytest.raises(InvalidRequest, match="80 million"):
        Enlargement(None, 16).size((4096, 4096))
