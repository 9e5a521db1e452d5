"""Causal language models run here by transformers: one that answers, and one that goes on writing a prompt."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from limner.errors import MissingExtra, ModelNotFound, OfflineError

NEW_TOKENS = 60
ANSWER_TOKENS = 400
TEMPERATURE = 0.9


class _Causal:
    """A model folder or hub repo, read at first use. Safetensors only, and none of its own code is run."""

    def __init__(self, name: str, *, offline: bool = False, seed: int = 0) -> None:
        self.name, self._offline, self._seed = name, offline, seed

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """(tokenizer, model). Raises ``MissingExtra``, ``ModelNotFound``, ``OfflineError``."""
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError:
            raise MissingExtra("models", ["transformers"]) from None
        only = {"local_files_only": self._offline}
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.name, **only)
            model: Any = AutoModelForCausalLM.from_pretrained(self.name, use_safetensors=True, **only)
        except (OSError, ValueError) as error:
            kind = OfflineError if self._offline else ModelNotFound
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise kind(
                f"the language model {self.name} cannot be read: {first}",
                hint="a folder or hub repo with safetensors weights; without --offline it is fetched",
            ) from None
        return tokenizer, model.eval()

    def _generated(self, text: str, tokens: int) -> str:
        """What the model writes after ``text``."""
        import torch

        tokenizer, model = self._loaded
        self._seed += 1
        given = tokenizer(text, return_tensors="pt")
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(self._seed)
            written = model.generate(
                **given, max_new_tokens=tokens, do_sample=True, temperature=TEMPERATURE, pad_token_id=pad
            )
        return str(tokenizer.decode(written[0, given["input_ids"].shape[1] :], skip_special_tokens=True))


class Chat(_Causal):
    """Answers a message, through the model's own chat template where it has one."""

    def __call__(self, text: str) -> str:
        tokenizer, _ = self._loaded
        if getattr(tokenizer, "chat_template", None):
            message = [{"role": "user", "content": text}]
            text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        return self._generated(text, ANSWER_TOKENS)


class Continuation(_Causal):
    """Goes on writing a prompt, as MagicPrompt does. Promptist is asked in its own way: ``TEXT Rephrase:``."""

    def __call__(self, text: str) -> str:
        if "promptist" in self.name.lower():
            return self._generated(f"{text} Rephrase:", NEW_TOKENS).partition("\n")[0].strip()
        return f"{text}{self._generated(text, NEW_TOKENS)}".partition("\n")[0].strip()
