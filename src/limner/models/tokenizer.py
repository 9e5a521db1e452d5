"""Text to token ids for the CLIP family, with the ``tokenizers`` library. Torch-free.

Reads ``tokenizer.json`` where there is one; older checkpoints ship ``vocab.json`` and ``merges.txt`` (CLIP's byte-level
BPE, lower-cased: Radford et al. 2021, section 2.4), from which the same tokenizer is built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from limner.errors import CorruptFile, ModelNotFound
from limner.models.family import Files
from limner.models.inspect import read_json
from limner.prompts.vocabulary import TokenVocabulary, Vocabulary, WordVocabulary

CLIP_WORDS = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


@dataclass(frozen=True, slots=True)
class Text:
    """A tokenizer and its special ids. ``length`` counts the markers too (77 for CLIP)."""

    tokenizer: Tokenizer
    bos: int
    eos: int
    pad: int
    length: int

    def encode(self, text: str) -> list[int]:
        """Ids without markers."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def count(self, text: str) -> int:
        return len(self.encode(text))


def read(files: Files, folder: str = "tokenizer") -> Text:
    """The tokenizer in a checkpoint's folder. Raises ``ModelNotFound`` or ``CorruptFile``."""
    return _read(tuple(sorted((n, p) for n, p in files.paths.items() if n.startswith(folder + "/"))), folder)


@lru_cache(maxsize=8)
def _read(found: tuple[tuple[str, Path], ...], folder: str) -> Text:
    paths = {name.removeprefix(folder + "/"): path for name, path in found}
    config = read_json(paths["tokenizer_config.json"]) if "tokenizer_config.json" in paths else {}
    tokenizer = _tokenizer(paths, folder)
    special = read_json(paths["special_tokens_map.json"]) if "special_tokens_map.json" in paths else {}
    length = config.get("model_max_length", 77)
    return Text(
        tokenizer,
        bos=_special(tokenizer, "bos_token", config, special, "<|startoftext|>"),
        eos=_special(tokenizer, "eos_token", config, special, "<|endoftext|>"),
        pad=_special(tokenizer, "pad_token", config, special, "<|endoftext|>"),
        length=length if isinstance(length, int) and 3 <= length <= 4096 else 77,
    )


def _tokenizer(paths: Mapping[str, Path], folder: str) -> Tokenizer:
    try:
        if "tokenizer.json" in paths:
            tokenizer: Tokenizer = Tokenizer.from_file(str(paths["tokenizer.json"]))
            tokenizer.no_padding()
            tokenizer.no_truncation()
            return tokenizer
        if {"vocab.json", "merges.txt"} <= paths.keys():
            return _clip(paths["vocab.json"], paths["merges.txt"])
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CorruptFile(
            f"the tokenizer in {folder}/ cannot be read: {error}", hint="fetch the model again"
        ) from error
    raise ModelNotFound(f"{folder}/ holds no tokenizer", hint="it needs tokenizer.json, or vocab.json and merges.txt")


def _clip(vocab_path: Path, merges_path: Path) -> Tokenizer:
    vocab: dict[str, int] = json.loads(vocab_path.read_text("utf-8"))
    lines = merges_path.read_text("utf-8").splitlines()
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    merges = [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocab,
            merges=merges,
            unk_token="<|endoftext|>",
            end_of_word_suffix="</w>",
            fuse_unk=False,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in ("<|startoftext|>", "<|endoftext|>")])
    return tokenizer


def _special(
    tokenizer: Tokenizer, name: str, config: Mapping[str, object], special: Mapping[str, object], default: str
) -> int:
    value = config.get(name) or special.get(name) or default
    text = value.get("content") if isinstance(value, Mapping) else value
    found: int | None = tokenizer.token_to_id(str(text))
    if found is None:
        raise CorruptFile(f"the tokenizer has no {name} {text!r}", hint="the tokenizer and its config disagree")
    return found


def vocabulary(text: Text) -> Vocabulary:
    """What lint needs: the words of a word-level tokenizer, or that any word can be written."""
    if isinstance(text.tokenizer.model, models.WordLevel):
        words = [w for w in text.tokenizer.get_vocab(with_added_tokens=False) if not w.startswith("<")]
        return WordVocabulary(words, text.length - 2)
    return TokenVocabulary(text.encode, text.length - 2)
