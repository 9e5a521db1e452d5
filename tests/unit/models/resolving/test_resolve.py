"""From names to files, without any network: the socket itself is forbidden here."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from limner.config import Settings
from limner.errors import LimnerError, MismatchedWeights, ModelNotFound, OfflineError, UnknownName, UnsafeFile
from limner.models.catalog import Card, Catalog
from limner.models.resolving.resolve import download_bytes, pinned, resolve
from tests.unit.models import tiny


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return Settings(tmp_path, tmp_path, tmp_path / "cache")


CATALOG = Catalog.load()


def test_pocket_needs_no_network_and_is_hashed(settings: Settings) -> None:
    found = resolve("pocket", settings, CATALOG)
    assert found.card.name == found.ref.name == "pocket"
    assert found.ref.commit is None
    assert set(found.ref.files) == set(found.files.paths)
    shards = [name for name in found.files.paths if name.startswith("unet/") and name.endswith(".safetensors")]
    assert shards
    for name in shards:
        right = hashlib.sha256(found.files.paths[name].read_bytes()).hexdigest()
        assert found.ref.files[name] == f"sha256:{right}"
    assert download_bytes("pocket", settings, CATALOG) == 0


def test_a_folder_is_a_model(tmp_path: Path, settings: Settings) -> None:
    folder = tiny.write(tmp_path / "mine", tiny.files())
    found = resolve(str(folder), settings, CATALOG)
    assert found.files.root == folder
    assert found.card.family == "sd"
    assert (found.card.width, found.card.prediction, found.card.verified) == (64, "epsilon", "never checked")
    assert "README.md" not in found.ref.files
    assert resolve(found.ref.name, settings, CATALOG).ref == found.ref


def test_the_same_bytes_elsewhere_are_the_same_weights(tmp_path: Path, settings: Settings) -> None:
    one, two, other = (
        resolve(str(tiny.write(tmp_path / name, tiny.files(seed))), settings, CATALOG).ref.weights_hash()
        for name, seed in (("one", 0), ("two", 0), ("other", 1))
    )
    assert one == two != other


def test_a_changed_weight_changes_the_reference(tmp_path: Path, settings: Settings) -> None:
    folder = tiny.write(tmp_path / "mine", tiny.files())
    before = resolve(str(folder), settings, CATALOG).ref.weights_hash()
    (folder / "vae/diffusion_pytorch_model.safetensors").write_bytes(tiny.safetensors(99))
    assert resolve(str(folder), settings, CATALOG).ref.weights_hash() != before


def test_parts_of_different_models_are_refused_before_a_weight_is_read(tmp_path: Path, settings: Settings) -> None:
    def said(unet: dict[str, int], text: dict[str, int], vae: dict[str, object]) -> Path:
        parts = {"unet": unet, "text_encoder": text, "vae": vae}
        return tiny.write(
            tmp_path / "mine",
            tiny.files() | {f"{part}/config.json": json.dumps(config).encode() for part, config in parts.items()},
        )

    vae: dict[str, object] = {"block_out_channels": [8, 8], "latent_channels": 4}
    folder = said({"cross_attention_dim": 768, "out_channels": 4}, {"hidden_size": 768}, vae)
    assert resolve(str(folder), settings, CATALOG).card.family == "sd"
    folder = said({"cross_attention_dim": 1024}, {"hidden_size": 768}, vae)
    with pytest.raises(MismatchedWeights, match="1024 wide, its text encoder makes 768"):
        resolve(str(folder), settings, CATALOG)
    folder = said({"out_channels": 16}, {"hidden_size": 768}, vae)
    with pytest.raises(MismatchedWeights, match="16 channels, its autoencoder takes 4"):
        resolve(str(folder), settings, CATALOG)


def test_a_name_in_a_record_does_not_tell_the_users_name(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tiny.write(tmp_path / "models" / "mine", tiny.files())
    found = resolve("~/models/mine", settings, CATALOG)
    assert found.ref.name == "~/models/mine"


def test_a_card_may_name_a_folder(tmp_path: Path, settings: Settings) -> None:
    folder = tiny.write(tmp_path / "mine", tiny.files())
    catalog = Catalog.load([Card(name="mine", title="Mine", family="sd", folder=str(folder))])
    assert resolve("Mine", settings, catalog).ref.name == "mine"


def test_reduced_weights_are_announced(tmp_path: Path, settings: Settings) -> None:
    content = tiny.files()
    content["unet/diffusion_pytorch_model.fp16.safetensors"] = content.pop("unet/diffusion_pytorch_model.safetensors")
    found = resolve(str(tiny.write(tmp_path / "half", content)), settings, CATALOG)
    assert [notice.code for notice in found.notices] == ["reduced-weights"]
    assert "unet" in found.notices[0].message


@pytest.mark.parametrize(
    "name", ["pokcet", "", "a/b/c", "org/na me", "org/../x", "x" * 9000, "a\0b", "~nobody-here/x/y"]
)
def test_unknown_names_are_refused_without_asking_anyone(name: str, settings: Settings) -> None:
    with pytest.raises((UnknownName, ModelNotFound)):
        resolve(name, settings, CATALOG)


def test_the_nearest_name_is_offered(settings: Settings) -> None:
    with pytest.raises(UnknownName) as caught:
        resolve("pokcet", settings, CATALOG)
    assert "pocket" in caught.value.hint


def test_a_pickle_file_is_refused_with_the_way_to_convert(tmp_path: Path, settings: Settings) -> None:
    for name, data in (("a.ckpt", b"\x80\x02}q\x00."), ("b.pt", b"PK\x03\x04"), ("c.bin", b"whatever")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnsafeFile) as caught:
            resolve(str(tmp_path / name), settings, CATALOG)
        assert "convert" in caught.value.hint


@pytest.mark.parametrize("name", ["gone.ckpt", "gone.safetensors", "./gone", "gone/../gone/x/"])
def test_missing_files_are_not_found(tmp_path: Path, settings: Settings, name: str) -> None:
    with pytest.raises((ModelNotFound, UnknownName)):
        resolve(str(tmp_path / name), settings, CATALOG)


def test_a_folder_of_pickles_is_refused_by_name(tmp_path: Path, settings: Settings) -> None:
    content = tiny.files()
    content["vae/diffusion_pytorch_model.bin"] = content.pop("vae/diffusion_pytorch_model.safetensors")
    with pytest.raises(UnsafeFile, match=r"vae/diffusion_pytorch_model\.bin"):
        resolve(str(tiny.write(tmp_path / "old", content)), settings, CATALOG)


def test_folders_can_be_forbidden(tmp_path: Path, settings: Settings) -> None:
    folder = tiny.write(tmp_path / "mine", tiny.files())
    with pytest.raises(UnknownName):
        resolve(str(folder), settings, CATALOG, folders=False)


@pytest.mark.parametrize("name", ["org/name", "sd15", "sd-turbo@v1"])
def test_offline_forbids_what_is_not_here(name: str, settings: Settings) -> None:
    with pytest.raises(OfflineError) as caught:
        resolve(name, settings, CATALOG, offline=True)
    assert name.split("@")[0] in caught.value.hint


def in_cache(hub: Path, content: dict[str, bytes], commit: str) -> None:
    """As the hub's library lays files out: blobs named by hash, linked from a snapshot."""
    root = hub / "models--org--name"
    blobs = root / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        blob = blobs / (hashlib.sha256(data).hexdigest() if name.endswith(".safetensors") else git)
        blob.write_bytes(data)
        link = root / "snapshots" / commit / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    (root / "refs").mkdir(exist_ok=True)
    (root / "refs" / "main").write_text(commit)


COMMIT = "c" * 40


def test_a_cached_model_needs_no_network(tmp_path: Path, settings: Settings) -> None:
    in_cache(tmp_path / "hub", tiny.files(), COMMIT)
    offline = resolve("org/name", settings, CATALOG, offline=True)
    assert offline.ref.commit == COMMIT
    assert pinned(offline.ref) == f"org/name@{COMMIT}"
    online = resolve(pinned(offline.ref), settings, CATALOG)  # a whole commit cannot change: nobody is asked
    assert online.ref.files == offline.ref.files


@pytest.mark.parametrize("name", ["unet/diffusion_pytorch_model.safetensors", "unet/config.json"])
def test_a_cached_file_that_was_changed_is_thrown_out(tmp_path: Path, settings: Settings, name: str) -> None:
    in_cache(tmp_path / "hub", tiny.files(), COMMIT)
    link = tmp_path / "hub" / "models--org--name" / "snapshots" / COMMIT / name
    link.resolve().write_bytes(tiny.safetensors(77) if name.endswith("safetensors") else b'{"sample_size": 16}')
    with pytest.raises(LimnerError, match="hashes differ"):
        resolve("org/name", settings, CATALOG, offline=True)
    assert not link.exists()
    with pytest.raises(OfflineError, match="only in part"):
        resolve("org/name", settings, CATALOG, offline=True)


def test_resolving_imports_neither_torch_nor_the_hubs_library() -> None:
    code = (
        "import sys; from limner.config import Settings; from limner.models.catalog import Catalog\n"
        "from limner.models.machine import probe; from limner.models.resolving.resolve import resolve\n"
        "resolve('pocket', Settings.load(), Catalog.load()); probe()\n"
        "print([m for m in ('torch', 'diffusers', 'transformers', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
