"""What kind of model a lone safetensors file is, by the names in its header. Torch-free; only the header is read."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path

from limner.models.inspect import MAX_HEADER
from limner.models.links.layouts import Kind

_LORA = re.compile(
    r"\.(lora_(up|down|A|B)(\.[\w-]+)?\.weight|hada_w1_[ab]|lokr_w[12](_[ab])?|oft_blocks|oft_diag|a1\.weight|glora)"
    r"|^lora_(unet|te\d?|transformer)_|\.lora\.(up|down)\.weight"
)
_CHECKPOINT = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner.embedders.")
_VAE = re.compile(r"^(first_stage_model\.)?(encoder|decoder)\.(conv_in|down|mid|up|down_blocks|mid_block|up_blocks)\b")
_EMBEDDING = frozenset({"emb_params", "clip_l", "clip_g", "t5xxl", "<concept>"})
_UPSCALER = re.compile(
    r"^(params(_ema)?\.)?(model\.0\.weight|model\.1\.sub\.\d+\.|conv_first\.weight|body\.\d+\.rdb1|layers\.\d+\.residual_group\.)"
)
_FEW = 4  # tensors: an embedding file holds one for each text encoder


@lru_cache(maxsize=4096)
def _kind(path: Path, _stamp: tuple[int, int]) -> Kind | None:
    names = _names(path)
    if any(_LORA.search(name) for name in names):
        return "lora"
    if any(name.startswith("model.diffusion_model.") for name in names):
        return "checkpoint"
    if len(names) <= _FEW and (names & _EMBEDDING or (len(names) == 1 and next(iter(names)).startswith("<"))):
        return "embedding"
    if not any(name.startswith(_CHECKPOINT[2:]) for name in names) and any(map(_VAE.match, names)):
        return "vae"
    return "upscaler" if any(map(_UPSCALER.match, names)) else None


def _names(path: Path) -> frozenset[str]:
    """Tensors' names in a header, without the checks that a file to be loaded has to pass; empty for what has none."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length <= MAX_HEADER else {}
    except (OSError, ValueError, RecursionError):
        return frozenset()
    return frozenset(header) - {"__metadata__"} if isinstance(header, dict) else frozenset()


def kind_of_file(path: Path) -> Kind | None:
    """The kind of a safetensors file; ``None`` for any other file and for what is none of the kinds. Never raises."""
    if path.suffix.lower() not in (".safetensors", ".sft"):
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    return _kind(path, (stat.st_size, stat.st_mtime_ns))
