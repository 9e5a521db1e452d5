"""How another program's picture was sampled: solver, schedule, noise, second pass, in our words. Torch-free."""

from __future__ import annotations

import re

from limner.config import Settings
from limner.errors import LimnerError, UnknownName
from limner.models.latent.edit_plan import LATENT_UPSCALERS
from limner.sampling import catalog as solvers
from limner.sampling import compat
from limner.session.ledger import Ledger
from limner.session.upscalers import find_upscaler

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_AUTOMATIC_SINCE = (1, 9)  # the web UI's first version with a schedule type


def solver(ledger: Ledger) -> None:
    """Sampler and schedule type."""
    name, schedule = str(ledger.take("solver") or ""), str(ledger.take("schedule") or "")
    if not name:
        return
    name, schedule = _apart(name, schedule)
    try:
        card = solvers.find(name)
    except UnknownName:
        ledger.say("sampler", name, "not honoured", "it is not here; drawn with the model's own")
        card = None
    if card is not None:
        ledger.fields["solver"] = card.name
        why = compat.WHY_NOT.get(card.name, "") if ledger.webui else ""
        ledger.say("sampler", name, "approximated" if why else "honoured", why)
    if card is None or card.placement != "ddim":
        _schedule(ledger, schedule)


def _schedule(ledger: Ledger, schedule: str) -> None:
    said = compat.schedule_of(schedule)
    if said is not None and (ledger.webui or said in ("model", "karras")):
        ledger.fields["schedule"] = said
        ledger.say("schedule type", schedule)
    elif schedule.lower() == "automatic":
        ledger.say("schedule type", schedule)
    elif schedule:
        ledger.say("schedule type", schedule, "not honoured", "it is not here; spaced as Automatic does")
    elif ledger.webui and _version(str(ledger.said.get("Version", ""))) < _AUTOMATIC_SINCE:
        ledger.fields["schedule"] = "model"  # before there were schedule types, none said was the model's own


def noise(ledger: Ledger) -> None:
    """Whose random numbers, and what is added to the seed for the sampler's own."""
    source = ledger.take("noise_source")
    delta = ledger.take("noise_delta")
    if source in ("cpu", "philox"):
        ledger.fields["noise_source"] = source
        ledger.say("RNG", "CPU" if source == "cpu" else "NV")
    elif ledger.source in ("comfyui", "invokeai"):
        ledger.fields["noise_source"] = "cpu"
        ledger.say("noise", "CPU", "approximated", "its default; the file does not say")
    else:
        ledger.fields["noise_source"] = "philox"
        why = "as an NVIDIA GPU draws it, to the sixth digit; other GPUs draw other noise"
        ledger.say("RNG", source or "GPU", "approximated", why)
    if isinstance(delta, int) and delta:
        ledger.fields["noise_delta"] = delta
        ledger.say("ENSD", delta)


def second_pass(ledger: Ledger, settings: Settings) -> None:
    """What is drawn again larger, and by which upscaler."""
    factor, upscaler = ledger.take("hires"), ledger.take("hires_upscaler")
    steps = ledger.take("hires_steps")
    if (size := _SIZE.fullmatch(str(ledger.take("Hires resize") or ""))) and factor is None:
        factor = int(size[1]) / (int(str(ledger.fields.get("width", 512))) or 512)
        ledger.say("Hires resize", size[0], "approximated", f"the size times {factor:.3g}")
    if not isinstance(factor, int | float) or factor <= 1:
        return
    strength = ledger.take("strength")
    ledger.fields["hires"] = factor
    ledger.say("Hires upscale", f"{factor:g}")
    if isinstance(strength, int | float):
        ledger.fields["hires_strength"] = strength
        ledger.say("Denoising strength", strength)
    if isinstance(steps, int) and steps > 0:
        ledger.fields["hires_steps"] = steps
        ledger.say("Hires steps", steps)
    ledger.fields["hires_upscaler"] = _upscaler(ledger, str(upscaler or "Latent"), settings)


def _upscaler(ledger: Ledger, name: str, settings: Settings) -> str:
    if name in (*LATENT_UPSCALERS, "lanczos"):
        ledger.say("Hires upscaler", name)
        return name
    if name.lower().startswith("latent"):
        ledger.say("Hires upscaler", name, "approximated", "latent: without antialiasing, linear")
        return "latent"
    try:
        find_upscaler(name, settings)
    except LimnerError:
        ledger.say("Hires upscaler", name, "not honoured", "it is not on this machine; enlarged by lanczos")
        return "lanczos"
    ledger.say("Hires upscaler", name)
    return name


def _apart(name: str, schedule: str) -> tuple[str, str]:
    """Sampler and schedule: versions before 1.9 wrote "DPM++ 2M Karras"; ComfyUI writes "karras" beside it."""
    for suffix in ("Karras", "Exponential"):
        if name.lower().endswith(f" {suffix.lower()}") and not schedule:
            return name[: -len(suffix) - 1], suffix
    return name, schedule


def _version(text: str) -> tuple[int, ...]:
    """(1, 10) of ``v1.10.1``; (0, 0) where none is written, as the first versions did."""
    match = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
