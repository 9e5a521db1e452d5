"""What a LoRA's own file says that it is called by in a prompt: its file name anybody may change."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from limner.models.inspect import read_header

SAID: Final = ("modelspec.trigger_phrase", "modelspec.title", "ss_output_name")
"""Keys of trainers' metadata. Tags of the training pictures are left out: they are of thousands of pictures."""
_LONGEST: Final = 500


def called(path: Path) -> tuple[str, ...]:
    """Trigger phrase, title and name in a safetensors file's metadata, at most 500 characters each; empty where it
    says nothing. Only the header is read. Raises ``ModelError``."""
    metadata = read_header(path).metadata
    return tuple(text[:_LONGEST] for key in SAID if (text := metadata.get(key, "").strip()) not in ("", "None"))
