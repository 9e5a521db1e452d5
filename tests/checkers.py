"""Small folders of random weights in the layouts that image checkers read, and a checker that says what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from limner import registry
from limner.safety.checks.check import CheckCard, Finding
from limner.types import Pixels

TIMM = {"image_size": 64, "patch_size": 16, "hidden_size": 128, "num_attention_heads": 2, "num_hidden_layers": 2}


def _uneven(module: torch.nn.Module) -> None:
    """As published networks are: no bias 0, no gain 1."""
    for name, parameter in module.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 1.0 if name.endswith("norm.weight") else 0.0, 0.3)


def vit(eps: float, seed: int = 0) -> torch.nn.Module:
    """transformers' own ViT classifier, of random weights: classes nsfw and normal."""
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(seed)
    config = ViTConfig(**TIMM, intermediate_size=256, layer_norm_eps=eps, id2label={0: "normal", 1: "nsfw"})
    model = ViTForImageClassification(config)
    _uneven(model)
    return model.eval()


def falconsai(folder: Path, seed: int = 0, *, old_names: bool = True) -> torch.nn.Module:
    """A folder as Falconsai's; its model. ``old_names``: those that the published file has."""
    folder.mkdir(parents=True, exist_ok=True)
    model = vit(1e-12, seed)
    model.config.to_json_file(folder / "config.json")
    save_file({_published(n) if old_names else n: t for n, t in model.state_dict().items()}, folder / WEIGHTS)
    return model


WEIGHTS = "model.safetensors"
OLD = (
    ("vit.layers.", "vit.encoder.layer."),
    ("attention.q_proj", "attention.attention.query"),
    ("attention.k_proj", "attention.attention.key"),
    ("attention.v_proj", "attention.attention.value"),
    ("attention.o_proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
)


def _published(name: str) -> str:
    for new, old in OLD:
        name = name.replace(new, old)
    return name


def marqo(folder: Path, seed: int = 0, *, lean: float = 0.0) -> torch.nn.Module:
    """A folder as Marqo's, its weights those of transformers' model (class 1 first), which is given. ``lean`` is added
    to the logit of NSFW."""
    folder.mkdir(parents=True, exist_ok=True)
    model = vit(1e-6, seed)
    model.classifier.bias.data[1] += lean  # type: ignore[union-attr, operator, index]
    state = model.state_dict()
    renamed = {
        "cls_token": state["vit.embeddings.cls_token"],
        "pos_embed": state["vit.embeddings.position_embeddings"],
        "patch_embed.proj.weight": state["vit.embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": state["vit.embeddings.patch_embeddings.projection.bias"],
        "norm.weight": state["vit.layernorm.weight"],
        "norm.bias": state["vit.layernorm.bias"],
        "head.weight": state["classifier.weight"].flip(0),
        "head.bias": state["classifier.bias"].flip(0),
    }
    for k in range(int(TIMM["num_hidden_layers"])):
        for kind in ("weight", "bias"):
            old = f"vit.layers.{k}."
            renamed[f"blocks.{k}.norm1.{kind}"] = state[f"{old}layernorm_before.{kind}"]
            renamed[f"blocks.{k}.norm2.{kind}"] = state[f"{old}layernorm_after.{kind}"]
            renamed[f"blocks.{k}.mlp.fc1.{kind}"] = state[f"{old}mlp.fc1.{kind}"]
            renamed[f"blocks.{k}.mlp.fc2.{kind}"] = state[f"{old}mlp.fc2.{kind}"]
            renamed[f"blocks.{k}.attn.proj.{kind}"] = state[f"{old}attention.o_proj.{kind}"]
            parts = [state[f"{old}attention.{part}_proj.{kind}"] for part in "qkv"]
            renamed[f"blocks.{k}.attn.qkv.{kind}"] = torch.cat(parts)
    save_file({name: tensor.contiguous() for name, tensor in renamed.items()}, folder / WEIGHTS)
    seen = {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    config = {"architecture": "vit_tiny_patch16_384", "label_names": ["NSFW", "SFW"], "pretrained_cfg": seen}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return model


def compvis(folder: Path, seed: int = 0, threshold: float = 0.0) -> torch.nn.Module:
    """A folder as CompVis', under its published doubled names; diffusers' own model. All thresholds are one."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(vision_config={**vision, "image_size": 32, "patch_size": 8}, projection_dim=16)
    model = StableDiffusionSafetyChecker(config).eval()
    _uneven(model)
    for name in ("concept_embeds", "special_care_embeds"):
        torch.nn.init.normal_(getattr(model, name))
        torch.nn.init.constant_(getattr(model, f"{name}_weights"), threshold)
    model.save_pretrained(folder)
    stored = load_file(folder / WEIGHTS)
    doubled = {name.replace("vision_model.", "vision_model.vision_model.", 1): t for name, t in stored.items()}
    doubled["vision_model.vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    save_file(doubled, folder / WEIGHTS)
    return model


class Standin:
    """A checker that answers what ``SAYS`` holds: findings, an error, or by the picture."""

    card: ClassVar[CheckCard] = CheckCard(
        name="standin",
        title="a stand-in",
        revision="1",
        categories=("sexual", "sexual_minors"),
        scale="0..1",
        source="a stand-in",
        domain="any",
        reported="none",
        limits="all",
        licence="none",
        memory_bytes=1_000_000,
    )

    def missing(self) -> str | None:
        return None if SAYS["here"] else "limner safety pull standin"

    def check(self, pixels: Pixels) -> Sequence[Finding]:
        ASKED.append(threading.current_thread().name)
        said = SAYS["said"]
        if callable(said):
            said = said(pixels)
        if isinstance(said, Exception):
            raise said
        return said


SAYS: dict[str, object] = {"here": True, "said": []}
ASKED: list[str] = []
"""Names of the threads that asked."""


def finding(verdict: str, category: str = "sexual", score: float = 0.9) -> Finding:
    return Finding.model_validate(
        {"checker": "standin", "revision": "1", "category": category, "verdict": verdict, "score": score}
    )


def install(monkeypatch: pytest.MonkeyPatch, said: object = (), *, here: bool = True) -> None:
    """The stand-in is the only checker there is."""
    monkeypatch.setitem(registry.BUILT_IN, "checks", {"standin": "tests.checkers:Standin"})
    monkeypatch.setitem(SAYS, "here", here)
    monkeypatch.setitem(SAYS, "said", said)
    ASKED.clear()


ASKS = "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<start_of_image>{% else %} {{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"  # fmt: skip  # noqa: E501


def shieldgemma(folder: Path) -> tuple[torch.nn.Module, object]:
    """A folder in ShieldGemma 2's layout with a vocabulary of a few words; its model and processor."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        Gemma3ImageProcessor,
        PreTrainedTokenizerFast,
        ShieldGemma2Config,
        ShieldGemma2ForImageClassification,
        ShieldGemma2Processor,
    )

    marks = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_image>", "<end_of_image>", "<image_soft_token>")
    words = (*marks, "Yes", "No", "Sexually", "Violence", "Dangerous", "Content", "content")
    made = Tokenizer(models.WordLevel({word: k for k, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    named = {"boi_token": marks[4], "eoi_token": marks[5], "image_token": marks[6]}
    tokens = PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", extra_special_tokens=named
    )
    seer = Gemma3ImageProcessor(size={"height": 16, "width": 16})
    processor = ShieldGemma2Processor(seer, tokens, chat_template=ASKS, image_seq_length=4)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    text = {"vocab_size": len(words), "num_hidden_layers": 2, "num_key_value_heads": 1, "head_dim": 8}
    config = ShieldGemma2Config(
        text_config={**shape, **text, "sliding_window": 16, "max_position_embeddings": 256, "pad_token_id": 0},
        vision_config={**shape, "num_hidden_layers": 1, "image_size": 16, "patch_size": 4},
        mm_tokens_per_image=4,
        boi_token_index=4,
        eoi_token_index=5,
        image_token_index=6,
    )
    config.yes_token_index, config.no_token_index = 7, 8
    torch.manual_seed(0)
    model = ShieldGemma2ForImageClassification(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor
