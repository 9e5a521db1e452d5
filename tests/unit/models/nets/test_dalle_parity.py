"""Against what the original programs computed (see tests/fixtures/dalle-mini/README.md)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from limner.models.dalle.load import load_dalle, load_vqgan
from limner.models.family import Files
from limner.models.nets.bart import Bart
from limner.models.nets.packing import can_pack, pack
from limner.models.nets.vqgan import Vqgan
from limner.sampling.guidance import combine
from tests.dalle import FIXTURES, files_of

CPU = torch.device("cpu")
FILES = Files(FIXTURES, files_of(FIXTURES))
DALLE = np.load(FIXTURES / "reference" / "dalle.npz")
VQGAN = np.load(FIXTURES / "reference" / "vqgan.npz")
START, CODES = 64, 64


def array(name: str, source: object = DALLE) -> Tensor:
    found = torch.from_numpy(source[name])  # type: ignore[index]
    return found.long() if found.dtype == torch.int32 else found


@pytest.fixture(scope="module", params=["plain", "packed"])
def bart(request: pytest.FixtureRequest) -> Bart:
    module = load_dalle(FILES, "model", torch.float32, CPU)
    if request.param == "packed":
        if not can_pack(torch.float32, "cpu"):
            pytest.skip("this processor packs nothing")
        pack(module, matrices=True)
    return module


@pytest.fixture(scope="module")
def vqgan() -> Vqgan:
    return load_vqgan(FILES, "vqgan", torch.float32, CPU)


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("branch", ["", "_uncond"])
def test_encoder_states(bart: Bart, branch: str) -> None:
    states = bart.encode(array("input_ids" + branch), array("attention_mask" + branch))
    assert (states - array("encoder_output" + branch)).abs().max() < 3e-5
    assert relative(states, array("encoder_output" + branch)) < 1e-4


@pytest.mark.parametrize("branch", ["", "_uncond"])
def test_logits_of_given_codes(bart: Bart, branch: str) -> None:
    mask = array("attention_mask" + branch)
    memory = bart.remember(bart.encode(array("input_ids" + branch), mask), mask)
    logits = bart.decode(array("decoder_input_ids"), bart.slots(memory, 1))
    assert (logits - array("logits" + branch)).abs().max() < 1e-4
    assert relative(logits, array("logits" + branch)) < 1e-4


def test_code_by_code_is_all_at_once(bart: Bart) -> None:
    mask = array("attention_mask")
    memory = bart.remember(bart.encode(array("input_ids"), mask), mask)
    slots, codes = bart.slots(memory, 1), array("decoder_input_ids")
    steps = [bart.decode(codes[:, i : i + 1], slots) for i in range(codes.shape[1])]
    assert (torch.cat(steps, dim=1) - array("logits")).abs().max() < 1e-4


def test_pictures_of_one_text_do_not_see_each_other(bart: Bart) -> None:
    """Four pictures of one text, code by code, are each what they are alone."""
    mask, codes = array("attention_mask")[:1], array("decoder_input_ids")
    memory = bart.remember(bart.encode(array("input_ids")[:1], mask), mask)
    together, alone = bart.slots(memory, 4), [bart.slots(memory, 1) for _ in range(4)]
    for i in range(codes.shape[1]):
        found = bart.decode(codes[:, i : i + 1], together)
        wanted = torch.cat([bart.decode(codes[k : k + 1, i : i + 1], alone[k]) for k in range(4)])
        assert (found - wanted).abs().max() < 1e-4


@pytest.mark.parametrize("scale", [1, 3, 10])
def test_greedy_codes(bart: Bart, scale: int) -> None:
    for text in range(4):
        rows = [array(f"{name}_uncond")[:1] for name in ("input_ids", "attention_mask")]
        ids, mask = (
            torch.cat([row, array(name)[text : text + 1]])
            for row, name in zip(rows, ("input_ids", "attention_mask"), strict=True)
        )
        slots = bart.slots(bart.remember(bart.encode(ids, mask), mask), 1)
        code, found = torch.tensor([[START]]), []
        for i in range(16):
            uncond, cond = bart.decode(code.expand(2, 1), slots)[:, 0]
            guided = combine(uncond, cond, scale)
            wanted = array(f"greedy_logits_scale{scale}")[text, i]
            assert (guided - wanted).abs().max() < 2e-3
            code = guided[:CODES].argmax().view(1, 1)
            found.append(int(code))
        assert found == DALLE[f"greedy_tokens_scale{scale}"][text].tolist()


def test_pixels(vqgan: Vqgan) -> None:
    pixels = vqgan.decode(array("indices", VQGAN)).permute(0, 2, 3, 1)
    assert (pixels - array("pixels_raw", VQGAN)).abs().max() < 1e-5
    bytes_ = (pixels.clamp(0, 1) * 255).to(torch.uint8)
    gap = (bytes_.int() - array("pixels_uint8", VQGAN).int()).abs()
    assert int(gap.max()) <= 1
    assert int((gap > 0).sum()) <= 8


def test_the_upper_rows_alone_have_their_own_shape(vqgan: Vqgan) -> None:
    assert vqgan.decode(array("indices", VQGAN)[:, :8]).shape == (4, 3, 8, 16)


def test_more_codes_than_a_picture_has(bart: Bart) -> None:
    mask = array("attention_mask")
    slots = bart.slots(bart.remember(bart.encode(array("input_ids"), mask), mask), 1)
    bart.decode(array("decoder_input_ids"), slots)
    with pytest.raises(ValueError, match="16 codes"):
        bart.decode(array("decoder_input_ids")[:, :1], slots)
