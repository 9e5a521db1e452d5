"""Adapters named on the command line: a file given by its path is linked first, and from then on has a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from limner.cli.console import say
from limner.config import Settings
from limner.errors import InvalidRequest, ModelNotFound
from limner.models.adapters.vae import WEIGHTS
from limner.models.catalog import Catalog
from limner.models.links.contents import kind_of_file
from limner.models.links.layouts import Kind
from limner.models.links.links import Links
from limner.models.links.scan import SUFFIXES
from limner.prompts.extra_networks import Named, named

PEFT = "adapter_model.safetensors"
DIFFUSERS_LORA = "pytorch_lora_weights.safetensors"
WHAT: Mapping[Kind, str] = {
    "checkpoint": "a whole model",
    "lora": "a LoRA",
    "embedding": "a textual inversion",
    "vae": "a VAE",
    "upscaler": "an upscaler",
}
HOW: Mapping[Kind, str] = {
    "checkpoint": "-m takes it",
    "lora": "--lora takes it",
    "embedding": "limner models link it, and write its name in the prompt",
    "vae": "--vae takes it",
    "upscaler": "limner models link it, and name it with --upscale",
}


def by_name(fields: Mapping[str, object]) -> dict[str, object]:
    """``loras`` and ``vae`` of a Request's fields, with names in the place of paths. Raises ``InvalidRequest``,
    ``ModelNotFound``, ``StorageError``."""
    changed: dict[str, object] = {}
    if isinstance(loras := fields.get("loras"), tuple):
        changed["loras"] = lora_names(loras)
    if isinstance(vae := fields.get("vae"), str):
        changed["vae"] = vae_name(vae)
    return changed


def lora_names(given: Iterable[str], *, tell: bool = True) -> tuple[str, ...]:
    """``NAME[:WEIGHT]`` or ``PATH[:WEIGHT]`` as names; a new link is told unless ``tell`` is false. Raises
    ``InvalidRequest``, ``ModelNotFound``."""
    return tuple(_lora(text, tell) for text in given)


def vae_name(given: str) -> str:
    """A name, or the name of the file or diffusers folder at that path. Raises as ``lora_names``."""
    path = _file("vae", Path(given).expanduser(), (WEIGHTS, f"vae/{WEIGHTS}"))
    return given if path is None else _linked("vae", path)


def checkpoint_name(given: str, catalog: Catalog) -> str:
    """A model's name; of a checkpoint on this machine given by its path the name under which it is linked. Raises
    ``ModelNotFound``, ``UnsafeFile``, ``InvalidRequest``, ``StorageError``."""
    from limner.models.resolving.resolve import path_of

    if catalog.find(given.strip().partition("@")[0]) is not None or Links(Settings.load()).find("checkpoint", given):
        return given
    path = path_of(given)
    return given if path is None else _linked("checkpoint", path)


def linked_already(path: Path) -> bool:
    """Whether a file is among the links, or in a folder that is."""
    return _name(Links(Settings.load()), "lora", path.resolve()) is not None


def unlink(path: Path) -> None:
    """Forget a file's link, where it has one of its own."""
    links, path = Links(Settings.load()), path.resolve()
    if any(link.path == path for link in links.links()):
        links.remove(path)


def _lora(text: str, tell: bool) -> str:
    asked = named(text)
    path = _file("lora", Path(asked.name).expanduser(), (DIFFUSERS_LORA, PEFT))
    return text if path is None else _written(asked, _linked("lora", path, tell=tell))


def _written(asked: Named, name: str) -> str:
    text = "" if asked.text_scale is None else f"{asked.text_scale!r}:"
    return f"{name}:{text}{asked.scale!r}"


def _file(kind: Kind, path: Path, inside: Iterable[str]) -> Path | None:
    """The file that a path stands for; ``None`` where it is no path but a name."""
    if path.is_dir():
        found = next((path / name for name in inside if (path / name).is_file()), None)
        if found is None and len(path.parts) > 1:
            raise ModelNotFound(f"{path} holds no {kind} file", hint=f"name the file itself: {', '.join(inside)}")
        return found
    if path.is_file():
        return path
    named_so = path.suffix.lower() in SUFFIXES and Links(Settings.load()).find(kind, str(path)) is None
    if path.is_absolute() or (path.suffix.lower() in SUFFIXES and len(path.parts) > 1) or named_so:
        raise ModelNotFound(f"there is no file {path}", hint="check the path")
    return None


def _linked(kind: Kind, path: Path, *, tell: bool = True) -> str:
    """The file's name among the links; it is linked now where it has none. A link of another kind is left as it is.

    Raises ``InvalidRequest`` for a file that is something else.
    """
    links, path = Links(Settings.load()), path.resolve()
    if (name := _name(links, kind, path)) is None:
        found = next((link.kind for link in links.links() if link.path == path), None) or kind_of_file(path)
        if found is not None and found != kind:
            raise InvalidRequest(f"{path.name} is {WHAT[found]}, not {WHAT[kind]}", field=kind, hint=HOW[found])
        links.add(path, kind)
        name = _name(links, kind, path)
        assert name is not None
        if tell:
            say(f"linked {path.name} as {name!r}", dim=True)
    return name


def _name(links: Links, kind: Kind, path: Path) -> str | None:
    return next((name for name, each in links.entries(kind).items() if each.resolve() == path), None)
