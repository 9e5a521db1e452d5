"""A picture that another program made, as a Request: what of its settings is honoured, approximated, or not.

The web UI's infotext names everything by name and hash; what it names is looked for among the models on this machine
(``limner models link``). Torch-free.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from limner.config import Settings
from limner.errors import InvalidRequest, LimnerError, ModelNotFound, PictureNotFound
from limner.library import a1111
from limner.library.metadata import Found
from limner.models.catalog import Catalog
from limner.models.links.links import Links
from limner.prompts.extra_networks import parse
from limner.session import foreign_sampling
from limner.session.ledger import Ledger, Told
from limner.session.shelf import Shelf
from limner.types import Request

SOURCES: Mapping[str, str] = {
    "a1111": "AUTOMATIC1111's web UI",
    "sdnext": "SD.Next",
    "comfyui": "ComfyUI",
    "invokeai": "InvokeAI",
    "fooocus": "Fooocus",
    "limner": "Limner, whose Record is gone",
}
"""Programs whose pictures can be drawn again, by ``Found.source``."""

_TAG = re.compile(r"<[a-z]+:[^<>]*>", re.IGNORECASE)
# Settings that name, and change nothing; the hashes are used where what they name is looked for.
_QUIET = frozenset(
    {
        *("Version", "User", "App", "Model hash", "model_hash", "VAE hash", "Lora hashes", "TI hashes", "Hashes"),
        *("Init image hash", "Created Date", "Backend", "Parser", "Operations", "Inpaint area"),
    }
)


@dataclass(frozen=True, slots=True)
class Restored:
    """A Request for the picture, and what became of each of its settings."""

    request: Request
    told: tuple[Told, ...]


def restore(
    found: Found, settings: Settings, catalog: Catalog, *, model: str | None = None, name: str = "the file"
) -> Restored:
    """A Request that draws a foreign picture as nearly as can be. ``model`` replaces the one it names; ``name`` is what
    the file is called.

    Raises ``PictureNotFound`` for a file that says no words or comes from no program known here, ``ModelNotFound``
    where its model is not on this machine, ``InvalidRequest`` for settings out of range.
    """
    if found.source not in SOURCES or not str(found.fields.get("prompt", "")).strip():
        raise PictureNotFound(
            f"{name} says nothing of how it was drawn",
            hint="limner inspect shows what it carries; Records of Limner's and settings of the web UI, ComfyUI, "
            "InvokeAI and Fooocus can be drawn again",
        )
    return _Restoring(found, settings, catalog).restored(model)


class _Restoring(Ledger):
    """Each step takes the settings it knows and tells their fate."""

    def __init__(self, found: Found, settings: Settings, catalog: Catalog) -> None:
        super().__init__(found, left=dict(found.fields))
        self.settings, self.catalog = settings, catalog
        # InvokeAI draws with diffusers, we with our own rules unless told; the others sample as the web UI does.
        self.webui = found.source in ("a1111", "sdnext", "comfyui", "fooocus") or self.take("compat") == "a1111"

    def restored(self, model: str | None) -> Restored:
        if self.webui:
            self.fields["compat"] = "a1111"
        self._model(model)
        self._words()
        for name in ("negative", "steps", "guidance", "seed", "variation_seed", "variation", "clip_skip"):
            self._plain(name)
        self._size()
        foreign_sampling.solver(self)
        foreign_sampling.noise(self)
        self._vae()
        foreign_sampling.second_pass(self, self.settings)
        self._pictures()
        self._rest()
        try:
            return Restored(Request.of(**self.fields), tuple(self.told))
        except InvalidRequest as error:
            raise InvalidRequest(f"the file's settings cannot be drawn: {error.message}", field=error.field) from None

    def _plain(self, name: str) -> None:
        value = self.take(name)
        if value is None or value == "":
            return
        if name in ("negative",) or isinstance(value, int | float):
            self.fields[name] = value
            self.say(name, value)
        else:
            self.say(name, value, "not honoured", "it is no number")

    def _model(self, instead: str | None) -> None:
        name, digest = str(self.take("model") or ""), str(self.found.fields.get("model_hash") or "")
        shown = f"{name} [{digest}]" if digest else name
        if instead is not None:
            self.fields["model"] = instead
            self.say("model", shown or "not said", "not honoured", f"drawn with {instead}, as asked")
            return
        links = Links(self.settings)
        stem = name.replace("\\", "/").rpartition("/")[2].removesuffix(".safetensors").removesuffix(".ckpt")
        if digest and links.find("checkpoint", f"{name} [{digest}]") is not None:
            self.fields["model"] = f"{name} [{digest}]"
            self.say("model", shown)
        elif name and links.find("checkpoint", name) is not None:
            self.fields["model"] = name
            why = f"a file of that name is here; its hash is not {digest}" if digest else "no hash is said to compare"
            self.say("model", shown, "approximated", why)
        elif (card := self.catalog.find(name) or self.catalog.find(stem)) is not None:
            self.fields["model"] = card.name
            self.say("model", shown, "approximated", f"taken for {card.name} by its name; no hash was compared")
        else:
            raise ModelNotFound(
                f"the picture was drawn with {shown!r}, which is not on this machine" if name else "it names no model",
                hint="link the folder it lies in (limner models link FOLDER), or say what to draw with: -m MODEL",
            )

    def _words(self) -> None:
        """The prompt, with the LoRA it names where they are here."""
        prompt = str(self.take("prompt"))
        hashes = a1111.hashes(str(self.found.fields.get("Lora hashes", "")))
        shelf = Shelf(self.settings)
        loras = []
        for tag in _TAG.findall(prompt):
            name = tag[1:-1].partition(":")[2].partition(":")[0]
            listed = f"{name} [{hashes[name]}]" if name in hashes else name
            try:
                (asked,) = parse(tag).named
                shelf.find("lora", listed, field="loras")
            except (LimnerError, ValueError) as error:
                self.say("LoRA", tag, "not honoured", error.message if isinstance(error, LimnerError) else "not a LoRA")
                continue
            text_scale = "" if asked.text_scale is None else f"{asked.text_scale!r}:"
            loras.append(f"{listed}:{text_scale}{asked.scale!r}")
            self.say("LoRA", tag, "honoured" if name in hashes else "approximated", _unhashed(name in hashes))
        words = re.sub(r"[ \t]{2,}", " ", _TAG.sub("", prompt)).strip()
        self.fields["prompt"] = words or prompt
        self.fields["loras"] = tuple(loras)
        self.say("prompt", words)
        for word in a1111.hashes(str(self.found.fields.get("TI hashes", ""))):
            here = any(word.casefold() == each.casefold() for each in shelf.embeddings)
            why = "" if here else "no textual inversion of that name is here: it is read as words"
            self.say("textual inversion", word, "honoured" if here else "not honoured", why)

    def _size(self) -> None:
        width, height = self.take("width"), self.take("height")
        if isinstance(width, int) and isinstance(height, int):
            self.fields |= {"width": width, "height": height}
            self.say("size", f"{width}x{height}")

    def _vae(self) -> None:
        name, digest = self.take("vae"), self.found.fields.get("VAE hash")
        if name is None or str(name).lower() in ("none", "automatic"):
            return
        for asked, why in ((f"{name} [{digest}]", ""), (str(name), "another hash, or none to compare")):
            if (digest or why) and Links(self.settings).find("vae", asked) is not None:
                self.fields["vae"] = asked
                self.say("VAE", name, "approximated" if why else "honoured", why)
                return
        self.say("VAE", name, "not honoured", "it is not on this machine; the model's own is used")

    def _pictures(self) -> None:
        """What was drawn over is not in the file."""
        strength = self.take("strength")
        if strength is not None and strength != 1:
            why = "the picture it was drawn over is not in the file; drawn from words alone"
            self.say("Denoising strength", strength, "not honoured", why)
        for name in ("mask_blur", "mask_invert", "inpaint_fill", "inpaint_padding"):
            if (value := self.take(name)) is not None:
                self.say(name.replace("_", " "), value, "not honoured", "the mask is not in the file")
        if (upscaler := self.take("upscale")) is not None:
            self.say("Postprocess upscaler", upscaler, "not honoured", "compared before it was enlarged")

    def _rest(self) -> None:
        for name, value in self.left.items():
            if name not in _QUIET:
                self.say(name, value, "not honoured", "not known here, or not here yet")
        if self.found.source in ("comfyui", "fooocus"):
            self.say("emphasis", "its own", "approximated", "weighed as the web UI does")


def _unhashed(hashed: bool) -> str:
    return "" if hashed else "found by its name; no hash is said to compare"
