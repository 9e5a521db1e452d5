"""Small folders of random weights in the layouts that scorers read, by transformers or under published names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor

from limner.evaluate.towers_blip import BlipConfig, Reward

TINY_TEXT: Mapping[str, object] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_act": "quick_gelu",
    "max_position_embeddings": 77,
}
TINY_VISION: Mapping[str, object] = {
    "hidden_size": 24,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "hidden_act": "quick_gelu",
    "image_size": 32,
    "patch_size": 8,
}
BLIP = BlipConfig(
    hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=64,
    vocab_size=64, image_size=32, patch_size=8, vision_width=24, vision_layers=2, vision_heads=3,
)  # fmt: skip
SPECIAL = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
CHAT = (
    "{% for m in messages %}<|im_start|> {{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant\n{% endif %}"
)
WORDS = (
    *("a", "the", "red", "blue", "fox", "dog", "on", "in", "snow", "grass", "is", "there", "this", "picture", "figure"),
    *("show", "Does", "Is", "please", "answer"),
)


def pictures(count: int = 3, seed: int = 0, size: tuple[int, int] = (40, 48)) -> list[NDArray[np.uint8]]:
    """Random pictures, each other."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def clip_words(folder: Path) -> None:
    """A byte-level vocabulary in CLIP's two files: every byte, alone and at a word's end, and a merge."""
    letters = pre_tokenizers.ByteLevel.alphabet()
    tokens = [*sorted(letters), *(f"{each}</w>" for each in sorted(letters)), "fo", "fox</w>"]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: k for k, token in enumerate(tokens)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\nf o\nfo x</w>\n", "utf-8")


def clip(folder: Path, *, open_clip: bool = False, seed: int = 2) -> Path:
    """A CLIP as transformers writes it, or with its weights under open_clip's names. Seed 2: cosines above 0."""
    from transformers import CLIPConfig, CLIPModel

    folder.mkdir(parents=True, exist_ok=True)
    clip_words(folder)
    torch.manual_seed(seed)
    size = len(json.loads((folder / "vocab.json").read_text("utf-8")))
    text = {**TINY_TEXT, "vocab_size": size, "bos_token_id": size - 2, "eos_token_id": size - 1}
    config = CLIPConfig(text_config=text, vision_config=dict(TINY_VISION), projection_dim=12)
    model = CLIPModel(config)
    torch.nn.init.normal_(model.logit_scale, 2.0, 0.1)
    for module in model.modules():  # as published networks have: biases and gains that are not 0 and 1
        if isinstance(module, torch.nn.LayerNorm | torch.nn.Linear) and module.bias is not None:
            torch.nn.init.normal_(module.bias, 0.0, 0.1)
    model.save_pretrained(folder)
    if open_clip:
        save_file(as_open_clip(load_file(folder / "model.safetensors")), folder / "model.safetensors")
    return folder


def as_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """transformers' names to open_clip's, written the other way round than the reader does it."""
    found: dict[str, Tensor] = {"logit_scale": state["logit_scale"], "attn_mask": torch.zeros(77, 77)}
    found["visual.proj"] = state["visual_projection.weight"].T.contiguous()
    found["text_projection"] = state["text_projection.weight"].T.contiguous()
    vision, text = "vision_model.", "text_model."
    found["visual.class_embedding"] = state[f"{vision}embeddings.class_embedding"]
    found["visual.positional_embedding"] = state[f"{vision}embeddings.position_embedding.weight"]
    found["visual.conv1.weight"] = state[f"{vision}embeddings.patch_embedding.weight"]
    found["token_embedding.weight"] = state[f"{text}embeddings.token_embedding.weight"]
    found["positional_embedding"] = state[f"{text}embeddings.position_embedding.weight"]
    for kind in ("weight", "bias"):
        found[f"visual.ln_pre.{kind}"] = state[f"{vision}pre_layrnorm.{kind}"]
        found[f"visual.ln_post.{kind}"] = state[f"{vision}post_layernorm.{kind}"]
        found[f"ln_final.{kind}"] = state[f"{text}final_layer_norm.{kind}"]
        for k in range(2):
            for ours, theirs in ((f"{vision}encoder.layers.{k}.", f"visual.transformer.resblocks.{k}."),
                                 (f"{text}encoder.layers.{k}.", f"transformer.resblocks.{k}.")):  # fmt: skip
                found[f"{theirs}attn.in_proj_{kind}"] = torch.cat(
                    [state[f"{ours}self_attn.{part}_proj.{kind}"] for part in "qkv"]
                )
                for mine, its in (("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("mlp.fc1", "mlp.c_fc"),
                                  ("mlp.fc2", "mlp.c_proj"), ("self_attn.out_proj", "attn.out_proj")):  # fmt: skip
                    found[f"{theirs}{its}.{kind}"] = state[f"{ours}{mine}.{kind}"]
    return found


def head(folder: Path, width: int = 12) -> Path:
    """LAION's head: five layers under the published names."""
    torch.manual_seed(1)
    sizes = (width, 1024, 128, 64, 16, 1)
    state = {}
    for name, (a, b) in zip((0, 2, 4, 6, 7), pairwise(sizes), strict=True):
        state[f"layers.{name}.weight"] = torch.randn(b, a) / a**0.5
        state[f"layers.{name}.bias"] = torch.randn(b)
    save_file(state, folder / "head.safetensors")
    return folder


def aesthetic(folder: Path) -> Path:
    return head(clip(folder))


def hps(folder: Path) -> Path:
    return clip(folder, open_clip=True)


def reward(folder: Path) -> Path:
    """ImageReward's file: names with ``blip.``, and the heads that only training used."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(2)
    net = Reward(BLIP)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.2)
    state = {name if name.startswith("mlp.") else f"blip.{name}": tensor for name, tensor in net.state_dict().items()}
    state["blip.text_encoder.embeddings.position_ids"] = torch.arange(64)[None].float()
    state["blip.vision_proj.weight"] = state["blip.text_proj.weight"] = torch.zeros(4, 4)
    save_file({name: tensor.clone() for name, tensor in state.items()}, folder / "model.safetensors")
    fields = {name: getattr(BLIP, name) for name in BlipConfig.__slots__}
    (folder / "med_config.json").write_text(json.dumps(fields), "utf-8")
    bert_words(folder / "tokenizer.json")
    return folder


def bert_words(path: Path) -> None:
    """BERT's kind of tokenizer: word pieces between [CLS] and [SEP], 0 is [PAD]."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(word.lower() for word in WORDS), ".", ","]
    vocabulary = {token: k for k, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(path))


def seer(folder: Path) -> Path:
    """A Qwen3-VL of one layer, with its image processor and a word-level tokenizer that has a chat template."""
    from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokens = ["<unk>", "<pad>", *SPECIAL, "Yes", "No", "user", "assistant", "yes", "or", "no", *WORDS, "?", '"', "."]
    ids = {token: k for k, token in enumerate(dict.fromkeys(tokens))}
    words = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", additional_special_tokens=list(SPECIAL)
    )
    fast.chat_template = CHAT
    fast.save_pretrained(folder)
    Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, min_pixels=256, max_pixels=1024).save_pretrained(folder)
    config = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
    config |= {"processor_class": "Qwen3VLProcessor", "image_processor_type": "Qwen2VLImageProcessorFast"}
    (folder / "preprocessor_config.json").write_text(json.dumps(config), "utf-8")
    text = {
        "vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 8,
        "rope_scaling": {"mrope_section": [2, 1, 1], "rope_type": "default", "mrope_interleaved": True},
    }  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "patch_size": 4,
        "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 16, "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }  # fmt: skip
    torch.manual_seed(3)
    marks = {"image": SPECIAL[4], "video": SPECIAL[5], "vision_start": SPECIAL[2], "vision_end": SPECIAL[3]}
    numbers = {f"{name}_token_id": ids[token] for name, token in marks.items()}
    net = Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, **numbers))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.4)
    net.save_pretrained(folder)
    return folder


FOLDERS: Mapping[str, Callable[[Path], Path]] = {
    "clip-b32": clip,
    "clip-l14": clip,
    "aesthetic": aesthetic,
    "pickscore": clip,
    "hps": hps,
    "imagereward": reward,
    "vqascore": seer,
    "atoms": seer,
}
"""For each scorer that reads a folder, what writes a small one."""
