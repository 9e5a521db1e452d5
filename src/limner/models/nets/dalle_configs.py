"""What DALL-E mini and its VQGAN are made of, read from the published ``config.json`` files. Torch-free.

Sizes are free. The checkpoints' code knows many more architectures than were ever published (other norms, attention
kinds, position schemes); a config that asks for one of those is refused by the name of its key.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from limner.errors import MismatchedWeights
from limner.models.nets.fields import Fields

__all__ = ["DalleConfig", "Stack", "VqganConfig", "check_pair"]

MODEL_TYPE = "dallebart"
DALLE_FLAGS: Mapping[str, object] = {
    "model_type": MODEL_TYPE,
    "is_encoder_decoder": True,
    "activation_function": "gelu",
    "ln_positions": "normformer",
    "ln_type": "layernorm",
    "use_glu": True,
    "use_bias": False,
    "force_ln_scale": False,
    "use_final_ln_encoder": True,
    "use_final_ln_decoder": True,
    "use_absolute_position_embeddings": True,
    "scale_embedding": False,
    "tie_word_embeddings": False,
    "use_head_scale": False,
    "use_cosine_attention": False,
    "use_swin_position_embeddings": False,
    "use_deepnet_scaling": False,
    "use_subln_init": False,
    "use_alibi": False,
    "sinkhorn_iters": 1,
}
VQGAN_FLAGS: Mapping[str, object] = {
    "resamp_with_conv": True,
    "double_z": False,
    "give_pre_end": False,
    "use_gumbel": False,
    "in_channels": 3,
    "out_ch": 3,
}
DALLE_READ = frozenset(
    f"{side}_{what}" for side in ("encoder", "decoder") for what in ("layers", "attention_heads", "ffn_dim")
) | {
    "d_model", "encoder_vocab_size", "max_text_length", "image_vocab_size", "image_length", "decoder_start_token_id",
    "normalize_text",
}  # fmt: skip
VQGAN_READ = frozenset(
    ("ch", "ch_mult", "num_res_blocks", "attn_resolutions", "resolution", "z_channels", "embed_dim", "n_embed",
     "num_resolutions")
)  # fmt: skip
HARMLESS = frozenset(
    (
        # of training
        "activation_dropout", "attention_dropout", "dropout", "classifier_dropout", "encoder_layerdrop",
        "decoder_layerdrop", "init_std", "tau_init", "gradient_checkpointing", "use_scan", "initializer_range",
        # of the way weights are kept and run
        "architectures", "transformers_version", "torch_dtype", "dtype", "name_or_path", "use_cache", "return_dict",
        "tokenizer_class", "finetuning_task", "task_specific_params", "problem_type", "chunk_size_feed_forward",
        "num_hidden_layers", "hidden_size", "num_attention_heads", "max_position_embeddings", "vocab_size",
        "model_type",
        # of classifiers, which this is none of
        "id2label", "label2id", "num_labels",
        # of transformers' own generation, which Limner does not use; special tokens
        "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "forced_bos_token_id", "forced_eos_token_id",
        "do_sample", "max_length", "min_length", "length_penalty", "repetition_penalty", "temperature", "top_k",
        "top_p", "typical_p", "num_beams", "num_beam_groups", "num_return_sequences", "diversity_penalty",
        "early_stopping", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
    )
)  # fmt: skip
"""Keys that say nothing of the networks: Limner reads no more of a config than its sizes and flags."""

GROUPS = 32  # of every group norm in the VQGAN


@dataclass(frozen=True, slots=True)
class Stack:
    """One side of the transformer."""

    layers: int
    heads: int
    ffn: int


@dataclass(frozen=True, slots=True)
class DalleConfig:
    """Text encoder and image decoder. ``image_vocab`` does not count the start token, for which the tables have one
    row more; it may exceed the codebook, as ``text_vocab`` may exceed the tokenizer."""

    d_model: int
    encoder: Stack
    decoder: Stack
    text_vocab: int
    text_length: int
    image_vocab: int
    image_length: int
    start_token: int
    normalize_text: bool

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> DalleConfig:
        """Raises ``MismatchedWeights`` for an architecture that was never published, ``CorruptFile`` for nonsense."""
        fields = Fields(config, "DALL-E mini")
        _require(fields, config, DALLE_FLAGS, DALLE_READ)
        d_model = fields.integer("d_model", 1024)
        image_vocab = fields.integer("image_vocab_size", 16384)
        made = cls(
            d_model=d_model,
            encoder=_stack(fields, "encoder", d_model),
            decoder=_stack(fields, "decoder", d_model),
            text_vocab=fields.integer("encoder_vocab_size", 50264),
            text_length=fields.integer("max_text_length", 64, low=3, high=4096),
            image_vocab=image_vocab,
            image_length=fields.integer("image_length", 256, high=65536),
            start_token=fields.integer("decoder_start_token_id", image_vocab, low=0),
            normalize_text=fields.flag("normalize_text", False),
        )
        if made.start_token > image_vocab:
            raise fields.unsupported("decoder_start_token_id", f"but its table ends at {image_vocab}")
        return made


@dataclass(frozen=True, slots=True)
class VqganConfig:
    """The image decoder. ``codes`` is the size of its codebook, ``resolution`` a picture's side in pixels."""

    channels: int
    multipliers: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    resolution: int
    z_channels: int
    embed_dim: int
    codes: int

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> VqganConfig:
        """Raises ``MismatchedWeights`` for an architecture that was never published, ``CorruptFile`` for nonsense."""
        fields = Fields(config, "VQGAN")
        _require(fields, config, VQGAN_FLAGS, VQGAN_READ)
        made = cls(
            channels=fields.integer("ch", 128),
            multipliers=fields.integers("ch_mult", (1, 1, 2, 2, 4)),
            blocks=fields.integer("num_res_blocks", 2, high=32),
            attention=() if config.get("attn_resolutions") == [] else fields.integers("attn_resolutions", (16,)),
            resolution=fields.integer("resolution", 256, high=8192),
            z_channels=fields.integer("z_channels", 256),
            embed_dim=fields.integer("embed_dim", 256),
            codes=fields.integer("n_embed", 16384),
        )
        levels = len(made.multipliers)
        if fields.integer("num_resolutions", levels) != levels:
            raise fields.unsupported("num_resolutions", f"but ch_mult has {levels} levels")
        if made.resolution % 2 ** (levels - 1):
            raise fields.unsupported("resolution", f"which cannot be halved {levels - 1} times")
        if any(made.channels * each % GROUPS for each in made.multipliers):
            raise fields.unsupported("ch", f"but its norms have {GROUPS} groups")
        return made

    @property
    def grid(self) -> int:
        """Codes a side."""
        return int(self.resolution // 2 ** (len(self.multipliers) - 1))


def check_pair(dalle: DalleConfig, vqgan: VqganConfig) -> None:
    """Raises ``MismatchedWeights`` where the image decoder cannot read what the transformer writes."""
    hint = "the transformer and the VQGAN must come from the same training"
    if vqgan.grid**2 != dalle.image_length:
        raise MismatchedWeights(
            f"the model writes {dalle.image_length} codes a picture, and its VQGAN reads {vqgan.grid}x{vqgan.grid}",
            hint=hint,
        )
    if vqgan.codes > dalle.image_vocab:
        raise MismatchedWeights(
            f"the VQGAN has {vqgan.codes} codes, and the model knows only {dalle.image_vocab}", hint=hint
        )


def _stack(fields: Fields, side: str, d_model: int) -> Stack:
    heads = fields.integer(f"{side}_attention_heads", 16, high=1024)
    if d_model % heads:
        raise fields.unsupported(f"{side}_attention_heads", f"which does not divide d_model = {d_model}")
    return Stack(
        layers=fields.integer(f"{side}_layers", 12, high=256),
        heads=heads,
        ffn=fields.integer(f"{side}_ffn_dim", 4096),
    )


def _require(fields: Fields, config: Mapping[str, object], flags: Mapping[str, object], read: Set[str]) -> None:
    """Raise ``MismatchedWeights`` for a flag of another value, and for a key that nobody knows and that says
    something: it may change the mathematics."""
    for key, value in config.items():
        if key not in read and key not in flags and key not in HARMLESS and not key.startswith("_") and value:
            raise fields.unsupported(key, "a key that is not known and may change what is computed")
    for key, wanted in flags.items():
        value = config.get(key)
        # `1 == True` in Python, so the type is compared with the value.
        if value is not None and (value != wanted or isinstance(value, bool) != isinstance(wanted, bool)):
            raise fields.unsupported(key, f"but only {str(wanted).lower()} is supported")
