"""A DALL-E mini from any layout, written as one folder of safetensors that loads at once the next time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from limner.errors import InvalidRequest, ModelNotFound, StorageError
from limner.models.dalle import files as dalle_files
from limner.models.dalle.files import MODEL, VQGAN
from limner.models.dalle.load import DTYPES, load_dalle, load_vqgan, stored_dtype
from limner.models.dalle.plan import configs
from limner.models.family import Files

__all__ = ["convert"]

PUBLISHED_VQGAN = {"architectures": ["VQModel"], "n_embed": 16384, "ch_mult": [1, 1, 2, 2, 4]}


def convert(source: Path, out: Path, dtype: str | None = None) -> Path:
    """Write the DALL-E mini in the folder ``source`` to the new folder ``out``, and answer it.

    ``out`` has ``model/`` (config, tokenizer, ``model.safetensors``) and ``vqgan/``, and is a model to any command. The
    transformer is stored as ``dtype`` (float32, bfloat16, float16; without it as it was), the VQGAN as float32. The
    folder appears when it is whole.

    Raises:
        InvalidRequest: ``out`` exists, or ``dtype`` is none of the three.
        ModelError: ``source`` is no DALL-E mini, or its files are not right.
        StorageError: ``out`` cannot be written.
    """
    if dtype is not None and dtype not in DTYPES:
        raise InvalidRequest(f"dtype: {dtype!r} is none of {', '.join(DTYPES)}", field="dtype")
    if out.exists():
        raise InvalidRequest(f"{out} exists already", hint="name a new folder")
    files = _files(source)
    configs(files)
    partial = out.with_name(out.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        (partial / MODEL).mkdir(parents=True)
        (partial / VQGAN).mkdir()
        cpu = torch.device("cpu")
        stored = dtype or stored_dtype(files, MODEL)
        _save(load_dalle(files, MODEL, DTYPES[stored], cpu), partial / MODEL)
        _save(load_vqgan(files, VQGAN, torch.float32, cpu), partial / VQGAN)
        _copy(files, partial)
        partial.rename(out)
    except OSError as error:
        raise StorageError(
            f"{out} cannot be written: {error.strerror}", hint="check the disk and permissions"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def _files(source: Path) -> Files:
    if not source.is_dir():
        raise ModelNotFound(f"there is no folder {str(source)!r}", hint="check the path")
    found = {p.relative_to(source).as_posix(): p for p in (*source.glob("*"), *source.glob("*/*")) if p.is_file()}
    used = dalle_files.arrange(found, str(source))
    if used is None:
        raise ModelNotFound(
            f"{source} is no DALL-E mini",
            hint="its config.json says model_type dallebart; other models need no converting",
        )
    return Files(source, used)


def _save(module: nn.Module, folder: Path) -> None:
    state: dict[str, Tensor] = module.state_dict()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _copy(files: Files, out: Path) -> None:
    """Configs, tokenizer and word list, which are not changed."""
    for name, path in files.paths.items():
        if not name.endswith((".msgpack", ".safetensors")):
            shutil.copyfile(path, out / name)
    if not (out / VQGAN / "config.json").exists():
        (out / VQGAN / "config.json").write_text(json.dumps(PUBLISHED_VQGAN, indent=2), "utf-8")
