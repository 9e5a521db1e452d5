"""DALL-E mini's files for tests: Flax msgpack written by hand, random weights of any sizes, a plain reference."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

FIXTURES = Path(__file__).parent / "fixtures" / "dalle-mini"

Tree = dict[str, "NDArray[np.generic]"]


def files_of(root: Path) -> dict[str, Path]:
    """Every file of a folder by its name in it."""
    return {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}


def pack_text(text: str) -> bytes:
    raw = text.encode()
    return (bytes([0xA0 | len(raw)]) if len(raw) < 32 else b"\xd9" + bytes([len(raw)])) + raw


def pack_array(array: NDArray[np.generic], dtype: str | None = None) -> bytes:
    raw = np.ascontiguousarray(array).tobytes()
    shape = bytes([0x90 | array.ndim]) + b"".join(b"\xce" + struct.pack(">I", side) for side in array.shape)
    payload = b"\x93" + shape + pack_text(dtype or array.dtype.name) + b"\xc6" + struct.pack(">I", len(raw)) + raw
    return b"\xc9" + struct.pack(">I", len(payload)) + b"\x01" + payload


def pack_map(entries: Mapping[str, bytes]) -> bytes:
    head = b"\xde" + struct.pack(">H", len(entries))
    return head + b"".join(pack_text(name) + value for name, value in entries.items())


def pack_tree(tree: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Arrays by path, as Flax writes them."""
    nested: dict[str, object] = {}
    for path, array in tree.items():
        *parents, last = path.split("/")
        at = nested
        for parent in parents:
            at = at.setdefault(parent, {})  # type: ignore[assignment]
        at[last] = array

    def pack(value: object) -> bytes:
        if isinstance(value, dict):
            return pack_map({name: pack(each) for name, each in value.items()})
        assert isinstance(value, np.ndarray)
        return pack_array(value)

    return pack(nested)


OTHER_CONFIG: dict[str, object] = {
    "model_type": "dallebart",
    "d_model": 48,
    "encoder_layers": 3,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 6,
    "encoder_ffn_dim": 50,
    "decoder_ffn_dim": 70,
    "encoder_vocab_size": 450,
    "image_vocab_size": 90,
    "decoder_start_token_id": 70,
    "max_text_length": 12,
    "image_length": 16,
    "normalize_text": True,
}
"""Sizes unlike the fixtures': encoder unlike decoder, other heads, vocabularies beyond tokenizer and codebook."""


def dalle_tree(config: Mapping[str, object], *, stacked: bool = True, dtype: str = "float32", seed: int = 0) -> Tree:
    """Random weights of a config's sizes under the published names."""
    rng = np.random.default_rng(seed)
    size = int(str(config["d_model"]))

    def kernel(*shape: int) -> NDArray[np.generic]:
        return (rng.normal(size=shape) / math.sqrt(shape[-2])).astype(dtype)

    def bias(*shape: int, around: float = 0.0) -> NDArray[np.generic]:
        return (around + 0.2 * rng.normal(size=shape)).astype(dtype)

    tree: Tree = {"lm_head/kernel": kernel(size, int(str(config["image_vocab_size"])) + 1)}
    vocabularies = {
        "encoder": int(str(config["encoder_vocab_size"])),
        "decoder": int(str(config["image_vocab_size"])) + 1,
    }
    lengths = {"encoder": int(str(config["max_text_length"])), "decoder": int(str(config["image_length"]))}
    for side, name in (("encoder", "FlaxBartEncoderLayer"), ("decoder", "FlaxBartDecoderLayer")):
        layers, ffn = int(str(config[f"{side}_layers"])), int(str(config[f"{side}_ffn_dim"]))
        base = f"model/{side}"
        tree |= {
            f"{base}/embed_tokens/embedding": rng.normal(size=(vocabularies[side], size)).astype(dtype),
            f"{base}/embed_positions/embedding": rng.normal(size=(lengths[side], size)).astype(dtype),
            f"{base}/layernorm_embedding/scale": bias(size, around=1),
            f"{base}/layernorm_embedding/bias": bias(size),
            f"{base}/final_ln/bias": bias(size),
        }
        layer: Tree = {}
        for i in range(2 if side == "decoder" else 1):
            layer[f"LayerNorm_{2 * i}/bias"] = bias(layers, size)
            layer |= {f"FlaxBartAttention_{i}/{p}_proj/kernel": kernel(layers, size, size) for p in "qkv"}
            layer[f"FlaxBartAttention_{i}/out_proj/kernel"] = kernel(layers, size, size)
            layer[f"LayerNorm_{2 * i + 1}/scale"] = bias(layers, size, around=1)
            layer[f"LayerNorm_{2 * i + 1}/bias"] = bias(layers, size)
        layer |= {
            "GLU_0/LayerNorm_0/bias": bias(layers, size),
            "GLU_0/Dense_0/kernel": kernel(layers, size, ffn),
            "GLU_0/Dense_1/kernel": kernel(layers, size, ffn),
            "GLU_0/LayerNorm_1/bias": bias(layers, ffn),
            "GLU_0/Dense_2/kernel": kernel(layers, ffn, size),
        }
        for leaf, array in layer.items():
            if stacked:
                tree[f"{base}/layers/{name}s/{leaf}"] = array
            else:
                tree |= {f"{base}/layers/{name}_{i}/{leaf}": array[i] for i in range(layers)}
    return tree


class Plain:
    """The architecture as its description reads, from a stacked tree, a position at a time written nowhere: slow."""

    def __init__(self, tree: Mapping[str, NDArray[np.generic]], config: Mapping[str, object]) -> None:
        self.tree = {name: torch.from_numpy(array.astype(np.float32)) for name, array in tree.items()}
        self.config = config

    def encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self._embed("encoder", ids)
        for i in range(int(str(self.config["encoder_layers"]))):
            x = x + self._scaled(
                self._attention(i, "encoder", 0, self._norm(i, "encoder", 0, x), None, mask), i, "encoder", 1
            )
            x = x + self._glu(i, "encoder", x)
        return self._unscaled(x, self.tree["model/encoder/final_ln/bias"])

    def logits(self, codes: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        x = self._embed("decoder", codes)
        for i in range(int(str(self.config["decoder_layers"]))):
            h = self._attention(i, "decoder", 0, self._norm(i, "decoder", 0, x), None, None)
            x = x + self._scaled(h, i, "decoder", 1)
            h = self._attention(i, "decoder", 1, self._norm(i, "decoder", 2, x), states, mask)
            x = x + self._scaled(h, i, "decoder", 3)
            x = x + self._glu(i, "decoder", x)
        return self._unscaled(x, self.tree["model/decoder/final_ln/bias"]) @ self.tree["lm_head/kernel"]

    def _embed(self, side: str, ids: Tensor) -> Tensor:
        base = f"model/{side}/"
        x = self.tree[base + "embed_tokens/embedding"][ids]
        x = x + self.tree[base + "embed_positions/embedding"][: ids.shape[1]]
        scale, bias = (self.tree[f"{base}layernorm_embedding/{name}"] for name in ("scale", "bias"))
        return self._unscaled(x, torch.zeros(1)) * scale + bias

    def _leaf(self, i: int, side: str, leaf: str) -> Tensor:
        return self.tree[f"model/{side}/layers/FlaxBart{side.capitalize()}Layers/{leaf}"][i]

    def _unscaled(self, x: Tensor, bias: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        return (x - mean) / ((x - mean).pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() + bias

    def _norm(self, i: int, side: str, n: int, x: Tensor) -> Tensor:
        return self._unscaled(x, self._leaf(i, side, f"LayerNorm_{n}/bias"))

    def _scaled(self, x: Tensor, i: int, side: str, n: int) -> Tensor:
        scale = self._leaf(i, side, f"LayerNorm_{n}/scale")
        return self._unscaled(x, torch.zeros(1)) * scale + self._leaf(i, side, f"LayerNorm_{n}/bias")

    def _glu(self, i: int, side: str, x: Tensor) -> Tensor:
        u = self._unscaled(x, self._leaf(i, side, "GLU_0/LayerNorm_0/bias"))
        y = F.gelu(u @ self._leaf(i, side, "GLU_0/Dense_0/kernel")) * (u @ self._leaf(i, side, "GLU_0/Dense_1/kernel"))
        return self._unscaled(y, self._leaf(i, side, "GLU_0/LayerNorm_1/bias")) @ self._leaf(
            i, side, "GLU_0/Dense_2/kernel"
        )

    def _attention(self, i: int, side: str, n: int, x: Tensor, states: Tensor | None, mask: Tensor | None) -> Tensor:
        heads = int(str(self.config[f"{side}_attention_heads"]))
        y = x if states is None else states

        def split(h: Tensor, name: str) -> Tensor:
            h = h @ self._leaf(i, side, f"FlaxBartAttention_{n}/{name}_proj/kernel")
            return h.view(*h.shape[:2], heads, -1).transpose(1, 2)

        q, k, v = split(x, "q"), split(y, "k"), split(y, "v")
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(mask[:, None, None, :] == 0, float("-inf"))
        else:
            length = x.shape[1]
            scores = scores.masked_fill(~torch.ones(length, length).tril().bool(), float("-inf"))
        h = (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
        return h @ self._leaf(i, side, f"FlaxBartAttention_{n}/out_proj/kernel")


def write_other(root: Path, tree: Tree, config: Mapping[str, object] = OTHER_CONFIG) -> Path:
    """A folder with this transformer, and tokenizer and VQGAN of the fixtures."""
    for folder in ("model", "vqgan"):
        (root / folder).mkdir(parents=True)
    for name in ("tokenizer.json", "enwiki-words-frequency.txt"):
        (root / "model" / name).write_bytes((FIXTURES / "model" / name).read_bytes())
    for name in ("config.json", "flax_model.msgpack"):
        (root / "vqgan" / name).write_bytes((FIXTURES / "vqgan" / name).read_bytes())
    (root / "model" / "config.json").write_text(json.dumps(config))
    (root / "model" / "flax_model.msgpack").write_bytes(pack_tree(tree))
    return root
