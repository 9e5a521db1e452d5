"""Which files are needed, and which checkpoints are refused for what they bring."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from limner.errors import CorruptFile, ModelError, ModelNotFound, UnsafeFile
from limner.models.layout import family_of, needed
from tests.unit.models.tiny import INDEX, files

NAMES = frozenset(files())
UNET = "unet/diffusion_pytorch_model"


def no_json(name: str) -> Mapping[str, object]:
    raise AssertionError(f"{name} need not be read")


def test_only_what_decides_pixels_is_needed() -> None:
    need = needed(NAMES, no_json, "tiny")
    unneeded = {"README.md", "model_index.json", f"{UNET}.non_ema.safetensors", "safety_checker/pytorch_model.bin"}
    assert set(need.names) == NAMES - unneeded
    assert not any(need.variants.values())


def test_full_precision_is_preferred_and_a_variant_taken_alone() -> None:
    both = NAMES | {f"{UNET}.fp16.safetensors"}
    assert f"{UNET}.fp16.safetensors" not in needed(both, no_json, "tiny").names
    alone = needed(both - {f"{UNET}.safetensors"}, no_json, "tiny")
    assert f"{UNET}.fp16.safetensors" in alone.names
    assert alone.variants["unet"] == "fp16"


def shards(*names: str) -> tuple[frozenset[str], Mapping[str, object]]:
    present = NAMES - {f"{UNET}.safetensors"} | {
        f"{UNET}.safetensors.index.json",
        "unet/a.safetensors",
        "unet/b.safetensors",
    }
    return present, {"weight_map": {f"key{k}": name for k, name in enumerate(names)}}


def test_shards_are_those_its_index_names() -> None:
    present, index = shards("b.safetensors", "a.safetensors", "b.safetensors")
    need = needed(present, lambda _: index, "tiny")
    assert {"unet/a.safetensors", "unet/b.safetensors"} <= set(need.names)


@pytest.mark.parametrize("name", ["../vae/x.safetensors", "/etc/passwd", "a.bin", "..\\x.safetensors", ""])
def test_an_index_cannot_point_elsewhere(name: str) -> None:
    present, index = shards("a.safetensors", name)
    with pytest.raises(UnsafeFile, match="outside its folder"):
        needed(present, lambda _: index, "tiny")


def test_a_missing_shard_is_named() -> None:
    present, index = shards("a.safetensors", "c.safetensors")
    with pytest.raises(ModelNotFound, match=r"unet/c\.safetensors"):
        needed(present, lambda _: index, "tiny")


@pytest.mark.parametrize("index", [{}, {"weight_map": []}, {"weight_map": {}}])
def test_an_index_without_a_map_is_corrupt(index: Mapping[str, object]) -> None:
    with pytest.raises(CorruptFile, match="weight_map"):
        needed(shards()[0], lambda _: index, "tiny")


def test_pickled_weights_are_refused_by_name() -> None:
    present = NAMES - {f"{UNET}.safetensors"} | {f"{UNET}.bin"}
    with pytest.raises(UnsafeFile, match=r"unet only as a pickle.*diffusion_pytorch_model\.bin") as caught:
        needed(present, no_json, "tiny")
    assert "convert" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "unet/config.json",
        "scheduler/scheduler_config.json",
        "tokenizer/merges.txt",
        "vae/diffusion_pytorch_model.safetensors",
    ],
)
def test_a_missing_file_is_named(name: str) -> None:
    with pytest.raises(ModelNotFound, match=name.split("/")[0]):
        needed(NAMES - {name}, no_json, "tiny")


def test_the_family_follows_the_pipeline_class() -> None:
    assert family_of(INDEX, "tiny") == "sd"


@pytest.mark.parametrize(
    "change",
    [
        {"unet": ["my_unet", "MyUNet"]},
        {"unet": ["diffusers_modules.local", "UNet2DConditionModel"]},
        {"safety_checker": ["stable_diffusion", "Other"]},
        {"extra": ["os", "system"]},
        {"extra": ["diffusers", "a.b"]},
        {"_class_name": ["pipeline", "Mine"]},
        {"custom_pipeline": "someone/code"},
    ],
)
def test_custom_code_is_never_accepted(change: dict[str, object]) -> None:
    with pytest.raises(UnsafeFile):
        family_of({**INDEX, **change}, "tiny")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"_class_name": None}, CorruptFile),
        ({"vae": ["diffusers"]}, CorruptFile),
        ({"vae": [1, 2]}, CorruptFile),
        ({"_class_name": "StableDiffusionXLPipeline"}, ModelError),
        ({"vae": ["diffusers", "AsymmetricAutoencoderKL"]}, ModelError),
    ],
)
def test_other_architectures_are_told_apart_from_harm(change: dict[str, object], error: type[ModelError]) -> None:
    with pytest.raises(error) as caught:
        family_of(json.loads(json.dumps({**INDEX, **change})), "tiny")
    assert type(caught.value) is error
