"""The file's tensors mean the same to Limner, to diffusers and by kohya's names, whichever family they are of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors import safe_open
from safetensors.torch import load_file

from limner import Session
from limner.models.adapters.lora_file import read_lora
from limner.models.adapters.match import match
from limner.models.adapters.targets import targets_of
from limner.models.nets.unet import UNet
from limner.tune.file import kohya_names
from tests.adapters import files_at
from tests.tuning import trained

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers", "ignore::FutureWarning")

ALL = ("attention", "ff", "text")


@pytest.mark.parametrize("kind", ["sd1", "sd2", "xl"])
def test_every_key_finds_its_layer(session: Session, bases: dict[str, Path], tmp_path: Path, kind: str) -> None:
    tuning = trained(session, tmp_path / "a.safetensors", model=str(bases[kind]), targets=(*ALL, "conv"), steps=1)
    found = match(read_lora(tuning.out), targets_of(files_at(bases[kind])), "a", kind)
    assert found.unmatched == ()
    layers = tuning.trainer.networks.layers
    assert {part: set(placed) for part, placed in found.placed.items()} == {
        p: set(names) for p, names in layers.items()
    }


@pytest.mark.parametrize("kind", ["sd1", "sd2", "xl"])
def test_diffusers_unet_answers_what_ours_answered_in_training(
    session: Session, bases: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    folder = bases[kind]
    tuning = trained(session, tmp_path / "a.safetensors", model=str(folder), targets=ALL, steps=3, lr=0.05)
    networks = tuning.trainer.networks
    xl = kind == "xl"
    theirs = (StableDiffusionXLPipeline if xl else StableDiffusionPipeline).from_pretrained(folder)
    x, t = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([500.0])
    words = torch.randn(1, 24, 56 if xl else 32, generator=torch.Generator().manual_seed(1))
    pooled, numbers = torch.randn(1, 16), torch.tensor([[32.0, 32, 0, 0, 32, 32]])
    told = {"text_embeds": pooled, "time_ids": numbers} if xl else None
    with torch.no_grad():
        plain = theirs.unet(x, t, words, added_cond_kwargs=told).sample
        theirs.load_lora_weights(tuning.out)
        answer = theirs.unet(x, t, words, added_cond_kwargs=told).sample
        ours = networks.unet(x, t, words, **({"pooled": pooled, "numbers": numbers} if xl else {}))
    assert (answer - plain).abs().max() > 0.05, "it must have learnt something"
    assert torch.allclose(ours, answer, atol=2e-3), (ours - answer).abs().max()  # the file is in float16
    for part in ("text_encoder", "text_encoder_2") if xl else ("text_encoder",):
        assert any("lora" in name for name, _ in getattr(theirs, part).named_parameters())


def test_names_are_those_of_kohyas_trainers(session: Session, bases: dict[str, Path], tmp_path: Path) -> None:
    tuning = trained(session, tmp_path / "a.safetensors", model=str(bases["sd1"]), targets=ALL, steps=1, alpha=1.0)
    tensors = load_file(tuning.out)
    forms = re.compile(
        r"lora_unet_(?:down_blocks_\d|up_blocks_\d|mid_block)_attentions_\d_"
        r"(?:proj_in|proj_out|transformer_blocks_\d_(?:attn[12]_to_(?:q|k|v|out_0)|ff_net_(?:0_proj|2)))"
        r"|lora_te_text_model_encoder_layers_\d_(?:self_attn_(?:[qkv]|out)_proj|mlp_fc[12])"
    )
    stems = {name.partition(".")[0] for name in tensors}
    assert all(forms.fullmatch(stem) for stem in stems), sorted(s for s in stems if not forms.fullmatch(s))[:5]
    for stem in stems:
        down, up = tensors[f"{stem}.lora_down.weight"], tensors[f"{stem}.lora_up.weight"]
        assert down.shape[0] == up.shape[1] == 2
        assert tensors[f"{stem}.alpha"].item() == 1.0


def test_a_convolution_stays_one_in_the_file(session: Session, bases: dict[str, Path], tmp_path: Path) -> None:
    """SD 1 stores proj_in as a 1x1 convolution: A1111 and kohya's loader go by the tensors' dimensions."""
    tuning = trained(session, tmp_path / "a.safetensors", model=str(bases["sd1"]), steps=1)
    shapes = {name: tuple(each.shape) for name, each in load_file(tuning.out).items() if "proj_in.lora" in name}
    assert shapes
    assert all(len(shape) == 4 and shape[2:] == (1, 1) for shape in shapes.values())


def test_layers_of_xl_go_by_the_names_of_its_first_release() -> None:
    from limner.models.nets.configs import UNetConfig

    config = UNetConfig(
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=(2, 2, 2),
        transformer_layers_per_block=(1, 2, 10),
        heads=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
    )
    with torch.device("meta"):
        unet = UNet(config)
    layers = {
        name.removesuffix(".weight"): tuple(each.shape)
        for name, each in unet.named_parameters()
        if name.endswith(".weight") and each.ndim > 1
    }
    names = kohya_names("unet", layers, xl=True)
    ends = {
        "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2": "input_blocks_4_1_transformer_blocks_0_ff_net_2",
        "down_blocks.2.attentions.1.proj_in": "input_blocks_8_1_proj_in",
        "mid_block.attentions.0.transformer_blocks.9.ff.net.2": "middle_block_1_transformer_blocks_9_ff_net_2",
        "up_blocks.0.attentions.2.transformer_blocks.0.attn2.to_k": "output_blocks_2_1_transformer_blocks_0_attn2_to_k",
        "up_blocks.1.attentions.0.proj_out": "output_blocks_3_1_proj_out",
    }
    for name, end in ends.items():
        assert names[name] == f"lora_unet_{end}"
    text = kohya_names("text_encoder_2", {"encoder.layers.0.mlp.fc1": (1, 1)}, xl=True)
    assert text == {"encoder.layers.0.mlp.fc1": "lora_te2_text_model_encoder_layers_0_mlp_fc1"}


def test_the_hash_that_a1111_knows_a_lora_by_is_of_its_tensors_alone(
    session: Session, bases: dict[str, Path], tmp_path: Path
) -> None:
    import hashlib

    tuning = trained(session, tmp_path / "a.safetensors", model=str(bases["sd1"]), steps=1)
    body = tuning.out.read_bytes()
    start = 8 + int.from_bytes(body[:8], "little")
    with safe_open(tuning.out, framework="pt") as file:
        assert file.metadata()["sshs_model_hash"] == hashlib.sha256(body[start:]).hexdigest()
