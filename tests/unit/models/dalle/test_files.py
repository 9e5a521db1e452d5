from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from limner.config import Settings
from limner.errors import InvalidRequest, ModelNotFound, UnsafeFile
from limner.models.catalog import Catalog
from limner.models.dalle import files as dalle_files
from limner.models.dalle.convert import convert
from limner.models.dalle.load import load_dalle
from limner.models.family import Files
from limner.models.resolving.resolve import resolve
from tests.dalle import FIXTURES, OTHER_CONFIG, dalle_tree, files_of, write_other

CPU = torch.device("cpu")


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """The fixtures' two folders alone."""
    for folder in ("model", "vqgan"):
        shutil.copytree(FIXTURES / folder, tmp_path / "both" / folder)
    return tmp_path / "both"


def test_the_two_folders_of_a_checkpoint(both: Path) -> None:
    used = dalle_files.arrange(files_of(both), "here")
    assert used is not None
    assert set(used) == {
        *("model/config.json", "model/flax_model.msgpack", "model/tokenizer.json", "model/enwiki-words-frequency.txt"),
        *("vqgan/config.json", "vqgan/flax_model.msgpack"),
    }


def test_a_model_folder_with_its_vqgan_inside_or_beside(both: Path) -> None:
    inside = both / "model"
    beside = dalle_files.arrange(files_of(inside), "here")
    assert beside is not None
    assert beside["vqgan/config.json"] == both / "vqgan" / "config.json"
    shutil.move(both / "vqgan", inside / "image-decoder")
    within = dalle_files.arrange(files_of(inside), "here")
    assert within is not None
    assert within["vqgan/config.json"] == inside / "image-decoder" / "config.json"


def test_what_is_missing_is_said(both: Path) -> None:
    shutil.rmtree(both / "vqgan")
    with pytest.raises(ModelNotFound, match="no VQGAN") as caught:
        dalle_files.arrange(files_of(both / "model"), "here")
    assert "vqgan_imagenet_f16_16384" in caught.value.hint
    (both / "model" / "tokenizer.json").unlink()
    (both / "model" / "vocab.json").unlink()
    with pytest.raises(ModelNotFound, match=r"tokenizer\.json"):
        dalle_files.arrange(files_of(both), "here")
    (both / "model" / "flax_model.msgpack").rename(both / "model" / "encoder.pt")
    with pytest.raises(UnsafeFile, match=r"encoder\.pt"):
        dalle_files.arrange(files_of(both), "here")


def test_other_folders_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bart"}))
    assert dalle_files.arrange(files_of(tmp_path), "here") is None
    assert dalle_files.arrange({}, "here") is None


def test_min_dalles_files_in_one_folder(tmp_path: Path) -> None:
    for path in (FIXTURES / "min_dalle").glob("*.safetensors"):
        shutil.copyfile(path, tmp_path / path.name)
    for name in ("config.json", "vocab.json", "merges.txt"):
        shutil.copyfile(FIXTURES / "model" / name, tmp_path / name)
    used = dalle_files.arrange(files_of(tmp_path), "here")
    assert used is not None
    assert {"model/encoder.safetensors", "model/vocab.json", "vqgan/detoker.safetensors"} <= set(used)


def test_a_folder_is_resolved_with_its_hashes(both: Path) -> None:
    found = resolve(str(both), Settings.load(), Catalog.load(), offline=True)
    assert (found.card.family, found.ref.family) == ("dalle-mini", "dalle-mini")
    assert set(found.ref.files) == set(found.files.paths)
    assert found.ref.files["model/config.json"].startswith("sha256:")


@pytest.mark.parametrize("name", ["dalle-mini", "dalle-mega"])
def test_the_published_ones_are_known_and_pinned(name: str) -> None:
    card = Catalog.load().get(name)
    assert card.family == "dalle-mini"
    assert card.companion is not None
    assert len(card.companion.partition("@")[2]) == 40
    assert Catalog.load().find(f"dalle-mini/{name}") is card


def test_a_converted_folder_is_the_same_model(tmp_path: Path) -> None:
    source = write_other(tmp_path / "m", dalle_tree(OTHER_CONFIG, dtype="float16", stacked=False))
    out = convert(source, tmp_path / "out")
    before, after = (
        load_dalle(Files(root, files_of(root)), "model", torch.float16, CPU).state_dict() for root in (source, out)
    )
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not list(tmp_path.glob("*.partial"))
    assert not list(out.rglob("*.msgpack"))


def test_converting_never_overwrites_nor_leaves_half(tmp_path: Path) -> None:
    source = write_other(tmp_path / "m", dalle_tree(OTHER_CONFIG))
    with pytest.raises(InvalidRequest, match="exists"):
        convert(source, source)
    whole = (source / "vqgan" / "flax_model.msgpack").read_bytes()
    (source / "vqgan" / "flax_model.msgpack").write_bytes(whole[:-9])
    with pytest.raises(Exception, match="flax_model"):
        convert(source, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "limner-home") == ["m"]


def test_what_is_no_dalle_mini_is_not_converted(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no DALL-E mini"):
        convert(tmp_path, tmp_path / "out")
