"""``limner models link``: other programs' folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.models.links.lock import Lock
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.unit.models.links.test_links import A1111, COMFY, LORA, lay, tensors


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    return limner_in(tmp_path / "home", LIMNER_OFFLINE="1")


def test_link_says_what_it_found(limner: Limner, tmp_path: Path) -> None:
    root = lay(tmp_path / "webui", A1111)
    result = limner("models", "link", str(root))
    assert result.exit_code == 0, result.stderr
    assert "AUTOMATIC1111's web UI" in result.stdout
    assert "2 checkpoints, 1 LoRA, 1 embedding, 2 VAEs, 1 upscaler" in result.stdout
    assert "can run code" in result.stderr
    assert "limner models convert" in result.stderr
    assert "2 checkpoints of yours" in limner("models").stderr


def test_list_and_unlink(limner: Limner, tmp_path: Path) -> None:
    root = lay(tmp_path / "comfy-root", COMFY)
    assert "nothing is linked" in limner("models", "link", "--list").stderr
    (root / "extra_model_paths.yaml").write_text("a111:\n  base_path: /elsewhere\n")
    assert "extra_model_paths.yaml is not read" in limner("models", "link", str(root)).stderr
    assert "ComfyUI" in limner("models", "link").stdout
    text = limner("models", "link", "--list", "--kind", "lora").stdout
    assert "detail" in text
    assert str(root) in text
    found = said(limner("models", "link", "--list", "--json"))
    assert isinstance(found, list)
    assert found[0]["lora"] == ["sub/detail"]
    assert "files are as they were" in limner("models", "unlink", str(root)).stdout
    assert_refused(limner("models", "unlink", str(root)), 3, "not linked")
    assert (root / "models/loras/sub/detail.safetensors").exists()


def test_a_folder_that_went_away_is_said(limner: Limner, tmp_path: Path) -> None:
    root = lay(tmp_path / "gone", {"x.safetensors": LORA})
    limner("models", "link", str(root))
    (root / "x.safetensors").unlink()
    root.rmdir()
    assert "MISSING" in limner("models", "link", "--list").stdout


def test_what_cannot_be_linked(limner: Limner, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_refused(limner("models", "link", str(tmp_path / "empty")), 2, "no model was found", "--kind")
    assert_refused(limner("models", "link", str(tmp_path / "none")), 3, "no folder or file")
    assert_refused(limner("models", "link", str(tmp_path), "--list"), 2, "--list takes no PATH")
    assert_refused(limner("models", "link", str(tmp_path), "--kind", "cat"), 2, "cat")


def test_show_of_a_linked_lora(limner: Limner, tmp_path: Path) -> None:
    path = tmp_path / "Style.safetensors"
    path.write_bytes(LORA)
    limner("models", "link", str(path))
    text = limner("models", "show", "style").stdout
    assert text.startswith("Style: lora")
    assert str(path) in text
    found = said(limner("models", "show", "style", "--json"))
    assert isinstance(found, dict)
    assert (found["kind"], found["bytes"]) == ("lora", len(LORA))


def test_search_finds_what_is_linked(limner: Limner, tmp_path: Path) -> None:
    root = lay(tmp_path / "mine", {"Watercolour.safetensors": tensors("emb_params")})
    limner("models", "link", str(root))
    assert "Watercolour" in limner("models", "search", "water").stdout


def test_a_linked_checkpoint_is_shown_checked_and_locked(limner: Limner, tmp_path: Path) -> None:
    from tests import singlefiles

    folder = tmp_path / "ComfyUI" / "models" / "checkpoints"
    path = singlefiles.write(singlefiles.sd1(tmp_path / "sd1"), folder / "anime" / "Dream v8.safetensors")
    assert "1 checkpoint" in limner("models", "link", str(tmp_path / "ComfyUI")).stdout
    found = said(limner("models", "show", "dream V8", "--json"))
    assert isinstance(found, dict)
    assert (found["here"], found["family"], found["folder"]) == (True, "sd", str(path))
    assert "hash" in limner("models", "show", "anime/dream v8").stdout
    assert "intact" in limner("models", "check", "Dream v8").stdout
    lock = tmp_path / "limner.lock"
    assert limner("models", "lock", "Dream v8", "--out", str(lock)).exit_code == 0
    assert "text_encoder/model.safetensors" in lock.read_text()
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    result = limner("models", "check", "Dream v8")
    assert (result.exit_code, "changed" in result.stdout) == (3, True)
    assert "replace" in result.stderr
    assert_refused(limner("models", "rm", "Dream v8", "--yes"), 2, "unlink")
    assert path.exists()


def test_a_linked_lora_is_locked(limner: Limner, tmp_path: Path) -> None:
    path = tmp_path / "Style.safetensors"
    path.write_bytes(LORA)
    limner("models", "link", str(path))
    lock = tmp_path / "limner.lock"
    assert limner("models", "lock", "style", "pocket", "--out", str(lock)).exit_code == 0
    locked = Lock.read(lock).models
    assert [(ref.name, ref.family) for ref in locked] == [("Style", "lora"), ("pocket", "sd")]
    assert len(locked[0].files) == 1


def test_drawing_with_another_lora_than_the_locked_one_is_refused(limner: Limner, tmp_path: Path) -> None:
    from tests.adapters import random_changes, write_kohya
    from tests.checkpoints import POCKET

    own = tmp_path / "home" / "models" / "loras"
    own.mkdir(parents=True)
    write_kohya(own / "wash.safetensors", random_changes(POCKET))
    limner("models", "lock", "wash", "--out", str(tmp_path / "home" / "limner.lock"))
    draw = ("a red fox <lora:wash:0.5>", "--size", "32", "--steps", "1", "--no-keep", "-o", str(tmp_path / "fox.png"))
    result = limner(*draw)
    assert result.exit_code == 0, result.stderr
    write_kohya(own / "wash.safetensors", random_changes(POCKET, seed=9))
    assert_refused(limner(*draw), 3, "wash: not the lora of limner.lock", "limner models lock wash")
