"""Folders of other programs, found and named without copying."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import struct
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.config import Settings
from limner.errors import ConfigError, InvalidRequest, ModelNotFound
from limner.models.links import scan as link_scan
from limner.models.links.layouts import KINDS, layout_of
from limner.models.links.links import Link, Links
from limner.models.links.names import asked, legacy_hash, tensors_hash


def tensors(*names: str, note: str = "") -> bytes:
    entries = {name: {"dtype": "U8", "shape": [1], "data_offsets": [k, k + 1]} for k, name in enumerate(names)}
    header = json.dumps({"__metadata__": {"note": note}, **entries}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(len(names))


LORA = tensors("lora_unet_down.lora_up.weight", "lora_unet_down.lora_down.weight", "lora_unet_down.alpha")
CHECKPOINT = tensors("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.decoder.conv_in.weight")
VAE = tensors("decoder.conv_in.weight", "encoder.conv_in.weight")
EMBEDDING = tensors("emb_params")
UPSCALER = tensors("conv_first.weight", "body.0.rdb1.conv1.weight")

A1111 = {
    "webui.py": b"",
    "models/Stable-diffusion/anime/Nice.safetensors": CHECKPOINT,
    "models/Stable-diffusion/Nice.vae.pt": b"\x80\x02.",
    "models/Stable-diffusion/old.ckpt": b"PK\x03\x04",
    "models/Lora/Detail Tweaker.safetensors": LORA,
    "models/VAE/vae-ft-mse.safetensors": VAE,
    "models/VAE-approx/model.pt": b"\x80\x02.",
    "models/ControlNet/canny.safetensors": CHECKPOINT,
    "models/ESRGAN/4x-Sharp.pth": b"PK\x03\x04",
    "embeddings/bad-hands-5.pt": b"PK\x03\x04",
    "outputs/txt2img/picture.safetensors": LORA,
}
COMFY = {
    "main.py": b"",
    "comfy/model_base.py": b"",
    "models/checkpoints/nice.safetensors": CHECKPOINT,
    "models/loras/sub/detail.safetensors": LORA,
    "models/vae/v.safetensors": VAE,
    "models/embeddings/bad.safetensors": EMBEDDING,
    "models/upscale_models/4x.safetensors": UPSCALER,
    "models/diffusion_models/flux.safetensors": CHECKPOINT,
    "models/text_encoders/t5.safetensors": VAE,
}
INVOKE = {
    "invokeai.yaml": b"",
    "models/sd-1/main/dream/model_index.json": b"{}",
    "models/sd-1/main/dream/unet/diffusion_pytorch_model.safetensors": CHECKPOINT,
    "models/sdxl/main/xl.safetensors": CHECKPOINT,
    "models/sd-1/lora/detail.safetensors": LORA,
    "models/sd-1/embedding/bad.safetensors": EMBEDDING,
    "models/sdxl/vae/fix/model_index.json.txt": b"",
    "models/any/spandrel_image_to_image/4x.safetensors": UPSCALER,
    "models/any/clip_vision/c/model.safetensors": VAE,
}


def lay(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture
def links(tmp_path: Path) -> Links:
    home = tmp_path / "home"
    return Links(Settings(home, home / "data", home / "cache"))


def names(links: Links) -> dict[str, list[str]]:
    return {kind: sorted(links.entries(kind)) for kind in KINDS if links.entries(kind)}


def test_a1111(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path / "webui", A1111)
    assert links.add(root).layout == "a1111"
    assert names(links) == {
        "checkpoint": ["Nice", "old"],
        "lora": ["Detail Tweaker"],
        "embedding": ["bad-hands-5"],
        "vae": ["Nice.vae", "vae-ft-mse"],
        "upscaler": ["4x-Sharp"],
    }


def test_forge_is_told_from_a1111(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path / "forge", {**A1111, "modules_forge/config.py": b"", "models/text_encoder/t5.safetensors": VAE})
    assert links.add(root).layout == "forge"
    assert sorted(links.entries("vae")) == ["Nice.vae", "vae-ft-mse"]


@pytest.mark.parametrize("below", ["", "models"])
def test_comfyui_and_its_models_folder(links: Links, tmp_path: Path, below: str) -> None:
    root = lay(tmp_path / "comfy-root", COMFY)
    assert links.add(root / below).layout == "comfyui"
    assert names(links) == {
        "checkpoint": ["nice"],
        "lora": ["detail"],
        "embedding": ["bad"],
        "vae": ["v"],
        "upscaler": ["4x"],
    }


def test_invokeai_by_its_folders(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path / "invoke", INVOKE)
    assert links.add(root).layout == "invokeai"
    assert names(links) == {
        "checkpoint": ["dream", "xl"],
        "lora": ["detail"],
        "embedding": ["bad"],
        "upscaler": ["4x"],
    }
    assert links.entries("checkpoint")["dream"] == root / "models/sd-1/main/dream"


def test_invokeai_by_its_database(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path / "invoke", {"models/5f3a/model.safetensors": LORA, "models/77aa/x.safetensors": VAE})
    outside = lay(tmp_path / "else", {"mine.safetensors": CHECKPOINT}) / "mine.safetensors"
    (root / "databases").mkdir()
    rows = [
        {"type": "lora", "name": "Detail Tweaker", "path": "5f3a/model.safetensors", "base": "sd-1"},
        {"type": "main", "name": "Mine", "path": str(outside)},
        {"type": "clip_vision", "name": "c", "path": "77aa/x.safetensors"},
        {"type": "vae", "name": "gone", "path": "gone/model.safetensors"},
        {"no": "type"},
    ]
    with closing(sqlite3.connect(root / "databases" / "invokeai.db")) as database, database:
        database.execute("CREATE TABLE models (id TEXT, config TEXT)")
        database.executemany("INSERT INTO models VALUES (?, ?)", [(str(k), json.dumps(r)) for k, r in enumerate(rows)])
        database.execute("INSERT INTO models VALUES ('x', 'not json')")
    assert links.add(root).layout == "invokeai"
    assert dict(links.entries("lora")) == {"Detail Tweaker": root / "models/5f3a/model.safetensors"}
    assert links.find("lora", "detail tweaker") == root / "models/5f3a/model.safetensors"
    assert dict(links.entries("checkpoint")) == {"Mine": outside}


def test_a_database_that_is_none_is_no_fault(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path / "invoke", {**INVOKE, "databases/invokeai.db": b"not a database at all, but long enough" * 99})
    links.add(root)
    assert sorted(links.entries("checkpoint")) == ["dream", "xl"]


def test_loose_files_are_known_by_their_contents(links: Links, tmp_path: Path) -> None:
    loose = {"a": CHECKPOINT, "b": LORA, "c": EMBEDDING, "d": VAE, "e": UPSCALER, "f": tensors("weight"), "g": b"junk"}
    root = lay(tmp_path / "downloads", {f"{name}.safetensors": data for name, data in loose.items()})
    links.add(root)
    assert [list(links.entries(kind)) for kind in KINDS] == [["a"], ["b"], ["c"], ["d"], ["e"]]


def test_one_file_and_one_whose_kind_must_be_said(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path, {"style.safetensors": LORA, "strange.pt": b"\x80\x02."})
    assert links.add(root / "style.safetensors") == Link(root / "style.safetensors", "file")
    with pytest.raises(InvalidRequest, match="do not say what kind") as caught:
        links.add(root / "strange.pt")
    assert "--kind" in caught.value.hint
    links.add(root / "strange.pt", "embedding")
    assert names(links) == {"lora": ["style"], "embedding": ["strange"]}


def test_limners_own_folders_come_first_and_need_no_link(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path / "webui", A1111)
    links.add(root)
    mine = links.own("lora") / "detail tweaker.safetensors"
    lay(links.own("lora"), {mine.name: LORA})
    assert links.find("lora", "Detail Tweaker") == mine
    assert len(links.entries("lora")) == 2
    assert links.find("lora", "Lora/Detail Tweaker") == root / "models/Lora/Detail Tweaker.safetensors"


def test_a_name_taken_twice_stays_within_reach(links: Links, tmp_path: Path) -> None:
    files = {f"models/loras/{folder}/detail.safetensors": LORA + b"" for folder in ("sd15", "sdxl")}
    root = lay(tmp_path / "c", {**COMFY, **files})
    links.add(root)
    found = links.entries("lora")
    assert len(found) == 3
    assert len(set(found.values())) == 3
    assert links.find("lora", "sdxl\\detail.safetensors") == root / "models/loras/sdxl/detail.safetensors"
    for name, path in found.items():
        assert links.find("lora", name) == path


@pytest.mark.parametrize(
    "name", ["nice", "NICE.safetensors", "anime/Nice", "anime\\nice.safetensors", " Nice ", "nice.SafeTensors"]
)
def test_names_as_people_write_them(links: Links, tmp_path: Path, name: str) -> None:
    root = lay(tmp_path / "webui", A1111)
    links.add(root)
    assert links.find("checkpoint", name) == root / "models/Stable-diffusion/anime/Nice.safetensors"
    assert links.find("lora", name) is None


def test_a_name_with_a_hash_has_to_match_it(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path / "webui", A1111)
    links.add(root)
    path = root / "models/Lora/Detail Tweaker.safetensors"
    whole = hashlib.sha256(path.read_bytes()).hexdigest()
    for good in (whole[:10], whole[:10].upper(), whole[:12], whole, legacy_hash(path), tensors_hash(path)[:12]):
        assert links.find("lora", f"Detail Tweaker.safetensors [{good}]") == path
    assert links.find("lora", "Detail Tweaker [0123456789]") is None
    assert links.find("lora", "Detail Tweaker [01234567]") is None


def test_the_hash_decides_between_files_of_one_name(links: Links, tmp_path: Path) -> None:
    other = tensors("lora_unet_x.lora_up.weight", note="other")
    root = lay(tmp_path / "c", {**COMFY, "models/loras/a/x.safetensors": LORA, "models/loras/b/x.safetensors": other})
    links.add(root)
    for folder, data in (("a", LORA), ("b", other)):
        short = hashlib.sha256(data).hexdigest()[:10]
        assert links.find("lora", f"x [{short}]") == root / f"models/loras/{folder}/x.safetensors"


def test_the_tensors_hash_does_not_see_the_metadata(tmp_path: Path) -> None:
    lay(tmp_path, {"a": tensors("x", note="one"), "b": tensors("x", note="another"), "c": tensors("x", "y")})
    assert tensors_hash(tmp_path / "a") == tensors_hash(tmp_path / "b") != tensors_hash(tmp_path / "c")


def test_a_new_file_is_seen_at_once_and_old_folders_are_not_read_again(
    links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay(tmp_path / "c", COMFY)
    past = time.time() - 3600
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        os.utime(folder, (past, past))
    links.add(root)
    links.entries("lora")
    read: list[str] = []
    monkeypatch.setattr(link_scan, "_read", lambda folder: read.append(folder) or ((), ()))  # type: ignore[func-returns-value]
    assert list(links.entries("lora")) == ["detail"]
    assert read == []
    monkeypatch.undo()
    lay(root, {"models/loras/new.safetensors": LORA})
    assert sorted(links.entries("lora")) == ["detail", "new"]


def test_folders_that_go_in_circles_end(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path / "c", COMFY)
    (root / "models/loras/again").symlink_to(root / "models", target_is_directory=True)
    links.add(root)
    assert "detail" in links.entries("lora")


def test_a_folder_with_more_files_than_anybody_has_ends(
    links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay(tmp_path / "big", {f"{k}.safetensors": LORA for k in range(6)})
    monkeypatch.setattr(link_scan, "MAX_FILES", 4)
    links.add(root)
    assert len(links.entries("lora")) == 4


def test_remembered_listed_forgotten(links: Links, tmp_path: Path) -> None:
    odd = lay(tmp_path / 'a "b" \\ ü\x7f\t', {"x.safetensors": LORA})
    plain = lay(tmp_path / "plain", {"y.safetensors": LORA})
    links.add(odd)
    links.add(plain, "lora")
    links.add(plain, "lora")
    assert links.links() == (Link(odd, "folder"), Link(plain, "folder", "lora"))
    assert links.remove(odd).path == odd
    assert (odd / "x.safetensors").exists()
    assert [each.path for each in links.links()] == [plain]
    with pytest.raises(ModelNotFound, match="not linked"):
        links.remove(odd)


def test_a_link_whose_folder_is_gone_is_empty_and_can_be_removed(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path / "gone", {"y.safetensors": LORA})
    links.add(root)
    (root / "y.safetensors").unlink()
    root.rmdir()
    assert dict(links.entries("lora")) == {}
    links.remove(root)
    assert links.links() == ()


@pytest.mark.parametrize("text", ["link = 3", "[[link]]\nkind = 'lora'", "[[link]]\npath = '/x'\nkind = 'cat'", "["])
def test_a_list_that_is_none_is_said(links: Links, text: str) -> None:
    links.file.parent.mkdir(parents=True)
    links.file.write_text(text)
    with pytest.raises(ConfigError, match=r"links\.toml"):
        links.entries("lora")


def test_nothing_and_nowhere_are_refused(links: Links, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidRequest, match="no model was found"):
        links.add(tmp_path / "empty")
    with pytest.raises(ModelNotFound, match="no folder or file"):
        links.add(tmp_path / "nowhere")
    assert links.links() == ()


def test_a_safetensors_twin_stands_for_its_pickle(links: Links, tmp_path: Path) -> None:
    root = lay(tmp_path / "c", {**COMFY, "models/checkpoints/nice.ckpt": b"PK\x03\x04"})
    links.add(root)
    assert dict(links.entries("checkpoint")) == {"nice": root / "models/checkpoints/nice.safetensors"}


@settings(max_examples=60, deadline=None)
@given(st.text("abAB [](){}.\\/ü0-9", min_size=0, max_size=30), st.sampled_from(["", " [0a1b2c3d]", " [0a1b2c3d4e]"]))
def test_a_hash_is_split_off_and_nothing_else(name: str, suffix: str) -> None:
    plain, found = asked(name), asked(name + suffix)
    if suffix:
        assert found.hash == suffix.strip(" []")
        assert found.name == plain.name or plain.hash is not None
    assert asked(found.name).name == found.name or "[" in found.name or "." in found.name


def test_an_own_folder_is_no_program(tmp_path: Path) -> None:
    assert layout_of(lay(tmp_path, {"x.safetensors": LORA})) == "folder"


def test_programs_that_link_at_once_all_find_their_link(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    settings = Settings.load(tmp_path / "home", {})
    files = [tmp_path / f"{k}.safetensors" for k in range(12)]
    for file in files:
        file.write_bytes(LORA)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda file: Links(settings).add(file), files))
    assert {link.path for link in Links(settings).links()} == {file.resolve() for file in files}
