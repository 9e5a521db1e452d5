"""Names in LoRA files: every tongue names the same layers, and what fits nothing is said."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from limner.errors import CorruptFile, MismatchedWeights, UnsafeFile
from limner.models.adapters.lora_base import base_of
from limner.models.adapters.lora_file import read_lora
from limner.models.adapters.lora_keys import read_key
from limner.models.adapters.match import match
from limner.models.adapters.targets import compvis_of, flat, flat_names, targets_of
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.models.nets.configs import UNetConfig
from limner.models.nets.unet import UNet
from limner.models.singlefiles.compvis import unet_names
from tests.adapters import (
    KOHYA_XL,
    compvis_name,
    files_at,
    random_changes,
    write_diffusers,
    write_kohya,
    write_peft,
)
from tests.checkpoints import SD1_LIKE, XL_BASE, write, write_xl

LAYER = "text_model_encoder_layers_0"
XL = UNetConfig(
    block_out_channels=(320, 640, 1280),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    layers_per_block=(2, 2, 2),
    transformer_layers_per_block=(1, 2, 10),
    heads=(5, 10, 20),
    cross_attention_dim=2048,
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    projection_class_embeddings_input_dim=2816,
)


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("checkpoints") / "sd1", SD1_LIKE)


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_xl(tmp_path_factory.mktemp("checkpoints") / "xl", XL_BASE)


@cache
def shapes_of(config: UNetConfig | ClipTextConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        state = (UNet(config) if isinstance(config, UNetConfig) else ClipText(config)).state_dict()
    tables = ("token_embedding.weight", "position_embedding.weight")
    weights = {name: tensor for name, tensor in state.items() if name.endswith(".weight") and tensor.ndim in (2, 4)}
    return {n.removesuffix(".weight"): tuple(t.shape) for n, t in weights.items() if not n.endswith(tables)}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("input_blocks_0_0", "conv_in"),
        ("input_blocks_3_0_op", "down_blocks.0.downsamplers.0.conv"),
        ("input_blocks_4_0_skip_connection", "down_blocks.1.resnets.0.conv_shortcut"),
        (
            "input_blocks_4_1_transformer_blocks_1_attn2_to_k",
            "down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_k",
        ),
        (
            "middle_block_1_transformer_blocks_9_ff_net_2",
            "mid_block.attentions.0.transformer_blocks.9.ff.net.2",
        ),
        ("middle_block_2_in_layers_2", "mid_block.resnets.1.conv1"),
        ("output_blocks_2_2_conv", "up_blocks.0.upsamplers.0.conv"),
        (
            "output_blocks_5_1_transformer_blocks_0_ff_net_0_proj",
            "up_blocks.1.attentions.2.transformer_blocks.0.ff.net.0.proj",
        ),
        ("output_blocks_8_0_out_layers_3", "up_blocks.2.resnets.2.conv2"),
        ("time_embed_2", "time_embedding.linear_2"),
        ("label_emb_0_0", "add_embedding.linear_1"),
        ("out_2", "conv_out"),
    ],
)
def test_names_that_trainers_of_xl_write(theirs: str, ours: str) -> None:
    assert flat_names("unet", shapes_of(XL))[theirs] == ours


@pytest.mark.parametrize("config", [XL, UNetConfig(cross_attention_dim=768)], ids=["xl", "sd1"])
def test_the_first_releases_names_are_the_inverse_of_the_single_files_table(config: UNetConfig) -> None:
    layers = shapes_of(config)
    others = {ours: other for other, ours in flat_names("unet", layers).items() if other != flat(ours)}
    dotted = dict(compvis_of(layers))
    back = unet_names([f"{name}.weight" for name in dotted.values()])
    assert {ours: back[f"{theirs}.weight"] for ours, theirs in dotted.items()} == {n: f"{n}.weight" for n in layers}
    assert {flat(theirs) for theirs in dotted.values()} == set(others.values())


def test_no_two_layers_of_the_text_encoder_share_a_name() -> None:
    layers = shapes_of(ClipTextConfig(hidden_size=768, num_hidden_layers=12))
    names = flat_names("text_encoder", layers)
    assert names["text_model_encoder_layers_11_mlp_fc2"] == "encoder.layers.11.mlp.fc2"
    assert names["text_model_encoder_layers_0_self_attn_to_out_0"] == "encoder.layers.0.self_attn.out_proj"


@pytest.mark.parametrize(
    ("name", "part", "layer", "slot"),
    [
        ("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", "unet", "mid_block_attentions_0_proj_in", "down"),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha", "text_encoder_2", f"{LAYER}_mlp_fc1", "alpha"),
        ("unet.mid_block.attn1.to_q.lora.up.weight", "unet", "mid_block_attn1_to_q", "up"),
        ("unet.mid_block.attn1.to_q.lora_A.default_0.weight", "unet", "mid_block_attn1_to_q", "down"),
        ("mid_block.attn1.processor.to_out_lora.down.weight", None, "mid_block_attn1_to_out_0", "down"),
        ("unet.mid_block.attn1.processor.to_q_lora.up.weight", "unet", "mid_block_attn1_to_q", "up"),
        (
            "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.up.weight",
            "text_encoder",
            f"{LAYER}_self_attn_q_proj",
            "up",
        ),
        ("base_model.model.mid_block.attn1.to_out.0.lora_B.weight", None, "mid_block_attn1_to_out_0", "up"),
        ("diffusion_model.middle_block.1.proj_in.lora_A.weight", "unet", "middle_block_1_proj_in", "down"),
        ("lora_unet_mid_block_resnets_0_conv1.lokr_w2_a", "unet", "mid_block_resnets_0_conv1", "lokr_w2_a"),
    ],
)
def test_every_tongue(name: str, part: str | None, layer: str, slot: str) -> None:
    key = read_key(name)
    assert key is not None
    assert (key.part, key.layer, key.slot) == (part, layer, slot)


@pytest.mark.parametrize("name", ["bn_tot.weight", "lora_unet_x.lora_up.bias", "conv_in.weight"])
def test_other_names_are_of_no_form(name: str) -> None:
    assert read_key(name) is None


def writers(folder: Path) -> dict[str, Callable[[Path], Path]]:
    made = random_changes(folder)
    unet = random_changes(folder, wanted=lambda part, name: part == "unet" and "attn" in name)
    return {
        "kohya": lambda path: write_kohya(path, made),
        "kohya xl": lambda path: write_kohya(path, made, prefixes=KOHYA_XL, names=compvis_name(folder)),
        "diffusers": lambda path: write_diffusers(path, made),
        "old diffusers": lambda path: write_diffusers(path, made, style="lora"),
        "peft": lambda path: write_peft(path, unet),
    }


@pytest.mark.parametrize("tongue", ["kohya", "kohya xl", "diffusers", "old diffusers", "peft"])
@pytest.mark.parametrize("which", ["sd1", "xl"])
def test_every_key_of_every_tongue_finds_its_layer(
    which: str, tongue: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(which)
    path = writers(folder)[tongue](tmp_path / "one.safetensors")
    found = match(read_lora(path), targets_of(files_at(folder)), "one", "the model")
    assert found.unmatched == ()
    assert found.matched == len(load_file(path))
    assert found.report("one") is None
    wanted = random_changes(folder)
    if tongue == "peft":
        wanted = [c for c in wanted if c.part == "unet" and "attn" in c.layer]
    placed = {(part, layer) for part, layers in found.placed.items() for layer in layers}
    assert placed == {(c.part, c.layer) for c in wanted}


def save(path: Path, *names: str, shape: tuple[int, ...] = (4, 32)) -> Path:
    save_file({name: torch.zeros(shape) for name in names}, path)
    return path


def test_half_a_change_is_a_damaged_file(tmp_path: Path) -> None:
    path = save(tmp_path / "half.safetensors", "lora_unet_conv_in.lora_down.weight")
    with pytest.raises(CorruptFile, match="half a change"):
        read_lora(path)


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [(".dora_scale", "DoRA"), (".oft_blocks", "OFT"), (".on_input", "IA"), (".a1.weight", "GLoRA")],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, suffix: str, kind: str) -> None:
    path = save(tmp_path / "x.safetensors", "lora_unet_conv_in.lora_down.weight", f"lora_unet_conv_in{suffix}")
    with pytest.raises(MismatchedWeights, match=kind):
        read_lora(path)


def test_no_lora_at_all(tmp_path: Path) -> None:
    with pytest.raises(MismatchedWeights, match="is no LoRA"):
        read_lora(save(tmp_path / "x.safetensors", "conv_in.weight"))


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    torch.save({"lora_unet_conv_in.lora_down.weight": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UnsafeFile):
        read_lora(tmp_path / "x.safetensors")


CROSS = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


@pytest.mark.parametrize(
    ("width", "base"), [(768, "Stable Diffusion 1"), (1024, "Stable Diffusion 2"), (2048, "Stable Diffusion XL")]
)
def test_a_lora_of_other_width_is_refused_with_what_it_is_for(sd1: Path, tmp_path: Path, width: int, base: str) -> None:
    path = tmp_path / "other.safetensors"
    tensors = {"lora_down.weight": torch.zeros(4, width), "lora_up.weight": torch.zeros(32, 4)}
    save_file({f"{CROSS}.{name}": tensor for name, tensor in tensors.items()}, path)
    with pytest.raises(MismatchedWeights, match=f"it is for {base}; 1 of its layers") as error:
        match(read_lora(path), targets_of(files_at(sd1)), "other", "tiny")
    assert base in error.value.hint


def test_a_lora_that_fits_nothing_is_refused(sd1: Path, tmp_path: Path) -> None:
    names = [f"transformer.single_transformer_blocks.0.attn.to_q.lora_{x}.weight" for x in "AB"]
    lora = read_lora(save(tmp_path / "flux.safetensors", *names, shape=(4, 4)))
    assert base_of(lora) == "FLUX.1"
    with pytest.raises(MismatchedWeights, match=r"it is for FLUX.1; none of its 1 layers"):
        match(lora, targets_of(files_at(sd1)), "flux", "tiny")


def test_metadata_says_what_shapes_do_not(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file(
        {f"lora_unet_conv_in.lora_{x}.weight": torch.zeros(4, 4) for x in ("up", "down")},
        path,
        {"ss_base_model_version": "sdxl_base_v1-0"},
    )
    assert base_of(read_lora(path)) == "Stable Diffusion XL"


def test_keys_that_fit_nothing_are_counted_and_named(sd1: Path, tmp_path: Path) -> None:
    made = random_changes(sd1)
    path = write_kohya(tmp_path / "part.safetensors", made)
    state = load_file(path)
    extra = {f"lora_te2_text_model_x.lora_{x}.weight": torch.zeros(2, 2) for x in ("up", "down")}
    save_file({**state, **extra, "lora_unet_conv_in.alpha": torch.tensor(1.0), "bn": torch.zeros(1)}, path)
    found = match(read_lora(path), targets_of(files_at(sd1)), "part", "tiny")
    assert found.matched == len(state)
    report = found.report("part")
    assert report is not None
    assert report.startswith(f"LoRA 'part': 4 of {len(state) + 4} keys")


def test_alpha_from_diffusers_metadata_and_from_pefts_config(sd1: Path, tmp_path: Path) -> None:
    made = random_changes(sd1, wanted=lambda part, name: part == "unet" and "attn1" in name)
    said = '{"unet.r": 4, "unet.lora_alpha": 8, "unet.alpha_pattern": {"attn1.to_q": 2}}'
    lora = read_lora(write_diffusers(tmp_path / "said.safetensors", made, lora_adapter_metadata=said))
    factors = {layer.name.rpartition("_")[2]: lora.alphas.of(layer) for layer in lora.layers}
    assert (factors["q"], factors["k"]) == (0.5, 2.0)
    beside = write_peft(tmp_path / "adapter_model.safetensors", made)
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 16, "use_rslora": true}')
    lora = read_lora(beside)
    assert {lora.alphas.of(layer) for layer in lora.layers} == {8.0}


def test_the_ends_of_an_inpainting_network_may_differ(sd1: Path, tmp_path: Path) -> None:
    path = write_kohya(tmp_path / "x.safetensors", random_changes(sd1))
    ends = {f"lora_unet_conv_in.lora_{x}.weight": t for x, t in (("down", torch.zeros(2, 9, 3, 3)),)}
    save_file({**load_file(path), **ends, "lora_unet_conv_in.lora_up.weight": torch.zeros(32, 2, 1, 1)}, path)
    found = match(read_lora(path), targets_of(files_at(sd1)), "x", "tiny")
    assert set(found.unmatched) == {"lora_unet_conv_in.lora_down.weight", "lora_unet_conv_in.lora_up.weight"}
