"""What a pipeline class says of itself, read from its call's signature once diffusers is imported."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from limner.models.pipelines.kinds import Kind, Progress, kind_of, refusal

if TYPE_CHECKING:
    from torch import device as Device

__all__ = ["Pipeline", "accepted", "kind_of_class", "progress_of", "why_not"]

MOVING = {"num_frames", "video_length", "video", "audio_length_in_s", "audio_end_in_s", "frames"}


class Pipeline(Protocol):
    """What Limner uses of a diffusers pipeline."""

    @property
    def components(self) -> Mapping[str, object]: ...

    def __call__(self, **arguments: object) -> object: ...

    def to(self, device: Device) -> object: ...

    def enable_model_cpu_offload(self, *, device: Device) -> None: ...


def accepted(pipeline_class: type) -> Mapping[str, object]:
    """Arguments of a pipeline's call by name, with their defaults; those that must be given have ``inspect._empty``."""
    parameters = inspect.signature(pipeline_class.__call__).parameters
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: each.default for name, each in parameters.items() if each.kind in kinds and name != "self"}


def why_not(pipeline_class: type) -> str | None:
    """Why this class makes no pictures from words alone, as ``"makes videos"``; ``None`` where it does."""
    if reason := refusal(pipeline_class.__name__):
        return reason
    arguments = accepted(pipeline_class)
    if "prompt" not in arguments:
        return "takes no words"
    if MOVING & arguments.keys():
        return "makes videos or sound"
    needs = [name for name, default in arguments.items() if default is inspect.Parameter.empty and name != "prompt"]
    return f"needs more than words: {', '.join(needs)}" if needs else None


def kind_of_class(pipeline_class: type) -> Kind:
    """The line of the table, or one made from the signature where there is none."""
    known = kind_of(pipeline_class.__name__)
    if known.listed:
        return known
    arguments = accepted(pipeline_class)
    guidance_as = next((name for name in ("true_cfg_scale", "guidance_scale") if name in arguments), "")
    return replace(
        known,
        steps=_whole(arguments.get("num_inference_steps")),
        guidance=_number(arguments.get(guidance_as)),
        negative="negative_prompt" in arguments,
        progress=progress_of(arguments),
        bins="use_resolution_binning" in arguments,
        side=_whole(arguments.get("height")),
        steps_as="num_inference_steps" if "num_inference_steps" in arguments else "",
        guidance_as=guidance_as,
    )


def progress_of(arguments: Mapping[str, object]) -> Progress:
    """By a callback after each step where there is one, else by the progress bar, which nearly all classes have."""
    return "callback" if "callback_on_step_end" in arguments else "bar"


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
