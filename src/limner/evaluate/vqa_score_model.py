"""A model that answers questions about pictures, through transformers: the chance of an answer's first token.

Only models whose processor takes single pictures are used so; video is left aside, and with it torchvision. Pictures go
through Pillow's resizing on every machine, so that a score is the same where torchvision is installed and where not.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from limner.errors import CorruptFile, LimnerError, MismatchedWeights
from limner.evaluate.towers import fitting
from limner.evaluate.towers_pixels import checked
from limner.models.inspect import read_header, read_json
from limner.types import Dtype

if TYPE_CHECKING:
    from limner.types import Pixels

YES = "Yes"
Chances: TypeAlias = "NDArray[np.float64]"


class _Processor(Protocol):
    tokenizer: _Tokenizer

    def __call__(self, *, text: list[str], images: list[Image.Image], return_tensors: str) -> Mapping[str, Tensor]: ...


class _Auto(Protocol):
    def from_pretrained(self, folder: Path, **said: object) -> tuple[nn.Module, Mapping[str, Sequence[str]]]: ...


class _Bars(Protocol):
    def is_progress_bar_enabled(self) -> bool: ...

    def disable_progress_bar(self) -> None: ...

    def enable_progress_bar(self) -> None: ...


class _Part(Protocol):
    chat_template: str | None


class _Loader(Protocol):
    def from_pretrained(self, folder: Path, **said: object) -> _Part: ...


class _Tokenizer(Protocol):
    def apply_chat_template(self, said: object, *, add_generation_prompt: bool, tokenize: bool) -> str: ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...


class Seer:
    """A model and its processor in memory."""

    def __init__(self, folder: Path, device: str, dtype: Dtype) -> None:
        """Read a folder in transformers' layout, safetensors only, no code of its own.

        Raises ``CorruptFile``, ``UnsafeFile``, ``MismatchedWeights``.
        """
        for path in sorted(folder.glob("*.safetensors")):
            read_header(path)
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        self.device = device
        with _quiet(), _worded(folder):
            self.processor = _processor(folder)
            auto = cast(_Auto, transformers.AutoModelForImageTextToText)
            net, told = auto.from_pretrained(
                folder,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        if missing := sorted(told["missing_keys"]):
            raise MismatchedWeights(
                f"{folder.name} lacks {len(missing)} weights: {', '.join(missing[:3])}", hint="fetch the model again"
            )
        self.net = net.to(device).eval().requires_grad_(False)
        self.dtype: torch.dtype = getattr(torch, dtype)

    def yes(self, pixels: Pixels, question: str, *, among: Sequence[str] = ()) -> float:
        """P("Yes") of the answer's first token: among all tokens, or among the first tokens of ``among`` alone."""
        chances = self._chances(pixels, question)
        first = self._first(YES)
        if not among:
            return float(chances[first])
        whole = sum(float(chances[each]) for each in {self._first(word) for word in among})
        return float(chances[first]) / whole if whole > 0 else float("nan")

    def _first(self, word: str) -> int:
        return self.processor.tokenizer.encode(word, add_special_tokens=False)[0]

    def _chances(self, pixels: Pixels, question: str) -> Chances:
        picture = Image.fromarray(checked(pixels))
        said = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
        prompt = self.processor.tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
        inputs = self.processor(text=[prompt], images=[picture], return_tensors="pt")
        placed = {name: self._placed(tensor) for name, tensor in inputs.items()}
        with fitting(self.device), torch.inference_mode():
            logits: Tensor = self.net(**placed, use_cache=False, logits_to_keep=1).logits[0, -1]
        found: Chances = logits.double().softmax(dim=-1).cpu().numpy()
        return found

    def _placed(self, tensor: Tensor) -> Tensor:
        floating = tensor.is_floating_point()
        return tensor.to(self.device, self.dtype) if floating else tensor.to(self.device)


def _processor(folder: Path) -> _Processor:
    """The processor that the folder names, without its part for video."""
    kind = str(read_json(folder / "config.json").get("model_type"))
    usual: Mapping[str, str] = vars(transformers.models.auto.processing_auto)["PROCESSOR_MAPPING_NAMES"]
    name = str(read_json(folder / "preprocessor_config.json").get("processor_class") or usual.get(kind, ""))
    known = getattr(transformers, name, None) if name.endswith("Processor") else None
    if known is None:
        raise MismatchedWeights(
            f"{folder.name} names the processor {name!r}, which transformers {transformers.__version__} does not know",
            hint="a newer transformers may",
        )
    images, tokens = cast(_Loader, transformers.AutoImageProcessor), cast(_Loader, transformers.AutoTokenizer)
    pictures = images.from_pretrained(folder, backend="pil", local_files_only=True, trust_remote_code=False)
    words = tokens.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    parts = {"image_processor": pictures, "tokenizer": words, "chat_template": words.chat_template}
    if "video_processor" not in known.get_attributes():
        return cast(_Processor, known(**parts))
    return cast(_Processor, type(name, (_Stills, known), {})(**parts, video_processor=None))


class _Stills:
    """A processor that may lack a part: transformers wants one for video, which wants torchvision."""

    def check_argument_for_proper_class(self, name: str, part: object) -> object:
        if part is None:
            return None
        return super().check_argument_for_proper_class(name, part)  # type: ignore[misc]  # of the processor beside it


@contextmanager
def _worded(folder: Path) -> Iterator[None]:
    """What the library raises for files it cannot read, in our words."""
    try:
        yield
    except LimnerError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise CorruptFile(f"{folder.name} cannot be read: {lines[0][:200]}", hint="fetch the model again") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The library's log and bars off stderr, while it reads."""
    log = logging.getLogger("transformers")
    bars = cast(_Bars, transformers.utils.logging)
    level, shown = log.level, bars.is_progress_bar_enabled()
    log.setLevel(logging.ERROR)
    bars.disable_progress_bar()
    try:
        yield
    finally:
        log.setLevel(level)
        if shown:
            bars.enable_progress_bar()
