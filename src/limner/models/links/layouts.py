"""Where other programs keep their models: which folder below which root holds which kind of file. Torch-free.

Learnt from each program's documentation and settings: AUTOMATIC1111's web UI and its kin (Forge, reForge, SD.Next),
ComfyUI (``folder_paths``) and InvokeAI (its database lists its models; folders are by type, later one a model).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["checkpoint", "lora", "embedding", "vae", "upscaler"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Layout: TypeAlias = Literal["a1111", "forge", "sdnext", "comfyui", "invokeai", "folder", "file"]

OWN: Mapping[Kind, str] = {
    "checkpoint": "checkpoints",
    "lora": "loras",
    "embedding": "embeddings",
    "vae": "vae",
    "upscaler": "upscalers",
}
"""Limner's own folders, below ``models`` in its data folder."""

FOLDERS: Mapping[str, Kind | None] = {
    "stable-diffusion": "checkpoint",
    "stablediffusion": "checkpoint",
    "checkpoints": "checkpoint",
    "checkpoint": "checkpoint",
    "main": "checkpoint",
    "diffusers": "checkpoint",
    "lora": "lora",
    "loras": "lora",
    "lycoris": "lora",
    "embedding": "embedding",
    "embeddings": "embedding",
    "textual_inversion": "embedding",
    "vae": "vae",
    "vaes": "vae",
    "esrgan": "upscaler",
    "realesrgan": "upscaler",
    "swinir": "upscaler",
    "dat": "upscaler",
    "hat": "upscaler",
    "upscale_models": "upscaler",
    "upscalers": "upscaler",
    "upscaler": "upscaler",
    "spandrel_image_to_image": "upscaler",
    # Known to hold nothing that Limner uses: not looked into, so that no part of a model is taken for a whole one.
    "unet": None, "diffusion_models": None, "text_encoder": None, "text_encoders": None, "clip": None, "t5": None,
    "t5_encoder": None, "clip_embed": None, "clip_vision": None, "style_models": None, "vae_approx": None,
    "vae-approx": None, "controlnet": None, "controlnetpreprocessor": None, "t2i_adapter": None, "ip_adapter": None,
    "ipadapter": None, "gligen": None, "hypernetwork": None, "hypernetworks": None, "photomaker": None,
    "classifiers": None, "model_patches": None, "audio_encoders": None, "latent_upscale_models": None, "gfpgan": None,
    "codeformer": None, "ldsr": None, "scunet": None, "karlo": None, "deepbooru": None, "torch_deepdanbooru": None,
    "blip": None, "bert-ckpt": None, "adetailer": None, "insightface": None, "animatediff": None, "configs": None,
    "sams": None, "ultralytics": None, "siglip": None, "llava_onevision": None, "flux_redux": None, "core": None,
}  # fmt: skip
"""A folder's name in lower case to what its files are; ``None``: of no use here."""

# What marks a program's root folder, the more particular first.
_MARKS: tuple[tuple[Layout, tuple[str, ...]], ...] = (
    ("forge", ("modules_forge", "models")),
    ("invokeai", ("invokeai.yaml",)),
    ("invokeai", ("databases/invokeai.db",)),
    ("comfyui", ("comfy", "models")),
    ("comfyui", ("models/checkpoints",)),
    ("a1111", ("webui.py", "models/Stable-diffusion")),
    ("sdnext", ("models/Stable-diffusion", "models/embeddings", "installer.py")),
    ("a1111", ("models/Stable-diffusion",)),
    ("comfyui", ("checkpoints", "loras")),
    ("a1111", ("Stable-diffusion",)),
)
TITLES: Mapping[Layout, str] = {
    "a1111": "AUTOMATIC1111's web UI",
    "forge": "Forge",
    "sdnext": "SD.Next",
    "comfyui": "ComfyUI",
    "invokeai": "InvokeAI",
    "folder": "folder",
    "file": "file",
}

_INVOKE_TYPES: Mapping[str, Kind] = {
    "main": "checkpoint",
    "lora": "lora",
    "embedding": "embedding",
    "vae": "vae",
    "spandrel_image_to_image": "upscaler",
}


def layout_of(path: Path) -> Layout:
    """Whose folder this is, by what lies in it; ``folder`` where it is nobody's in particular."""
    if path.is_file():
        return "file"
    for layout, marks in _MARKS:
        if all((path / mark).exists() for mark in marks):
            return layout
    return "folder"


def roots(path: Path, layout: Layout) -> Iterator[tuple[Path, Kind | None]]:
    """The folders to look into and what their files are; ``None``: by the names of the folders inside, else by content.

    Folders that are not there are left out. What a program has besides models (its code, its outputs) is not entered.
    """
    inside = path / "models"
    if layout in ("folder", "file") or not inside.is_dir():
        yield path, None
        return
    for folder in _subfolders(inside):
        if layout == "invokeai" and folder.name.lower() not in FOLDERS:
            yield folder, None
        elif (kind := FOLDERS.get(folder.name.lower())) is not None:
            yield folder, kind
    if (path / "embeddings").is_dir():
        yield path / "embeddings", "embedding"


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError:
        return []


def invoke_models(root: Path) -> Mapping[Path, tuple[Kind, str]]:
    """Path to (kind, name) of what InvokeAI's database lists; empty where there is none, or it cannot be read.

    The database is opened read-only. Files that are not there are left out.
    """
    database = root / "databases" / "invokeai.db"
    if not database.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)) as opened:
            rows = [row[0] for row in opened.execute("SELECT config FROM models")]
    except sqlite3.Error:
        return {}
    found: dict[Path, tuple[Kind, str]] = {}
    for row in rows:
        try:
            said = json.loads(row)
            kind, name, place = _INVOKE_TYPES.get(said["type"]), str(said["name"]), Path(str(said["path"]))
        except (ValueError, KeyError, TypeError):
            continue
        path = place if place.is_absolute() else root / "models" / place
        if kind is not None and path.exists():
            found[path] = (kind, name)
    return found
