"""One picture by a foreign pipeline: its own call, with progress, cancelling and warnings brought out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Self, cast

import numpy as np
import torch
from torch import Tensor

from limner.errors import GenerationError, LimnerError, NonFinite, Refused, UnsupportedField
from limner.models.pipelines.hush import heard
from limner.models.pipelines.load import Held
from limner.models.pipelines.signature import Pipeline, accepted, kind_of_class, progress_of
from limner.sampling.course import Note, Show, Tick
from limner.types import Plan

__all__ = ["draw"]

CALLBACK = "callback_on_step_end"
ALWAYS: Mapping[str, object] = {
    # The size asked for is the size drawn, not one near it, resized.
    "use_resolution_binning": False,
    # The words are drawn as they are; by default they are cleaned where Beautiful Soup happens to be installed.
    "clean_caption": False,
    "output_type": "np",
}
LONGEST = 300  # characters of a pipeline's complaint
OFF = "try --dtype float32; if that does not help, the weights are damaged (limner models check)"


def draw(held: Held, plan: Plan, k: int, tick: Tick) -> Tensor:
    """Image ``k`` of the plan: float32, 3 x height x width, in 0..1, as the pipeline gives it when it is called with
    the same words, size, steps and ``torch.Generator("cpu").manual_seed(seed)``.

    Raises ``Cancelled``, ``NonFinite`` (also for a picture that is black all over), ``Refused`` where the pipeline's
    own checker blackened it, ``UnsupportedField``, ``GenerationError``.
    """
    for code, message in held.notes:
        tick(Note(code, message))
    tick()
    pipeline = held.pipeline
    arguments = _arguments(pipeline, plan, k)
    watch = Watch(pipeline, tick)
    with torch.inference_mode(False), torch.no_grad(), heard() as said, watch, _translated(type(pipeline).__name__):
        output = pipeline(**arguments, **watch.arguments)
    for message in said:
        tick(Note("text-truncated" if "truncated" in message else "library-warning", message))
    if not watch.told:
        message = f"a {type(pipeline).__name__} tells no progress, and can be cancelled between pictures only"
        tick(Note("no-progress", message))
    picture = _picture(output)
    _check_size(picture, plan, tick)
    return picture


def _arguments(pipeline: Pipeline, plan: Plan, k: int) -> dict[str, object]:
    """What the pipeline is called with. What the plan does not say is left to its defaults."""
    takes, kind, recipe = accepted(type(pipeline)), kind_of_class(type(pipeline)), plan.recipe
    options = recipe.options
    said: dict[str, tuple[str, object]] = {  # the Request's field: the argument's name, its value
        "prompt": ("prompt", options["prompt"]),
        "negative": ("negative_prompt", options.get("negative")),
        "steps": (kind.steps_as, options.get("steps")),
        "guidance": (kind.guidance_as, options.get("guidance")),
        "width": ("width", recipe.width),
        "height": ("height", recipe.height),
    }
    found: dict[str, object] = {}
    for field, (name, value) in said.items():
        if value is not None and name in takes:
            found[name] = value
        elif value is not None and field not in ("width", "height"):  # a size is compared with the picture's
            raise UnsupportedField(
                f"{plan.model.name} cannot honour {field!r}: a {type(pipeline).__name__} takes none",
                field=field,
                hint="leave it out",
            )
    always = {**ALWAYS, "generator": torch.Generator("cpu").manual_seed(plan.seeds[k].seed)}
    return {**found, **{name: value for name, value in always.items() if name in takes}}


class Watch:
    """Progress of a call, however the pipeline tells it: after each step where it has a callback for that, else by its
    progress bar, which is replaced by one that draws nothing. Each is a chance to cancel."""

    def __init__(self, pipeline: Pipeline, tick: Tick) -> None:
        self.told = 0
        self._pipeline = pipeline
        self._tick = tick
        self._by_callback = progress_of(accepted(type(pipeline))) == "callback" and not _parts_of(pipeline)
        self._total = 0
        self._undo = ExitStack()

    @property
    def arguments(self) -> Mapping[str, object]:
        return {CALLBACK: self._stepped} if self._by_callback else {}

    def __enter__(self) -> Self:
        for each in (self._pipeline, *_parts_of(self._pipeline)):
            before = vars(each).get("progress_bar")
            vars(each)["progress_bar"] = self._bar
            self._undo.callback(_restore, vars(each), before)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def step(self, steps: int) -> None:
        """One more of ``steps`` is done. Raises ``Cancelled``."""
        self.told += 1
        self._tick(Show(self.told, max(steps, self.told)))

    def _stepped(self, pipeline: object, i: int, timestep: object, tensors: dict[str, object]) -> dict[str, object]:
        steps = getattr(pipeline, "num_timesteps", None)
        if steps is None:
            steps = len(getattr(getattr(pipeline, "scheduler", None), "timesteps", ()))
        self.step(int(steps))
        return tensors

    def _bar(self, iterable: object = None, total: int | None = None) -> Bar:
        self._total += total if total is not None else len(cast("list[object]", iterable))
        every = (lambda: None) if self._by_callback else (lambda: self.step(self._total))
        return Bar(iterable, every)


class Bar:
    """In the place of a pipeline's progress bar."""

    def __init__(self, iterable: object, every: Callable[[], None]) -> None:
        self._iterable = iterable
        self._every = every

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[object]:
        for each in cast("list[object]", self._iterable):
            yield each
            self._every()

    def update(self, n: int = 1) -> None:
        self._every()

    def close(self) -> None: ...

    def set_description(self, *_: object, **__: object) -> None: ...

    def set_postfix(self, *_: object, **__: object) -> None: ...


def _parts_of(pipeline: Pipeline) -> tuple[Pipeline, ...]:
    """The pipelines that one is made of (prior and decoder), each with a progress bar of its own."""
    from diffusers import DiffusionPipeline

    return tuple(cast(Pipeline, each) for each in vars(pipeline).values() if isinstance(each, DiffusionPipeline))


def _restore(attributes: dict[str, object], before: object) -> None:
    if before is None:
        del attributes["progress_bar"]
    else:
        attributes["progress_bar"] = before


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """A pipeline's own complaints as ours; running out of memory stays what it is, and the engine's to answer."""
    try:
        yield
    except (LimnerError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if "out of memory" in str(error) or "not enough memory" in str(error):
            raise
        raise GenerationError(
            f"the {name} could not draw this: {type(error).__name__}: {str(error)[:LONGEST]}",
            hint="these are the pipeline's own words; leave out what you set, or try another size",
        ) from error


def _picture(output: object) -> Tensor:
    """The one picture of a pipeline's answer, checked."""
    images = getattr(output, "images", output[0] if isinstance(output, tuple) else None)
    if images is None or not len(images):
        raise GenerationError("the pipeline answered without a picture", hint="it may not be a text-to-image pipeline")
    if any(getattr(output, "nsfw_content_detected", None) or ()):
        raise Refused(
            "the pipeline's own safety checker blackened this picture", hint="change the prompt, or draw another seed"
        )
    found = np.asarray(images[0])
    if found.dtype == np.uint8:  # pictures, from a class that knows no other output
        found = found.astype(np.float32) / 255
    if found.ndim != 3 or found.shape[2] not in (1, 3, 4):
        raise GenerationError(
            f"the pipeline answered with an array of shape {found.shape}, which is no picture",
            hint="it may not be a text-to-image pipeline",
        )
    picture = torch.from_numpy(np.ascontiguousarray(found, dtype=np.float32)).permute(2, 0, 1)
    if not bool(picture.isfinite().all()):
        raise NonFinite("the pipeline answered with NaN or infinity", hint=OFF)
    if not bool(picture.any()):
        raise NonFinite("the pipeline answered with a picture that is black all over", hint=OFF)
    return picture.expand(3, -1, -1) if len(picture) == 1 else picture[:3]


def _check_size(picture: Tensor, plan: Plan, tick: Tick) -> None:
    height, width = picture.shape[1:]
    if (width, height) != (plan.recipe.width, plan.recipe.height):
        asked = f"{plan.recipe.width}x{plan.recipe.height}"
        tick(Note("other-size", f"the pipeline drew {width}x{height} instead of {asked}"))
