"""ShieldGemma 2 through transformers: its own processor writes the questions, its own head reads "Yes" and "No"."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
import transformers
from PIL import Image
from torch import Tensor, nn

from limner.errors import CorruptFile, LimnerError
from limner.models.inspect import read_header
from limner.models.machine import choose_dtype, probe
from limner.models.pipelines.hush import heard, without_bars
from limner.types import Pixels

YES = 0  # of the head's two answers; "Yes" is: the picture breaks the policy


class _Processor(Protocol):
    def __call__(
        self, *, images: list[Image.Image], policies: list[str], return_tensors: str
    ) -> Mapping[str, Tensor]: ...


class _Loader(Protocol):
    def from_pretrained(self, folder: Path, **said: object) -> object: ...


class _Answer(Protocol):
    logits: Tensor


class Guard:
    """The model and its processor in memory."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Read a folder in transformers' layout, safetensors only, no code of its own. Raises ``CorruptFile``,
        ``UnsafeFile``."""
        for path in sorted(folder.glob("*.safetensors")):
            read_header(path)
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        self.device = device
        dtype: torch.dtype = getattr(torch, choose_dtype(None, str(device), probe()).dtype)
        only = {"local_files_only": True, "trust_remote_code": False}
        try:
            with heard(), without_bars():
                processor = cast(_Loader, transformers.AutoProcessor).from_pretrained(folder, **only)
                loader = cast(_Loader, transformers.ShieldGemma2ForImageClassification)
                net = loader.from_pretrained(folder, dtype=dtype, use_safetensors=True, **only)
        except LimnerError:
            raise
        except Exception as error:
            raise CorruptFile(
                f"{folder.name} cannot be read as ShieldGemma 2: {error}", hint="limner safety pull shieldgemma"
            ) from error
        assert isinstance(net, nn.Module)
        self.processor = cast(_Processor, processor)
        self.net = net.to(device).eval().requires_grad_(False)
        self.dtype = dtype

    def violations(self, pixels: Pixels, policies: Sequence[str]) -> dict[str, float]:
        """P("Yes") by policy, of "Yes" and "No" alone."""
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        asked = self.processor(images=[picture], policies=list(policies), return_tensors="pt")
        placed = {
            name: each.to(self.device, self.dtype) if each.is_floating_point() else each.to(self.device)
            for name, each in asked.items()
        }
        answer = cast(_Answer, self.net(**placed))
        found: list[float] = answer.logits.double().softmax(-1)[:, YES].cpu().tolist()
        return dict(zip(policies, found, strict=True))
