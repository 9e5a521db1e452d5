"""ShieldGemma 2: a model of four billion parameters that is asked of a picture whether it breaks a policy (Zeng et al.
2025, arXiv:2504.01081). It runs on transformers, and is used only where the settings name it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from limner.errors import MissingExtra
from limner.models.packages import File, Package
from limner.safety.checks.check import Category, CheckCard, Finding
from limner.safety.checks.networked import Networked
from limner.safety.checks.sorting import LIKELY, POSSIBLE
from limner.types import Pixels

if TYPE_CHECKING:
    import torch

    from limner.safety.checks.shieldgemma_model import Guard

REPO, COMMIT = "google/shieldgemma-2-4b-it", "main"
NAMES = (
    *("config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
    *("model.safetensors.index.json", "preprocessor_config.json", "processor_config.json", "tokenizer.json"),
    *("tokenizer_config.json", "special_tokens_map.json", "chat_template.json"),
)
POLICIES: Mapping[str, Category] = {"sexual": "sexual", "violence": "violence_graphic", "dangerous": "dangerous"}
"""Its own names of its policies, to our categories."""


class ShieldGemma(Networked["Guard"]):
    """See its card."""

    package: ClassVar[Package] = Package(
        "shieldgemma", tuple(File(REPO, COMMIT, name, name) for name in NAMES), kind="safety"
    )
    card: ClassVar[CheckCard] = CheckCard(
        name="shieldgemma",
        title="ShieldGemma 2 (4B)",
        revision="1",
        categories=("sexual", "violence_graphic", "dangerous"),
        scale="P(Yes) of two answers, 0 to 1",
        source="huggingface.co/google/shieldgemma-2-4b-it; Zeng et al. 2025, arXiv:2504.01081",
        domain="photographs and generated pictures, says its publisher",
        reported="F1 of 0.89, 0.94 and 0.85 on the publisher's own pictures; others found 65 % accuracy on sexual ones",
        limits="seconds a picture and 10 GB of memory; knows nothing of age; never chosen by itself",
        licence="Gemma Terms of Use",
        restrictions="the terms forbid a list of harmful uses",
        gated=True,
        repo=REPO,
        commit=COMMIT,
        size_bytes=8_600_000_000,
        memory_bytes=10_000_000_000,
        by_itself=False,
    )

    def missing(self) -> str | None:
        """See ``Check.missing``."""
        if find_spec("transformers") is None:
            return MissingExtra("models", ["transformers"]).hint
        return super().missing()

    def _files(self) -> Mapping[str, Path]:
        """A folder's shards may be cut and named in any way: its index says how."""
        return super()._files() if self._folder is None else {"config.json": self._folder / "config.json"}

    def _load(self, files: Mapping[str, Path], device: torch.device) -> Guard:
        if find_spec("transformers") is None:
            raise MissingExtra("models", ["transformers"])
        from limner.safety.checks.shieldgemma_model import Guard

        return Guard(files["config.json"].parent, device)

    def _findings(self, loaded: Guard, pixels: Pixels) -> Sequence[Finding]:
        scores = loaded.violations(pixels, tuple(POLICIES))
        return [self.finding(POLICIES[name], score, possible=POSSIBLE, likely=LIKELY) for name, score in scores.items()]
