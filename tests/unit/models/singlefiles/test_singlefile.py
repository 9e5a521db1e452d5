"""The published single files, at their real sizes: recognised by names and shapes, and read whole.

Files are sparse (a header and a length), networks live on the meta device: names and shapes, no weights.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
import transformers

from limner.errors import CorruptFile, LimnerError, MismatchedWeights, ModelNotFound, UnsafeFile
from limner.models.inspect import read_header
from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.models.nets.unet import UNet, UNetConfig
from limner.models.singlefiles import singlefile
from limner.models.stored import pieces
from tests import singlefiles
from tests.unit.models.nets import test_published as published

BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "I64": 8}
Shapes = dict[str, tuple[int, ...]]


def sparse(path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "F16", **metadata: str) -> Path:
    """A safetensors file of these tensors whose values are holes: they read as zero and take no disk."""
    entries: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * BYTES[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    header = json.dumps(entries).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + end)
    return path


def shapes_of(unet: dict[str, Any], vae: dict[str, Any], first: Any, second: Any = None) -> Shapes:
    """A whole file's names and shapes, from published configs through diffusers' own classes."""
    with torch.device("meta"):
        parts: dict[str, Any] = {
            "unet": diffusers.UNet2DConditionModel.from_config(unet),
            "vae": diffusers.AutoencoderKL.from_config(vae),
            "text_encoder": first and transformers.CLIPTextModel(transformers.CLIPTextConfig(**first)),
        }
        if second is not None:
            parts["text_encoder_2"] = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**second))
        state = singlefiles.whole(SimpleNamespace(**parts))
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


SD1 = (published.SD15_UNET, published.SD15_VAE, published.SD15_CLIP)
SD2 = (published.SD21_UNET, published.SD15_VAE, published.SD21_CLIP)
XL_VAE = published.SD15_VAE | {"scaling_factor": 0.13025}
XL = (published.SDXL_UNET, XL_VAE, published.SD15_CLIP, published.SDXL_CLIP_2)
REFINER = (published.SDXL_REFINER, XL_VAE, None, published.SDXL_CLIP_2)
INPAINTING = (published.SD15_INPAINTING, *SD1[1:])
XL_INPAINTING = (published.SDXL_UNET | {"in_channels": 9}, *XL[1:])
SD2_CLIP = published.SD21_CLIP | {"projection_dim": 1024}

KNOWN: Mapping[str, tuple[tuple[Any, ...], str, str, int]] = {
    "sd1": (SD1, "Stable Diffusion 1", "StableDiffusionPipeline", 1131),
    "sd1-inpainting": (INPAINTING, "Stable Diffusion 1", "StableDiffusionInpaintPipeline", 1131),
    "sd2": (SD2, "Stable Diffusion 2", "StableDiffusionPipeline", 1228),
    "sdxl": (XL, "Stable Diffusion XL", "StableDiffusionXLPipeline", 2515),
    "sdxl-inpainting": (XL_INPAINTING, "Stable Diffusion XL", "StableDiffusionXLInpaintPipeline", 2515),
    "refiner": (REFINER, "the refiner of Stable Diffusion XL", "StableDiffusionXLImg2ImgPipeline", 1858),
}
"""Configs, title, pipeline, and tensors in the file without what training leaves: 2515 has the published SDXL file."""

_cache: dict[str, Shapes] = {}


def known(name: str) -> Shapes:
    if name not in _cache:
        made = shapes_of(*KNOWN[name][0])
        # The helper draws the projection at the width of its tiny models; the published tower projects to its own.
        _cache[name] = {
            k: (1280, 1280) if k.endswith("text_projection") and "embedders" in k else v for k, v in made.items()
        }
    return dict(_cache[name])


@pytest.mark.parametrize("name", KNOWN)
def test_every_parameter_has_its_tensor(tmp_path: Path, name: str) -> None:
    _configs, title, pipeline, count = KNOWN[name]
    stored = known(name)
    assert len(stored) == count
    path = sparse(tmp_path / "x.safetensors", stored)
    single = singlefile.read(path)
    assert single.architecture.title == title
    assert single.configs["model_index.json"]["_class_name"] == pipeline
    assert single.extra == ()
    tensors = read_header(path).tensors
    for part in ("unet", "vae", *single.architecture.texts):
        with torch.device("meta"):
            module = build(part, single.configs[f"{part}/config.json"])
        wanted = {k: tuple(v.shape) for k, v in module.state_dict().items()}
        held = {k: piece.shape for k, piece in pieces(part, tensors)}
        assert held.keys() == wanted.keys()
        assert all(held[k] in (shape, (*shape, 1, 1)) for k, shape in wanted.items())


def build(part: str, config: Mapping[str, object]) -> torch.nn.Module:
    if part == "unet":
        return UNet(UNetConfig.from_json(config))
    if part == "vae":
        return Autoencoder(AutoencoderConfig.from_json(config))
    return ClipText(ClipTextConfig.from_json(config))


@pytest.mark.parametrize("name", KNOWN)
def test_configs_are_those_published(tmp_path: Path, name: str) -> None:
    """Where a file cannot say it (upcast_attention, sizes of training), our networks do not depend on it."""
    unet, vae, first, *rest = KNOWN[name][0]
    configs = singlefile.read(sparse(tmp_path / "x.safetensors", known(name))).configs
    ours = UNetConfig.from_json(configs["unet/config.json"])
    theirs = replace(UNetConfig.from_json(unet), upcast_attention=False, sample_size=ours.sample_size)
    if "DownBlock2D" in theirs.down_block_types:  # how deep a block without attention would be, nobody asks
        theirs = replace(theirs, transformer_layers_per_block=ours.transformer_layers_per_block)
        asked = [i for i, kind in enumerate(theirs.down_block_types) if kind.startswith("CrossAttn")]
        depths = UNetConfig.from_json(unet).transformer_layers_per_block
        assert all(ours.transformer_layers_per_block[i] == depths[i] for i in (*asked, -1))
    assert ours == theirs
    assert replace(AutoencoderConfig.from_json(configs["vae/config.json"]), sample_size=None) == replace(
        AutoencoderConfig.from_json(vae), sample_size=None
    )
    for part, config in (("text_encoder", first), *(("text_encoder_2", each) for each in rest)):
        if config is not None:
            found = ClipTextConfig.from_json(configs[f"{part}/config.json"])
            told = ClipTextConfig.from_json(config)
            assert replace(found, eos_token_id=told.eos_token_id) == replace(told, projection_dim=found.projection_dim)


def test_names_as_others_know_them() -> None:
    """Names by which other programs tell these files apart, and some that only the numbering of blocks can explain."""
    sd1, sd2, xl, refiner = (known(name).keys() for name in ("sd1", "sd2", "sdxl", "refiner"))
    unet = "model.diffusion_model."
    assert {f"{unet}output_blocks.11.0.skip_connection.weight", f"{unet}output_blocks.2.1.conv.weight"} <= sd1
    assert {f"{unet}output_blocks.5.2.conv.weight", f"{unet}input_blocks.9.0.op.weight"} <= sd1
    assert f"{unet}output_blocks.11.1.transformer_blocks.0.norm1.bias" in sd2
    assert f"{unet}input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight" in sd2
    assert "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias" in xl
    assert f"{unet}input_blocks.8.1.transformer_blocks.9.ff.net.0.proj.weight" in xl
    assert f"{unet}label_emb.0.0.weight" in xl
    assert "conditioner.embedders.0.model.transformer.resblocks.9.mlp.c_proj.bias" in refiner
    assert "first_stage_model.decoder.up.1.block.0.nin_shortcut.weight" in sd1
    assert "cond_stage_model.transformer.text_model.embeddings.position_ids" in sd1


def test_v_prediction_by_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    stored = known("sdxl")
    assert singlefile.read(sparse(path, stored)).trained.prediction == "epsilon"
    learnt = singlefile.read(sparse(path, {**stored, "v_pred": (0,), "ztsnr": (0,)})).trained
    assert (learnt.prediction, learnt.assumed) == ("v_prediction", False)
    assert learnt.scheduler["rescale_betas_zero_snr"] is True
    told = singlefile.read(sparse(path, stored, **{"modelspec.prediction_type": "v"})).trained
    assert (told.prediction, told.source) == ("v_prediction", "its metadata")


@pytest.mark.parametrize(("value", "prediction", "side"), [(0.2, "v_prediction", 96), (0.02, "epsilon", 64)])
def test_stable_diffusion_2_by_the_spread_of_a_norm(tmp_path: Path, value: float, prediction: str, side: int) -> None:
    path = sparse(tmp_path / "x.safetensors", known("sd2"))
    name = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
    info = read_header(path).tensors[name]
    with path.open("r+b") as file:
        start = 8 + int.from_bytes(file.read(8), "little") + info.start
        file.seek(start)
        file.write(struct.pack("<320e", *([value, -value] * 160)))
    learnt = singlefile.read(path).trained
    assert (learnt.prediction, learnt.side, learnt.assumed) == (prediction, side, True)


def test_a_base_file_says_it_by_its_steps(tmp_path: Path) -> None:
    learnt = singlefile.read(sparse(tmp_path / "x.safetensors", known("sd2"), global_step="875000")).trained
    assert (learnt.prediction, learnt.side, learnt.assumed) == ("epsilon", 64, False)


YAML = "model:\n  params:\n    parameterization: {v}\n    unet_config:\n      params:\n        context_dim: {dim}\n"


def test_a_yaml_beside_it_says_it(tmp_path: Path) -> None:
    path = sparse(tmp_path / "x.safetensors", known("sd2"))
    path.with_suffix(".yaml").write_text(YAML.format(v='"v"', dim=1024))
    learnt = singlefile.read(path).trained
    assert (learnt.prediction, learnt.assumed) == ("v_prediction", False)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (YAML.format(v="v", dim=768), MismatchedWeights),
        (YAML.format(v="x0", dim=1024), MismatchedWeights),
        ("linear_start: 7\n", CorruptFile),
        ("#" * 100_000, CorruptFile),
    ],
)
def test_a_yaml_of_another_model_is_refused(tmp_path: Path, text: str, error: type[LimnerError]) -> None:
    path = sparse(tmp_path / "x.safetensors", known("sd2"))
    path.with_suffix(".yaml").write_text(text)
    with pytest.raises(error, match=r"x\.yaml"):
        singlefile.read(path)


def test_a_yaml_is_never_built(tmp_path: Path) -> None:
    path = sparse(tmp_path / "x.safetensors", known("sd1"))
    path.with_suffix(".yaml").write_text(
        "a: !!python/object/apply:os.system ['touch /tmp/limner-was-here']\n\0\xff: &x [*x]"
    )
    assert singlefile.read(path).trained.prediction == "epsilon"


def test_eight_bits_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MismatchedWeights, match="8 bits") as caught:
        singlefile.read(sparse(tmp_path / "x.safetensors", known("sd1"), "F8_E4M3"))
    assert "float16" in caught.value.hint


UNET, TEXT = "model.diffusion_model.", "cond_stage_model."


def without(name: str, *prefixes: str) -> Shapes:
    return {each: shape for each, shape in known(name).items() if not each.startswith(prefixes)}


def inputs(count: int) -> Shapes:
    return known("sd1") | {f"{UNET}input_blocks.0.0.weight": (320, count, 3, 3)}


@pytest.mark.parametrize(
    ("shapes", "match"),
    [
        (lambda: without("sd1", TEXT), "without a text encoder"),
        (lambda: inputs(8), "InstructPix2Pix"),
        (lambda: inputs(5), "depth"),
        (lambda: inputs(13), "13 input channels"),
        (lambda: known("sdxl") | {"edm_mean": (4,)}, "EDM"),
        (lambda: known("sd2") | {f"{UNET}label_emb.0.0.weight": (1280, 2048)}, "unCLIP"),
        (lambda: without("sd1", f"{UNET}middle_block.1"), "pruned"),
        (lambda: without("sd1", f"{UNET}input_blocks.0."), "conv_in"),
        (
            lambda: {k: (v[0], 1024) if k.endswith("attn2.to_k.weight") else v for k, v in known("sd1").items()},
            "text states 1024 wide, its text encoder makes 768",
        ),
    ],
)
def test_what_cannot_be_drawn_with_says_why(tmp_path: Path, shapes: Any, match: str) -> None:
    with pytest.raises((MismatchedWeights, ModelNotFound), match=match) as caught:
        singlefile.read(sparse(tmp_path / "x.safetensors", shapes()))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("names", "match", "hint"),
    [
        (["lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight"], "LoRA", "--lora"),
        (["unet.down_blocks.0.attentions.0.to_q.lora_A.weight"], "LoRA", "--lora"),
        (["down.weight.hada_w1_a"], "LoRA", "--lora"),
        (["encoder.down.0.block.0.conv1.weight", "decoder.conv_in.weight"], "VAE", "--vae"),
        (["first_stage_model.decoder.conv_in.weight"], "VAE", "--vae"),
        (
            ["encoder.down_blocks.0.resnets.0.conv1.weight", "decoder.up_blocks.0.resnets.0.conv1.weight"],
            "VAE",
            "--vae",
        ),
        (["emb_params"], "textual inversion", "embeddings"),
        (["clip_l", "clip_g"], "textual inversion", "embeddings"),
        (["control_model.input_blocks.0.0.weight"], "ControlNet", "later"),
        (["controlnet_cond_embedding.conv_in.weight"], "ControlNet", "later"),
        (["conv_in.weight", "down_blocks.0.resnets.0.conv1.weight"], "diffusers layout", "whole diffusers folder"),
        (["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"], "Stable Diffusion 3", "repo"),
        (["model.diffusion_model.double_blocks.0.img_attn.qkv.weight"], "FLUX", "repo"),
        (["text_model.encoder.layers.0.mlp.fc1.weight"], "text encoder", "whole"),
        (["model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"], "upscaler", "--upscale"),
        (["something", "else"], "no checkpoint that Limner knows", "diffusers repo"),
    ],
)
def test_other_files_are_called_by_their_name(tmp_path: Path, names: list[str], match: str, hint: str) -> None:
    path = sparse(tmp_path / "model.safetensors", dict.fromkeys(names, (2, 2)))
    with pytest.raises((ModelNotFound, MismatchedWeights), match=match) as caught:
        singlefile.read(path)
    assert hint in caught.value.hint


def test_half_a_download_and_a_pickle_in_disguise(tmp_path: Path) -> None:
    path = sparse(tmp_path / "x.safetensors", known("sd1"))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(CorruptFile, match="truncated"):
        singlefile.read(path)
    path.write_bytes(b"\x80\x02cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnsafeFile, match="pickle"):
        singlefile.read(path)
