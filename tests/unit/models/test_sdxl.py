"""What SDXL is told besides the words, and how it reads long ones; whole pictures are compared in tests/parity."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("diffusers")

from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from limner import Request, Session
from limner.config import Settings
from limner.errors import InvalidRequest, MismatchedWeights
from limner.models.catalog import Card
from limner.models.family import Files, Placement
from limner.models.latent.parts import Parts
from limner.models.sdxl import StableDiffusionXL
from limner.sampling.course import Row, Weights
from limner.types import Plan
from tests.checkpoints import LCM_LIKE, LENGTH, SD1_LIKE, XL_BASE, XL_LCM, XL_NO_ZEROS, XL_REFINER, write, write_xl
from tests.unit.models.test_machine import gpu, machine

LONG = "a red fox in the snow and a blue cat on the beach " * 3
Written = Callable[[str], Path]
KINDS = {"base": XL_BASE, "refiner": XL_REFINER, "lcm": XL_LCM, "no-zeros": XL_NO_ZEROS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Written:
    root = tmp_path_factory.mktemp("xl")

    def written(name: str) -> Path:
        return root / name if (root / name).exists() else write_xl(root / name, KINDS[name])

    return written


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    settings = Settings.load(tmp_path_factory.mktemp("home"), {})
    with Session(settings=settings, keep=False, offline=True) as made:
        yield made


def asked(folder: Path, **more: object) -> Request:
    usual: dict[str, object] = {"prompt": "a red fox", "seed": 1, "steps": 2, "width": 24, "height": 16}
    return Request.of(**{**usual, "model": str(folder), "dtype": "float32", **more})


def rows_of(session: Session, request: Request, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """The rows that the network is asked while the request is drawn."""
    rows: list[Row] = []
    unet = Parts.unet

    def spied(self: Parts, *told: Any) -> Row:
        rows.append(unet(self, *told))
        return rows[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "unet", spied)
        session.generate(request).result()
    return rows


def notices(plan: Plan) -> set[str]:
    return {notice.code for notice in plan.notices}


def files_of(folder: Path) -> Files:
    return Files(folder, {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()})


def test_the_base_is_told_its_size_and_no_crop(
    folder: Written, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(session, asked(folder("base")), monkeypatch)
    assert rows
    for row in rows:
        assert row.inputs["numbers"].tolist() == [16, 24, 0, 0, 16, 24]
        assert row.inputs["pooled"].shape == (16,)
        assert row.inputs["context"].shape == (LENGTH, 56)


def test_the_refiner_reaches_for_a_score_and_reads_with_one_encoder(
    folder: Written, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(folder("refiner"))
    (plan,) = session.plan(request)
    assert set(plan.recipe.prompts) == {"positive_2", "negative_2"}
    assert "refiner-without-picture" in notices(plan)
    rows = rows_of(session, request, monkeypatch)
    assert {tuple(row.inputs["numbers"].tolist()) for row in rows} == {(16, 24, 0, 0, 2.5), (16, 24, 0, 0, 6.0)}
    assert {tuple(row.inputs["context"].shape) for row in rows} == {(LENGTH, 24)}


def test_an_empty_negative_prompt_is_nothing_where_the_model_was_trained_so(
    folder: Written, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, _ = rows_of(session, asked(folder("base"), negative=" ", steps=1), monkeypatch)
    assert not silent.inputs["context"].any()
    assert not silent.inputs["pooled"].any()
    for name, negative in (("base", "a house"), ("no-zeros", None)):
        heard, _ = rows_of(session, asked(folder(name), negative=negative, steps=1), monkeypatch)[-2:]
        assert heard.inputs["context"].any()
    assert "negative" in session.plan(asked(folder("base"), negative="a house"))[0].recipe.prompts


def test_a_long_prompt_is_read_whole_by_both_encoders(
    folder: Written, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """States of all chunks, side by side; the pooled text of the first, as A1111 takes it."""
    path = folder("base")
    request = asked(path, prompt=LONG, guidance=1.0, steps=1)
    prompts = session.plan(request)[0].recipe.prompts
    (row,) = rows_of(session, request, monkeypatch)
    chunks = prompts["positive"][0].ids
    assert len(chunks) == len(prompts["positive_2"][0].ids) > 1
    expected, pooled = theirs(path, chunks, prompts["positive_2"][0].ids)
    torch.testing.assert_close(row.inputs["context"], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(row.inputs["pooled"], pooled, atol=1e-5, rtol=1e-4)


def theirs(
    path: Path, first: tuple[tuple[int, ...], ...], second: tuple[tuple[int, ...], ...]
) -> tuple[Tensor, Tensor]:
    one = CLIPTextModel.from_pretrained(path / "text_encoder")
    two = CLIPTextModelWithProjection.from_pretrained(path / "text_encoder_2")
    with torch.inference_mode():
        a = one(torch.tensor(first), output_hidden_states=True)
        b = two(torch.tensor(second), output_hidden_states=True)
    return torch.cat((a.hidden_states[-2], b.hidden_states[-2]), dim=-1).flatten(0, 1), b.text_embeds[0]


def test_a_morph_moves_the_pooled_text_too(folder: Written, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(**more: object) -> Row:
        return rows_of(session, asked(folder("base"), guidance=1.0, steps=1, **more), monkeypatch)[-1]

    start, end = drawn(prompt="a red fox"), drawn(prompt="a blue house")
    half = drawn(prompt="a red fox", morph_to="a blue house", morph=0.5)
    for name in ("context", "pooled"):
        torch.testing.assert_close(half.inputs[name], (start.inputs[name] + end.inputs[name]) / 2)
        assert not torch.equal(start.inputs[name], end.inputs[name])


def test_the_layer_that_is_read_can_be_chosen(
    folder: Written, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, same, last = (
        rows_of(session, asked(folder("base"), guidance=1.0, steps=1, clip_skip=skip), monkeypatch)[-1]
        for skip in (None, 2, 1)
    )
    assert torch.equal(usual.inputs["context"], same.inputs["context"])
    assert not torch.equal(usual.inputs["context"], last.inputs["context"])
    assert torch.equal(usual.inputs["pooled"], last.inputs["pooled"])


def test_a_layer_that_is_not_there_is_refused(folder: Written, session: Session) -> None:
    with pytest.raises(InvalidRequest, match="no layer 3 from the end: its text_encoder has 2"):
        session.plan(asked(folder("base"), clip_skip=3))


def test_requests_with_different_layers_share_a_call(folder: Written) -> None:
    """Row by row what each gives alone."""
    family, path = StableDiffusionXL(), folder("base")
    for part in ("text_encoder", "text_encoder_2"):
        module = family.load(Weights("x", part, "float32"), files_of(path), Placement(torch.device("cpu"), "float32"))
        ids = torch.tensor([[2, 9, 8, 3], [2, 7, 3, 0], [2, 9, 8, 3]])
        skip = torch.tensor([0, 1, 1])
        together = family.forward(module, part, {"ids": ids, "skip": skip})
        for k in range(3):
            alone = family.forward(module, part, {"ids": ids[k : k + 1], "skip": skip[k : k + 1]})
            torch.testing.assert_close(together[k : k + 1], alone)


@pytest.mark.parametrize(("dtype", "told"), [("float16", True), ("float32", False)])
def test_an_autoencoder_that_overflows_is_planned_in_float32(folder: Written, dtype: str, told: bool) -> None:
    turing = machine(gpu("T4", (7, 5)))
    request = asked(folder("base"), dtype=dtype)
    planned = StableDiffusionXL().plan(
        request, Card(name="x", title="x", family="sdxl", folder="x"), files_of(folder("base")), turing
    )
    assert ("float32-autoencoder" in {notice.code for notice in planned.notices}) is told
    assert Parts("x", dtype, planned.recipe).vae_dtype == "float32"
    assert Parts("x", "bfloat16", planned.recipe).vae_dtype == "bfloat16"


def test_a_consistency_model_is_told_the_guidance_in_one_row(
    folder: Written, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (folder("lcm"), write(tmp_path / "sd", LCM_LIKE)):
        (plan,) = session.plan(asked(path, steps=None, negative="a house"))
        assert (plan.recipe.solver, plan.request.steps, plan.request.guidance) == ("lcm", 4, 8.5)
        assert plan.recipe.guidance == 1
        assert "negative-unused" in notices(plan)
    rows = rows_of(session, asked(folder("lcm"), guidance=3.0), monkeypatch)
    assert [row.inputs["guidance"].item() for row in rows] == [3.0, 3.0]


def test_guidance_of_zero_is_pointed_out(folder: Written, session: Session) -> None:
    assert "guidance-ignores-words" in notices(session.plan(asked(folder("base"), guidance=0))[0])
    assert "guidance-ignores-words" not in notices(session.plan(asked(folder("base"), guidance=1))[0])


def test_a_network_that_is_not_of_this_family_is_refused(folder: Written, tmp_path: Path) -> None:
    files = files_of(folder("base"))
    sd = write(tmp_path / "sd", SD1_LIKE)
    mixed = Files(files.root, {**files.paths, "unet/config.json": sd / "unet" / "config.json"})
    narrow = tmp_path / "narrow.json"
    config = json.loads(files.paths["text_encoder_2/config.json"].read_text())
    narrow.write_text(json.dumps({**config, "projection_dim": 11}))
    other = Files(files.root, {**files.paths, "text_encoder_2/config.json": narrow})
    card = Card(name="x", title="x", family="sdxl", folder="x")
    for wrong, said in ((mixed, "takes no pooled text"), (other, "a text of 11")):
        with pytest.raises(MismatchedWeights, match=said):
            StableDiffusionXL().plan(asked(folder("base")), card, wrong, machine())
