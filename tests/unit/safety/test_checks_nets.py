"""Image checkers against the published code of each, on the same random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limner.errors import CorruptFile, MismatchedWeights, NonFinite
from limner.models.nets.vit import VitConfig
from limner.safety.checks.compvis import MEAN, STD, CompVis
from limner.safety.checks.compvis_net import Margins, worst
from limner.safety.checks.falconsai import Falconsai
from limner.safety.checks.marqo import Marqo
from limner.safety.checks.seeing import Eye, squares
from limner.safety.checks.shieldgemma import ShieldGemma
from tests import checkers
from tests.scorers import pictures


def normalised(
    pixels: np.ndarray, side: int, resample: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> torch.Tensor:
    picture = Image.fromarray(pixels).resize((side, side), resample)
    x = torch.from_numpy(np.asarray(picture).astype(np.float32) / 255).permute(2, 0, 1)
    return ((x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None])[None]


HALF = (0.5, 0.5, 0.5)


@pytest.mark.parametrize("old_names", [True, False])
def test_falconsai_is_transformers_vit(tmp_path: Path, old_names: bool) -> None:
    model = checkers.falconsai(tmp_path, old_names=old_names)
    checker = Falconsai(tmp_path, device="cpu")
    for pixels in pictures(3):
        x = normalised(pixels, 64, Image.Resampling.BILINEAR, HALF, HALF)
        with torch.inference_mode():
            expected = float(model(x).logits.softmax(-1)[0, 1])
        (found,) = checker.check(pixels)
        assert found.score == pytest.approx(expected, abs=1e-4)
        assert found.category == "sexual"
        assert found.verdict == ("likely" if expected >= 0.5 else "possible" if expected >= 0.3 else "clear")


def test_marqo_is_a_vit_under_timms_names(tmp_path: Path) -> None:
    model = checkers.marqo(tmp_path)
    checker = Marqo(tmp_path, device="cpu")
    seen = set()
    for pixels in pictures(4, size=(80, 80)):
        x = normalised(pixels, 64, Image.Resampling.BICUBIC, HALF, HALF)
        with torch.inference_mode():
            expected = float(model(x).logits.softmax(-1)[0, 1])
        score = checker.check(pixels)[0].score
        assert score == pytest.approx(expected, abs=1e-4)
        seen.add(round(score, 3))
    assert len(seen) > 1, "it looks at the picture"


def test_the_shape_of_the_published_marqo_is_read_from_its_tensors() -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embed": (1, 577, 192),
        "patch_embed.proj.weight": (192, 3, 16, 16),
        "head.weight": (2, 192),
    }
    shapes |= {f"blocks.{k}.mlp.fc1.weight": (768, 192) for k in range(12)}
    assert VitConfig.of_shapes(shapes) == VitConfig(192, 768, 12, 3, 384, 16, 2, 1e-6)
    with pytest.raises(MismatchedWeights):
        VitConfig.of_shapes({**shapes, "pos_embed": (1, 578, 192)})
    with pytest.raises(MismatchedWeights):
        VitConfig.of_shapes({"pos_embed": (1, 577, 192)})


@pytest.mark.parametrize("threshold", [-0.2, 0.0, 0.05, 0.3, 0.9])
def test_compvis_answers_as_the_published_checker(tmp_path: Path, threshold: float) -> None:
    model = checkers.compvis(tmp_path, threshold=threshold)
    checker = CompVis(tmp_path, device="cpu")
    for pixels in pictures(6, size=(48, 48)):
        x = normalised(pixels, 32, Image.Resampling.BICUBIC, MEAN, STD)
        black, unsafe = model(x, [np.ones((4, 4, 3))])
        before = pixels.copy()
        sexual, minors = checker.check(pixels)
        assert (sexual.verdict == "likely") is bool(unsafe[0])
        assert (float(np.max(black[0])) == 0) is bool(unsafe[0]), "theirs paints it black"
        np.testing.assert_array_equal(pixels, before, "ours never does")
        assert minors.verdict in ("clear", "likely")
        assert minors.verdict == "clear" or sexual.verdict == "likely"


def test_special_care_makes_the_rest_stricter(tmp_path: Path) -> None:
    model = checkers.compvis(tmp_path)
    pixels = pictures(1, size=(32, 32))[0]
    x = normalised(pixels, 32, Image.Resampling.BICUBIC, MEAN, STD)
    with torch.inference_mode():
        seen = torch.nn.functional.normalize(model.visual_projection(model.vision_model(x)[1]))
    file = tmp_path / checkers.WEIGHTS
    stored = checkers.load_file(file)
    for care, expected in ((0.02, Margins(0.02, 0.005)), (-0.02, Margins(-0.02, -0.005))):
        stored["concept_embeds"] = seen.repeat(17, 1).clone()
        stored["special_care_embeds"] = seen.repeat(3, 1).clone()
        stored["concept_embeds_weights"] = torch.full((17,), 1.005)
        stored["special_care_embeds_weights"] = torch.tensor([1 - care, 2.0, 2.0])
        checkers.save_file(stored, file)
        checker = CompVis(tmp_path, device="cpu")
        sexual, minors = checker.check(pixels)
        assert sexual.score == pytest.approx(expected.concept, abs=1e-6)
        assert (sexual.verdict, minors.verdict) == (("likely", "likely") if care > 0 else ("possible", "clear"))


def test_no_number_is_never_taken_for_clear(tmp_path: Path) -> None:
    assert worst([]) == -1
    for values in ([float("nan"), 0.5], [0.5, float("nan")], [-1.0, float("nan"), 2.0]):
        assert worst(values) != worst(values)
    checkers.compvis(tmp_path)
    checker = CompVis(tmp_path, device="cpu")
    pixels = pictures(1, size=(32, 32))[0]
    checker.check(pixels)
    assert checker._loaded is not None
    checker._loaded.net.visual_projection.weight.data.fill_(float("nan"))
    with pytest.raises(NonFinite, match="compvis answered nan"):
        checker.check(pixels)


def test_no_number_of_a_vit_neither(tmp_path: Path) -> None:
    checkers.marqo(tmp_path)
    checker = Marqo(tmp_path, device="cpu")
    pixels = pictures(1, size=(32, 320))[0]
    checker.check(pixels)
    assert checker._loaded is not None
    checker._loaded.net.head.bias.data[0] = float("nan")
    with pytest.raises(NonFinite, match="marqo answered nan"):
        checker.check(pixels)


def test_a_config_without_the_class_is_refused(tmp_path: Path) -> None:
    checkers.marqo(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text("utf-8").replace('"NSFW"', '"cat"'), "utf-8")
    with pytest.raises(CorruptFile, match="no class NSFW"):
        Marqo(tmp_path, device="cpu").check(pictures(1)[0])


@pytest.mark.parametrize(("width", "height"), [(64, 64), (70, 64), (64, 70), (128, 64), (64, 200), (1000, 64)])
def test_squares_leave_nothing_of_an_oblong_picture_unseen(width: int, height: int) -> None:
    found = squares(width, height)
    short = min(width, height)
    for left, top, right, bottom in found:
        assert right - left == bottom - top == short
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    if max(width, height) > 1.2 * short:
        covered = np.zeros((height, width), bool)
        for left, top, right, bottom in found:
            covered[top:bottom, left:right] = True
        assert covered.all()
    else:
        assert len(found) == 1


def test_an_oblong_picture_is_judged_by_its_worst_part(tmp_path: Path) -> None:
    checkers.marqo(tmp_path)
    checker = Marqo(tmp_path, device="cpu")
    parts = pictures(3, size=(64, 64))
    alone = [checker.check(part)[0].score for part in parts]
    together = checker.check(np.concatenate(parts, 1))[0].score
    assert together == pytest.approx(max(alone), abs=1e-4)


def test_views_are_normalised() -> None:
    white = np.full((30, 90, 3), 255, np.uint8)
    views = Eye(16, HALF, HALF).see(white)
    assert views.shape == (3, 3, 16, 16)
    assert views.unique().tolist() == [1.0]


def test_shieldgemma_s_yes_is_the_policy_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = checkers.shieldgemma(tmp_path)
    pixels = pictures(1, size=(20, 30))[0]
    found = {each.category: each for each in ShieldGemma(tmp_path, device="cpu").check(pixels)}
    assert set(found) == {"sexual", "violence_graphic", "dangerous"}
    for policy, finding in found.items():
        asked = processor(images=[Image.fromarray(pixels)], policies=[policy.partition("_")[0]], return_tensors="pt")  # type: ignore[operator]
        with torch.inference_mode():
            logits = model.model(**asked).logits[0, -1]  # type: ignore[operator, union-attr]
        yes, no = float(logits[7]), float(logits[8])
        assert finding.score == pytest.approx(1 / (1 + np.exp(no - yes)), abs=2e-2)
        assert abs(finding.score - 0.5) > 0.03, "so that Yes and No could not be mistaken for one another here"
    assert len({each.score for each in found.values()}) > 1, "each policy is asked by itself"
    (tmp_path / "model.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(CorruptFile):
        ShieldGemma(tmp_path, device="cpu").check(pixels)


def test_shieldgemma_is_used_only_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not ShieldGemma.card.by_itself
    monkeypatch.setattr("limner.safety.checks.shieldgemma.find_spec", lambda name: None)
    assert "[models]" in (ShieldGemma().missing() or "")
