"""Which files of a checkpoint are needed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from limner.errors import CorruptFile, ModelNotFound, UnsafeFile
from limner.models.resolving.layout import SDXL, by_index, needed, present_in
from tests.unit.models.tiny import files

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


def test_a_family_without_a_table_is_laid_out_as_its_index_says() -> None:
    index: Mapping[str, object] = {
        "_class_name": "SanaPipeline",
        "feature_extractor": [None, None],
        "image_processor": ["transformers", "CLIPImageProcessor"],
        "scheduler": ["diffusers", "DPMSolverMultistepScheduler"],
        "text_encoder": ["transformers", "Gemma2Model"],
        "tokenizer": ["transformers", "GemmaTokenizerFast"],
        "transformer": ["diffusers", "SanaTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderDC"],
    }
    layout = by_index(index)
    assert {part.name: (part.kind, part.stem) for part in layout.parts} == {
        "image_processor": ("processor", ""),
        "scheduler": ("scheduler", ""),
        "text_encoder": ("weights", "model"),
        "tokenizer": ("tokenizer", ""),
        "transformer": ("weights", "diffusion_pytorch_model"),
        "vae": ("weights", "diffusion_pytorch_model"),
    }
    wanted = {
        *("model_index.json", "image_processor/preprocessor_config.json", "scheduler/scheduler_config.json"),
        *("text_encoder/config.json", "text_encoder/model.safetensors", "tokenizer/tokenizer.json"),
        *("transformer/config.json", "transformer/diffusion_pytorch_model.bf16.safetensors"),
        *("vae/config.json", "vae/diffusion_pytorch_model.safetensors"),
    }
    there = wanted | {"README.md", "transformer/modeling.py", "tokenizer/tokenizer.py", "vae/extra.json"}
    need = needed(there, no_json, "x", layout)
    assert set(need.names) == wanted
    assert need.variants["transformer"] == "bf16"
    for name in wanted - {"model_index.json"}:
        with pytest.raises(ModelNotFound, match=name.split("/")[0]):
            needed(there - {name}, no_json, "x", layout)


def test_parts_that_an_index_leaves_out_are_not_needed() -> None:
    refiner = {part.name: ["diffusers", "X"] for part in SDXL.parts} | {"text_encoder": [None, None]}
    del refiner["tokenizer"]
    names = {part.name for part in present_in(refiner, SDXL).parts}
    assert names == {"text_encoder_2", "tokenizer_2", "unet", "vae", "scheduler"}
