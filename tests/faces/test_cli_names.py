"""Names that are something else than was said: a LoRA for a model, a picture for a checkpoint, a slip of the finger."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from limner.cli.models_named import SHOWN
from tests.faces.calling import Limner, assert_refused, limner_in, said


@pytest.fixture
def limner(own_home: Path) -> Limner:
    return limner_in(own_home)


@pytest.fixture
def linked(own_home: Path) -> None:
    for folder, name in (("loras", "wobble"), ("embeddings", "zorblax")):
        path = own_home / "models" / folder / f"{name}.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")


def test_a_linked_lora_is_no_model_and_the_line_says_what_it_is(limner: Limner, linked: None) -> None:
    assert_refused(limner("-m", "wobble", "a fox"), 2, "'wobble' is a LoRA; use --lora wobble")


def test_an_unknown_model_is_answered_with_a_few_names(limner: Limner) -> None:
    result = limner("-m", "qqqqqqqq", "a fox")
    assert_refused(result, 2, "no model called", "more: limner models list")
    assert result.stderr.count(",") <= SHOWN + 1


def test_a_weight_that_is_no_number(limner: Limner, linked: None) -> None:
    assert_refused(limner("a fox", "--lora", "wobble:abc"), 2, "'abc' is no number")
    assert_refused(limner("a fox", "--lora", "nofile.safetensors"), 3, "there is no file nofile.safetensors")


def test_upscalers_nearly_named(limner: Limner) -> None:
    result = limner("a fox", "--hires", "1.5", "--hires-upscaler", "lanzcos")
    assert_refused(result, 2, "did you mean lanczos")
    assert_refused(limner("a fox", "--hires", "1.5", "--hires-upscaler", "latnt"), 2, "did you mean latent")


def test_a_picture_under_a_models_name_is_called_one(limner: Limner, tmp_path: Path) -> None:
    path = tmp_path / "jpg.safetensors"
    Image.new("RGB", (32, 32)).save(path, "JPEG")
    assert_refused(limner("-m", str(path), "a fox"), 3, "is a picture (JPEG)")
    picture = tmp_path / "in.png"
    Image.new("RGB", (32, 32)).save(picture)
    assert_refused(limner("upscale", str(picture), "--with", str(path)), 3, "is a picture (JPEG)")


def test_enlarging_names_no_seed(limner: Limner, tmp_path: Path) -> None:
    picture = tmp_path / "in.png"
    Image.new("RGB", (32, 32)).save(picture)
    result = limner("upscale", str(picture))
    assert result.exit_code == 0, result.stderr
    assert "64x64" in result.stderr
    assert "seed" not in result.stderr


def test_lint_knows_linked_textual_inversions(limner: Limner, linked: None) -> None:
    found = said(limner("lint", "a red fox, zorblax", "--json"))
    assert isinstance(found, dict)
    assert found["textual_inversions"] == ["zorblax"]
    assert "zorblax" not in found["unknown"]
    assert "yours: zorblax" in limner("lint", "a red fox, zorblax").stdout


def test_offline_the_way_on_costs_config_files_only(limner: Limner) -> None:
    result = limner("plan", "-m", "sdxl", "--offline")
    assert "limner plan -m sdxl fetches its config files alone" in result.stderr


@pytest.mark.parametrize(("mark", "title"), [(None, "AUTOMATIC1111's web UI"), ("installer.py", "SD.Next")])
def test_a_folder_like_a1111s_is_taken_for_a1111s(limner: Limner, tmp_path: Path, mark: str | None, title: str) -> None:
    root = tmp_path / "webui"
    for folder, name in (("Stable-diffusion", "one"), ("embeddings", "two")):
        (root / "models" / folder).mkdir(parents=True)
        (root / "models" / folder / f"{name}.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    if mark:
        (root / mark).touch()
    assert f"({title})" in limner("models", "link", str(root)).stdout


def test_show_says_whether_it_fits_in_the_lists_words(limner: Limner) -> None:
    lines = limner("models", "show", "pocket").stdout.splitlines()
    (fits,) = (line for line in lines if line.split()[:1] == ["fits"])
    assert fits.split()[1] in ("yes:", "no:")


def test_a_lock_may_be_named_with_o(limner: Limner, tmp_path: Path) -> None:
    assert limner("models", "lock", "pocket", "-o", str(tmp_path / "x.lock")).exit_code == 0
    assert (tmp_path / "x.lock").is_file()
