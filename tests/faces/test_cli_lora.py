"""LoRA, textual inversions and VAEs from the command line: by path, by name, in the prompt, and those of no use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from limner.library.metadata import read
from tests.adapters import random_changes, write_kohya
from tests.checkpoints import POCKET
from tests.faces.calling import Limner, assert_refused, limner_in

SMALL = ("--size", "32x32", "--steps", "2", "--seed", "1", "--dtype", "float32")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def limner(home: Path) -> Limner:
    return limner_in(home)


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA for the built-in model."""
    path = tmp_path_factory.mktemp("loras") / "watercolour.safetensors"
    return write_kohya(path, random_changes(POCKET, strength=1.0))


def drawn(limner: Limner, *args: str) -> dict[str, object]:
    result = limner(*args, *SMALL, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_a_file_given_by_path_is_linked_and_has_a_name_from_then_on(limner: Limner, lora: Path) -> None:
    plain = drawn(limner, "a red fox")
    by_path = drawn(limner, "a red fox", "--lora", f"{lora}:0.5")
    by_name = drawn(limner, "a red fox", "--lora", "watercolour:0.5")
    by_tag = drawn(limner, "a red fox <lora:watercolour:0.5>")
    assert by_path["pixel_hash"] == by_name["pixel_hash"] == by_tag["pixel_hash"] != plain["pixel_hash"]
    assert by_path["identity"] == by_tag["identity"] != plain["identity"]
    record = read(Path(str(by_tag["path"]))).record
    assert record is not None
    assert [(each.kind, each.name, each.scale) for each in record.adapters] == [("lora", "watercolour", 0.5)]
    assert not [notice for notice in record.notices if notice.code == "unknown-words"]


def test_replay_finds_the_same_file_by_its_hash(limner: Limner, lora: Path, home: Path) -> None:
    folder = home / "models" / "loras"
    folder.mkdir(parents=True)
    shutil.copy(lora, folder / "one.safetensors")
    picture = str(drawn(limner, "a red fox <lora:one:0.4:0.8>", "--lora", "one:0.1")["id"])
    again = limner("replay", picture)
    assert again.stdout == "identical: the same pixels\n", again.stderr
    (folder / "one.safetensors").rename(folder / "renamed.safetensors")
    assert limner("replay", picture).stdout == "identical: the same pixels\n"
    (folder / "renamed.safetensors").unlink()
    write_kohya(folder / "one.safetensors", random_changes(POCKET, seed=9))
    assert_refused(limner("replay", picture), 3, "'one'", "hash", "limner models link")


def test_an_unknown_name_is_refused_with_near_ones_and_the_folders(limner: Limner, lora: Path, home: Path) -> None:
    assert limner("a fox", "--lora", str(lora), *SMALL).exit_code == 0
    assert_refused(
        limner("a fox", "--lora", "watercolor"), 2, "watercolour", str(home / "models" / "loras"), "1 linked file"
    )
    assert_refused(limner("a fox <lora:oil:1>"), 2, "'oil'")
    assert_refused(limner("a fox", "--lora", "/nowhere/x.safetensors"), 3, "/nowhere/x.safetensors")


def test_tags_that_cannot_be_honoured_are_refused(limner: Limner) -> None:
    assert_refused(limner("a fox <hypernet:x:1>"), 2, "hypernetwork")
    assert_refused(limner("a fox <lora:x:much>"), 2, "'much'")
    assert_refused(limner("a fox <lora::1>"), 2, "names no LoRA")


def test_a_lora_of_another_family_is_refused_by_name(limner: Limner, tmp_path: Path) -> None:
    tensors = {
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": torch.zeros(4, 768),
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": torch.zeros(320, 4),
    }
    path = tmp_path / "sd1.safetensors"
    save_file(tensors, path)
    assert_refused(limner("a fox", "--lora", str(path)), 3, "does not fit pocket", "Stable Diffusion 1")


def test_keys_that_fit_nothing_are_said_and_recorded(limner: Limner, tmp_path: Path) -> None:
    path = write_kohya(tmp_path / "part.safetensors", random_changes(POCKET))
    save_file({**load_file(path), "lora_unet_nowhere.lora_down.weight": torch.zeros(2, 2),
               "lora_unet_nowhere.lora_up.weight": torch.zeros(2, 2)}, path)  # fmt: skip
    made = drawn(limner, "a fox", "--lora", str(path))
    (warning,) = [each for each in made["warnings"] if each["code"] == "lora-keys"]  # type: ignore[attr-defined]
    assert "2 of" in warning["message"]
    assert "lora_unet_nowhere" in warning["message"]


def test_a_word_that_is_an_embedding_is_read_as_its_vectors(limner: Limner, home: Path) -> None:
    folder = home / "models" / "embeddings"
    folder.mkdir(parents=True)
    width = load_file(POCKET / "text_encoder" / "model.safetensors")
    wide = next(t.shape[1] for name, t in width.items() if name.endswith("token_embedding.weight"))
    plain = drawn(limner, "a red glimmer")
    save_file({"emb_params": torch.randn(3, wide, generator=torch.manual_seed(0))}, folder / "glimmer.safetensors")
    made = drawn(limner, "a red (Glimmer:1.2)")
    record = read(Path(str(made["path"]))).record
    assert record is not None
    assert [(each.kind, each.word) for each in record.adapters] == [("embedding", "glimmer")]
    assert drawn(limner, "a red glimmer")["pixel_hash"] != plain["pixel_hash"]
    assert drawn(limner, "a red glimmering")["identity"] != made["identity"]
    save_file({"emb_params": torch.zeros(1, 7)}, folder / "glimmer.safetensors")
    assert_refused(limner("a glimmer"), 3, "'glimmer'", "width 7", str(wide))


def test_an_embedding_that_is_a_pickle_is_refused_with_the_way_to_convert_it(limner: Limner, home: Path) -> None:
    folder = home / "models" / "embeddings"
    folder.mkdir(parents=True)
    torch.save({"string_to_param": {"*": torch.zeros(1, 8)}}, folder / "glimmer.pt")
    assert_refused(limner("a glimmer"), 3, "pickle", "limner models convert")


def test_another_vae_by_path(limner: Limner, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(POCKET / "vae", folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor * 1.05 for name, tensor in load_file(weights).items()}, weights)
    plain, other = drawn(limner, "a fox"), drawn(limner, "a fox", "--vae", str(folder))
    assert plain["pixel_hash"] != other["pixel_hash"]
    record = read(Path(str(other["path"]))).record
    assert record is not None
    assert [each.kind for each in record.adapters] == ["vae"]
    assert limner("replay", str(other["id"])).stdout == "identical: the same pixels\n"
    assert_refused(limner("a fox", "--vae", "nothing-like-it"), 2, "VAE", "nothing-like-it")


def test_inspect_says_what_a_file_is_for_and_how_it_was_trained(limner: Limner, tmp_path: Path, lora: Path) -> None:
    trained = {"ss_sd_model_name": "v1-5.safetensors", "ss_tag_frequency": '{"a": {"fox": 9, "snow": 3}}'}
    changes = random_changes(POCKET)
    path = write_kohya(tmp_path / "fox.safetensors", changes, metadata=trained)
    result = limner("inspect", str(path))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("fox.safetensors: a LoRA\n")
    for line in (
        "rank            4",
        f"keys            {3 * len(changes)}",
        "trained on      v1-5.safetensors",
        "fox, snow",
    ):
        assert line in result.stdout
    save_file({"clip_l": torch.zeros(2, 768), "clip_g": torch.zeros(2, 1280)}, tmp_path / "word.safetensors")
    assert "Stable Diffusion XL" in limner("inspect", str(tmp_path / "word.safetensors")).stdout
    vae = json.loads(limner("inspect", str(POCKET / "vae" / "diffusion_pytorch_model.safetensors"), "--json").stdout)
    assert vae["what"] == "an autoencoder (VAE)"
    (tmp_path / "text.safetensors").write_text("hello")
    assert_refused(limner("inspect", str(tmp_path / "text.safetensors")), 3, "safetensors")


def test_a_file_that_names_its_own_word_is_found_by_that_too(limner: Limner, home: Path) -> None:
    folder = home / "models" / "embeddings"
    folder.mkdir(parents=True)
    save_file({"<cat-toy>": torch.randn(256, generator=torch.manual_seed(0))}, folder / "learned_embeds.safetensors")
    by_word, by_name = drawn(limner, "a red <cat-toy>"), drawn(limner, "a red learned_embeds")
    assert by_word["pixel_hash"] == by_name["pixel_hash"] != drawn(limner, "a red cat-toy")["pixel_hash"]


def test_lines_of_a_file_have_loras_of_their_own(limner: Limner, home: Path, tmp_path: Path, lora: Path) -> None:
    folder = home / "models" / "loras"
    folder.mkdir(parents=True)
    shutil.copy(lora, folder / "one.safetensors")
    (tmp_path / "lines.csv").write_text("prompt,lora\na fox,one:0.5\na fox <lora:one:0.5>,\n")
    result = limner("--from", str(tmp_path / "lines.csv"), *SMALL, "--json")
    assert result.exit_code == 0, result.stderr
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["pixel_hash"] == second["pixel_hash"]


def test_a_refused_file_changes_no_link(limner: Limner, lora: Path) -> None:
    picture = str(drawn(limner, "a red fox", "--lora", str(lora))["id"])
    assert_refused(limner("a red fox", "--vae", str(lora), *SMALL), 2, "a LoRA, not a VAE", "--lora")
    assert limner("replay", picture).stdout == "identical: the same pixels\n"
