"""CLIP's tokenizer for files that bring none: from beside, other programs, the hub's cache, the hub at a commit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from limner.config import Settings
from limner.errors import LimnerError, MismatchedWeights, NetworkError, OfflineError
from limner.models import tokenizer
from limner.models.catalog import Catalog
from limner.models.hub.cache import RepoName
from limner.models.resolving.resolve import resolve
from limner.models.singlefiles import clip_words
from limner.models.stored import part_bytes
from tests import singlefiles
from tests.checkpoints import POCKET, VOCABULARY
from tests.hub_server import HubServer

CATALOG = Catalog.load()
LETTERS = "!abcdefghijklmnopqrstuvwxyz"


def vocabulary() -> dict[str, bytes]:
    """A byte-level vocabulary as CLIP's is built: letters, letters that end a word, merges, the two markers."""
    known = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "fo", "fox</w>", "<|startoftext|>", "<|endoftext|>"]
    words = {word: number for number, word in enumerate(known)}
    return {"vocab.json": json.dumps(words).encode(), "merges.txt": b"#version: 0.2\nf o\nfo x</w>\n"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(4)
    place = tmp_path_factory.mktemp("made")
    return singlefiles.write(singlefiles.sdxl(place / "folder"), place / "file" / "x.safetensors")


@pytest.fixture
def lone(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file without anything beside it."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "models" / "checkpoints").mkdir(parents=True)
    path = tmp_path / "models" / "checkpoints" / "x.safetensors"
    path.symlink_to(made)
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, tmp_path, tmp_path / "cache")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.add("openai/clip-vit-large-patch14", {**vocabulary(), "model.safetensors": b"not needed"})
        commit = running.repos["openai/clip-vit-large-patch14"].commit
        monkeypatch.setattr(clip_words, "SOURCE", RepoName("openai/clip-vit-large-patch14", commit))
        yield running


def test_without_any_the_way_to_one_is_said(lone: Path, settings: Settings) -> None:
    with pytest.raises(OfflineError, match=r"x\.safetensors brings no tokenizer") as caught:
        resolve(str(lone), settings, CATALOG, offline=True)
    assert "folder named tokenizer beside the file" in caught.value.hint


def test_the_hub_is_asked_once_and_for_words_only(lone: Path, settings: Settings, server: HubServer) -> None:
    found = resolve(str(lone), settings, CATALOG)
    assert set(server.fetched()) == {"vocab.json", "merges.txt"}
    first, second = (tokenizer.read(found.files, part) for part in ("tokenizer", "tokenizer_2"))
    assert first.encode("fox") == second.encode("fox") == [first.tokenizer.token_to_id("fox</w>")]
    assert first.pad == first.eos
    assert second.pad == second.tokenizer.token_to_id("!") == 0
    assert (first.length, second.length) == (77, 77)
    server.requests.clear()
    again = resolve(str(lone), settings, CATALOG, offline=True)
    assert again.ref == found.ref
    assert server.requests == []


def test_a_hub_out_of_reach_is_said_with_the_other_way(
    lone: Path, settings: Settings, server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NetworkError, match="brings no tokenizer") as caught:
        resolve(str(lone), settings, CATALOG)
    assert "tokenizer beside" in caught.value.hint


@pytest.mark.parametrize(
    "place",
    ["models/checkpoints/tokenizer", "models/checkpoints/x/tokenizer", "models/checkpoints", "comfy/sd1_tokenizer"],
)
def test_where_other_programs_and_people_put_it(tmp_path: Path, lone: Path, settings: Settings, place: str) -> None:
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for name, data in vocabulary().items():
        (tmp_path / place / name).write_bytes(data)
    files = resolve(str(lone), settings, CATALOG, offline=True).files.paths
    assert files["tokenizer/vocab.json"] == files["tokenizer_2/vocab.json"] == tmp_path / place / "vocab.json"


def test_the_cache_of_a_published_model_will_do(tmp_path: Path, lone: Path, settings: Settings) -> None:
    root = tmp_path / "hub" / "models--stable-diffusion-v1-5--stable-diffusion-v1-5"
    folder = root / "snapshots" / ("c" * 40) / "tokenizer"
    folder.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("c" * 40)
    for name, data in vocabulary().items():
        (folder / name).write_bytes(data)
    files = resolve(str(lone), settings, CATALOG, offline=True).files.paths
    assert files["tokenizer/merges.txt"] == folder / "merges.txt"


def test_words_that_the_encoder_does_not_know_are_refused(tmp_path: Path, lone: Path, settings: Settings) -> None:
    words = json.loads(vocabulary()["vocab.json"]) | {f"w{k}": 100 + k for k in range(VOCABULARY)}
    folder = lone.parent / "tokenizer"
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_bytes(vocabulary()["merges.txt"])
    with pytest.raises(MismatchedWeights, match=f"knows {VOCABULARY:,}"):
        resolve(str(lone), settings, CATALOG, offline=True)


def test_settings_that_cannot_be_kept_are_an_error(tmp_path: Path, lone: Path) -> None:
    shutil.copytree(POCKET / "tokenizer", lone.parent / "tokenizer")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LimnerError, match="cannot be written"):
        resolve(str(lone), Settings(tmp_path, tmp_path, tmp_path / "file"), CATALOG, offline=True)


def test_bytes_are_counted_by_part(made: Path) -> None:
    parts = ("unet", "vae", "text_encoder", "text_encoder_2")
    counted = {part: part_bytes(part, made) for part in parts}
    assert all(counted.values())
    assert 0.98 < sum(counted.values()) / made.stat().st_size < 1
