"""Drawing over pictures, in masks, in two passes, larger: what is promised of whole pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limner import Request, Session
from limner.config import Settings
from limner.errors import InvalidRequest, PictureNotFound, UnknownName, UnreadablePicture, UnsupportedField
from limner.models.latent.course import steps_of
from limner.models.latent.tiles import TILE
from limner.types import Step
from tests import upscalers
from tests.builtin import FACTOR, SIDE
from tests.dalle import FIXTURES
from tests.parity.edits import mask_picture, start_picture, write_inpainting

SHARED_TOLERANCE = 2  # of 255, as everywhere
SEAMS, SEAMS_MEAN = 16, 1.5  # of 255: most and mean that tiles may change; measured 10 and 1.14, at four steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:64, 0:64]
    shapes = np.stack([128 + 100 * np.sin(x / 9 + k) * np.cos(y / 7 - k) for k in range(3)], axis=-1)
    Image.fromarray((shapes + rng.normal(0, 4, shapes.shape)).clip(0, 255).astype(np.uint8)).save(root / "start.png")
    mask = np.zeros((64, 64), np.uint8)
    mask[16:40, 24:56] = 255
    Image.fromarray(mask).save(root / "mask.png")
    Image.fromarray(255 - mask).save(root / "negative.png")
    Image.fromarray(mask[:32]).save(root / "half.png")
    for name, value in (("black", 0), ("white", 255)):
        Image.fromarray(np.full((64, 64), value, np.uint8)).save(root / f"{name}.png")
    return root


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(settings=Settings.load(tmp_path_factory.mktemp("home"), {}), offline=True) as made:
        yield made


def over(session: Session, folder: Path, **fields: object) -> Request:
    """A request for the built-in model over the start picture; 64 x 64, few steps."""
    for name in ("init", "mask"):
        if isinstance(fields.get(name), str):
            fields[name] = folder / str(fields[name])
    usual = {"seed": 3, "steps": 4, "dtype": "float32", "init": folder / "start.png", "width": 64, "height": 64}
    return session.request("a red fox", **{**usual, **fields})


def start_of(folder: Path) -> np.ndarray:  # type: ignore[type-arg]
    return np.asarray(Image.open(folder / "start.png"))


def drawn(session: Session, request: Request) -> np.ndarray:  # type: ignore[type-arg]
    return session.generate(request).result()[0].pixels


def codes(session: Session, request: Request) -> dict[str, str]:
    return {notice.code: notice.message for notice in session.plan(request)[0].notices}


VARIETIES: dict[str, dict[str, object]] = {
    "picture": {"strength": 0.5},
    "mask": {"mask": "mask.png"},
    "noise": {"mask": "mask.png", "strength": 0.75, "inpaint_fill": "noise", "mask_invert": True},
    "part": {"mask": "mask.png", "inpaint_padding": 4, "width": 64, "height": 64},
    "two passes": {"hires": 1.5, "hires_strength": 0.5},
    "latent": {"init": None, "hires": 1.5, "hires_strength": 0.5, "hires_upscaler": "latent", "solver": "euler-a"},
    "larger": {"init": None, "width": 64, "height": 64, "upscale": "lanczos:1.5"},
    "varied": {"strength": 0.75, "variation": 0.4, "variation_seed": 9},
    "morphed": {"mask": "mask.png", "morph_to": "a blue house", "morph": 0.5},
}


@pytest.mark.parametrize("name", VARIETIES)
def test_drawn_again_it_is_the_same(session: Session, folder: Path, name: str) -> None:
    image = session.generate(over(session, folder, **VARIETIES[name])).result()[0]
    found = session.replay(str(image.path))
    assert found.verdict == "identical", found.reasons
    assert found.reasons == ()
    assert image.pixels.shape[:2] == image.record.recipe.finished[::-1]


def test_company_changes_nothing_alone_and_little_shared(session: Session, folder: Path) -> None:
    from tests.unit.session.test_pictures import drawn_together

    asked = [over(session, folder, **VARIETIES[name]) for name in ("picture", "mask", "part", "latent", "varied")]
    for batching, bound in (("alone", 0), ("shared", SHARED_TOLERANCE)):
        together = drawn_together(session, [request.but(batching=batching) for request in asked])
        for request, images in zip(asked, together, strict=True):
            gap = drawn(session, request).astype(int) - images[0].pixels
            assert np.abs(gap).max() <= bound


def test_strength_is_how_far_it_goes(session: Session, folder: Path) -> None:
    """More of it: further from the start picture. And the plan says how many steps are run."""
    start = start_of(folder).astype(int)
    gaps = [np.abs(drawn(session, over(session, folder, strength=s)) - start).mean() for s in (0.25, 0.5, 1.0)]
    assert gaps == sorted(gaps)
    assert gaps[0] < gaps[2] / 2
    request = over(session, folder, strength=0.5)
    assert "2 of 4 steps" in codes(session, request)["steps-run"]
    events = [event for event in session.generate(request) if isinstance(event, Step)]
    assert [(event.step, event.steps) for event in events] == [(1, 2), (2, 2)]


def test_no_step_at_all_is_refused(session: Session, folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="no step at all") as refused:
        session.plan(over(session, folder, strength=0.2))
    assert "0.25" in refused.value.hint


def test_what_a_mask_keeps_is_the_start_picture_to_the_byte(session: Session, folder: Path) -> None:
    start, mask = start_of(folder), np.asarray(Image.open(folder / "mask.png")) > 0
    hard = drawn(session, over(session, folder, mask="mask.png", mask_blur=0))
    assert (hard[~mask] == start[~mask]).all()
    assert (hard[mask] != start[mask]).mean() > 0.5
    inverted = drawn(session, over(session, folder, mask="negative.png", mask_invert=True, mask_blur=0))
    assert (inverted == hard).all()
    soft = drawn(session, over(session, folder, mask="mask.png", mask_blur=2))
    far = np.ones_like(mask)
    far[8:48, 16:] = False
    assert (soft[far] == start[far]).all()
    assert (soft[12:16, 30] != start[12:16, 30]).any()


def test_a_part_is_drawn_at_full_size_and_put_back(session: Session, folder: Path) -> None:
    request = over(session, folder, mask="mask.png", inpaint_padding=2, mask_blur=0, width=96, height=64)
    plan = session.plan(request)[0]
    assert (plan.recipe.width, plan.recipe.height, plan.recipe.finished) == (96, 64, (64, 64))
    assert plan.recipe.options["region"] == "19,14,61,42"
    made, mask = drawn(session, request), np.asarray(Image.open(folder / "mask.png")) > 0
    assert (made[~mask] == start_of(folder)[~mask]).all()
    assert (made[mask] != start_of(folder)[mask]).mean() > 0.5


def test_the_size_is_the_pictures_own_where_none_is_said(session: Session, folder: Path, tmp_path: Path) -> None:
    odd = SIDE - 51, SIDE - 27
    Image.new("RGB", odd, "red").save(tmp_path / "odd.png")
    own = {"width": None, "height": None}
    request = over(session, folder, init=str(tmp_path / "odd.png"), **own)
    plan = session.plan(request)[0]
    assert (plan.recipe.width, plan.recipe.height) == tuple(round(side / FACTOR) * FACTOR for side in odd)
    assert (
        f"{odd[0]}x{odd[1]} and is drawn at {plan.recipe.width}x{plan.recipe.height}"
        in codes(session, request)["init-resized"]
    )
    Image.new("RGB", (20 * SIDE, 5 * SIDE), "red").save(tmp_path / "large.png")
    large = session.plan(over(session, folder, init=str(tmp_path / "large.png"), **own))[0].recipe
    assert (large.width, large.height) == (2 * SIDE, SIDE // 2)
    assert "cropped" in codes(session, over(session, folder, width=64, height=32))["init-cropped"]
    assert "init-cropped" not in codes(session, over(session, folder, width=64, height=32, resize="fit"))


def test_two_passes_are_counted_as_one(session: Session, folder: Path) -> None:
    request = over(session, folder, init=None, width=64, height=64, hires=2, hires_strength=0.5, hires_steps=6)
    plan = session.plan(request)[0]
    assert steps_of(plan.recipe) == 4 + 3
    events = [event for event in session.generate(request, previews=True) if isinstance(event, Step)]
    assert [(event.step, event.steps) for event in events] == [(k, 7) for k in range(1, 8)]
    assert all(event.preview is not None for event in events)
    assert drawn(session, request).shape == (128, 128, 3)


def test_a_weak_second_pass_is_the_first_picture_larger(session: Session, folder: Path) -> None:
    request = over(session, folder, init=None, width=128, height=128, steps=10)
    first = drawn(session, request)
    second = drawn(session, request.but(hires=2, hires_strength=0.1))
    shrunk = np.asarray(Image.fromarray(second).resize((128, 128), Image.Resampling.BOX))
    other = drawn(session, request.but(prompt="a ghost at night", seed=4))
    assert np.abs(shrunk.astype(int) - first).mean() < np.abs(other.astype(int) - first).mean() / 2


def test_tiles_change_little_and_take_less(session: Session, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a stated distance of the whole decode, no row larger than a tile, and said in plan and identity."""
    from limner.engine.runner import TorchRunner

    rows: list[int] = []
    forward = TorchRunner.forward

    def counted(self: TorchRunner, asked, **more):  # type: ignore[no-untyped-def]
        rows.extend(max(row.inputs["latent"].shape[-2:]) for row in asked if "latent" in row.inputs)
        return forward(self, asked, **more)

    monkeypatch.setattr(TorchRunner, "forward", counted)
    request = over(session, folder, init=None, width=80 * FACTOR, height=32 * FACTOR, steps=4)
    whole = drawn(session, request)
    assert rows == [80]
    rows.clear()
    tiled = drawn(session, request.but(tiled=True))
    assert len(rows) == 2
    assert max(rows) <= TILE
    gap = np.abs(tiled.astype(int) - whole)
    assert gap.max() <= SEAMS
    assert 0 < gap.mean() <= SEAMS_MEAN
    assert f"{TILE * FACTOR}x{TILE * FACTOR}" in codes(session, request.but(tiled=True))["tiled"]
    assert session.plan(request)[0].identity != session.plan(request.but(tiled=True))[0].identity
    assert "nothing changes" in codes(session, over(session, folder, tiled=True))["tiled"]


def test_a_network_enlarges_and_the_record_names_it(session: Session, folder: Path) -> None:
    own = session.settings.data / "models" / "upscalers"
    own.mkdir(parents=True, exist_ok=True)
    upscalers.write(own / "twice.safetensors", upscalers.compact(2))
    request = over(session, folder, init=None, width=64, height=64, upscale="twice", hires=1.5, hires_upscaler="twice")
    image = session.generate(request).result()[0]
    assert image.pixels.shape == (192, 192, 3)
    (adapter,) = image.record.adapters
    assert (adapter.kind, adapter.name) == ("upscaler", "twice")
    assert image.record.recipe.options["upscale"] == adapter.hash
    assert session.replay(str(image.path)).verdict == "identical"
    with pytest.raises(UnknownName, match="twicee"):
        session.plan(request.but(upscale="twicee"))


def test_a_finished_picture_is_enlarged_and_keeps_its_words(session: Session, folder: Path) -> None:
    first = session.generate(over(session, folder, strength=0.5)).result()[0]
    plan = session.plan_upscaling(str(first.path), "lanczos:3", parent=first.id)
    image = session.run([plan]).result()[0]
    assert image.pixels.shape == (192, 192, 3)
    assert image.record.prompt == "a red fox"
    assert image.record.parent == first.id
    assert session.replay(str(image.path)).verdict == "identical"


def test_an_upscalers_tiles_do_not_show(session: Session, folder: Path, tmp_path: Path) -> None:
    """Far from the seams of tiles the picture is what the network makes of it whole."""
    from limner.models.upscaling.nets import load_upscaler

    own = session.settings.data / "models" / "upscalers"
    own.mkdir(parents=True, exist_ok=True)
    path = upscalers.write(own / "deep.safetensors", upscalers.compact(2, seed=3))
    pixels = np.random.default_rng(1).integers(0, 256, (40, 300, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "long.png")
    made = session.run([session.plan_upscaling(tmp_path / "long.png", "deep")]).result()[0].pixels
    module = load_upscaler(path, torch.float32, torch.device("cpu"))
    whole = module(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)[0].clamp(0, 1)
    expected = (whole * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert np.abs(made.astype(int) - expected).max() <= 1


REFUSALS: dict[str, tuple[dict[str, object], type[Exception], str]] = {
    "another size": ({"mask": "half.png"}, InvalidRequest, "64x32 and the start picture 64x64"),
    "black": ({"mask": "black.png"}, InvalidRequest, "redraws nothing"),
    "white": ({"mask": "white.png"}, InvalidRequest, "redraws everything"),
    "two passes in a mask": ({"mask": "mask.png", "hires": 2}, InvalidRequest, "mask keeps a part"),
    "too large": ({"hires": 8, "width": 2048, "height": 2048}, InvalidRequest, "too large"),
    "nothing to redraw": ({"init": None, "strength": 0.5}, InvalidRequest, "strength"),
    "no mask": ({"mask_blur": 3}, InvalidRequest, "mask_blur"),
    "one pass": ({"hires_steps": 3}, InvalidRequest, "hires_steps"),
    "another family": ({"model": str(FIXTURES), "width": None, "height": None}, UnsupportedField, "init"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_is_refused_by_name(session: Session, folder: Path, name: str) -> None:
    fields, kind, words = REFUSALS[name]
    with pytest.raises(kind, match=words):
        session.plan(over(session, folder, **fields))


def test_a_mask_of_another_size_is_brought_to_it_when_asked(session: Session, folder: Path) -> None:
    plan = session.plan(over(session, folder, mask="half.png", resize="stretch"))[0]
    assert plan.recipe.options["resize"] == "stretch"


def test_pictures_that_are_none_are_refused_before_anything(session: Session, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    (tmp_path / "text.png").write_text("no picture")
    Image.new("1", (10_000, 10_000)).save(tmp_path / "huge.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:70])
    said = {"moving.png": "animation", "text.png": "not a PNG", "huge.png": "80 million", "cut.png": "damaged"}
    for name, words in said.items():
        with pytest.raises(UnreadablePicture, match=words):
            session.request("a fox", init=tmp_path / name)
    with pytest.raises(PictureNotFound):
        session.request("a fox", init=tmp_path / "none.png")
    with pytest.raises(PictureNotFound, match="not here"):
        session.plan(Request(prompt="a fox", init="sha256:" + "0" * 64))


def test_an_inpainting_network_wants_a_mask(session: Session, tmp_path: Path) -> None:
    write_inpainting(tmp_path / "inpainting")
    request = Request(prompt="a fox", model=str(tmp_path / "inpainting"), steps=2, dtype="float32")
    with pytest.raises(InvalidRequest, match="mask"):
        session.plan(request)
    Image.fromarray(start_picture()).save(tmp_path / "start.png")
    Image.fromarray(mask_picture()).save(tmp_path / "mask.png")
    taken = {name: session.take_in(tmp_path / f"{file}.png") for name, file in (("init", "start"), ("mask", "mask"))}
    image = session.generate(request.but(**taken)).result()[0]
    assert session.replay(str(image.path)).verdict == "identical"


def test_a_session_that_keeps_nothing_keeps_no_input(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    with Session(settings=Settings.load(home, {}), offline=True, keep=False) as unkept:
        assert drawn(unkept, over(unkept, folder, strength=0.5)).shape == (64, 64, 3)
    assert not list(home.rglob("*.png"))
