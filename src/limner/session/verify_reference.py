"""The same prompts drawn by diffusers itself, in a process of its own: ``python -m limner.session.verify_reference``.

Reads a job as JSON from stdin, writes each picture as ``N.npy`` into the job's folder and says on stdout how it went. A
process of its own, so that its memory is its own and nothing of Limner's networks is loaded beside it.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from limner.engine.meter import Meter, mapped_bytes
from limner.models.catalog import OWN_LORA

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEDULERS: Mapping[str, str] = {"ddim": "DDIMScheduler"}


class _Result(Protocol):
    images: Sequence[NDArray[np.float32]]


class _Pipeline(Protocol):
    scheduler: _Scheduler
    components: Mapping[str, object]

    def to(self, device: str) -> _Pipeline: ...
    def set_progress_bar_config(self, *, disable: bool) -> None: ...
    def load_lora_weights(self, folder: str, *, weight_name: str) -> None: ...
    def __call__(self, **arguments: object) -> _Result: ...


class _Scheduler(Protocol):
    config: Mapping[str, object]

    def from_config(self, config: Mapping[str, object], **changes: object) -> _Scheduler: ...


def main() -> None:
    """Draw the job on stdin."""
    job = json.load(sys.stdin)
    told = draw(job, Path(str(job["folder"])), Path(str(job["out"])))
    print(json.dumps(told))


def draw(job: Mapping[str, object], folder: Path, out: Path) -> dict[str, object]:
    """``job``: prompts, seeds, steps, guidance, width, height, dtype, device, solver, and what else the pipeline's call
    takes under ``more``. Returns seconds, bytes and the library's version."""
    torch = importlib.import_module("torch")
    diffusers = importlib.import_module("diffusers")
    began = time.perf_counter()
    pipe = _load(diffusers, torch, folder, str(job["dtype"])).to(str(job["device"]))
    pipe.set_progress_bar_config(disable=True)
    if solver := job.get("solver"):
        named = getattr(diffusers, SCHEDULERS[str(solver)])
        pipe.scheduler = named.from_config(pipe.scheduler.config)
    loaded = time.perf_counter() - began
    meter, peaks = Meter(), []
    seconds = []
    prompts, seeds = cast("Sequence[str]", job["prompts"]), cast("Sequence[int]", job["seeds"])
    for k, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True)):
        began = time.perf_counter()
        meter.begin(torch.device(str(job["device"])), first=k == 0)
        with torch.inference_mode():
            result = pipe(
                prompt=prompt,
                generator=torch.Generator("cpu").manual_seed(seed),
                output_type="np",
                **cast("Mapping[str, object]", job["call"]),
            )
        seconds.append(time.perf_counter() - began)
        peaks.append(meter.end())
        np.save(out / f"{k}.npy", np.round(np.asarray(result.images[0]) * 255).astype(np.uint8))
    known = [peak for peak in peaks if peak is not None]
    return {
        "version": str(diffusers.__version__),
        "load_seconds": loaded,
        "seconds": seconds,
        "peak_bytes": max(known) + _mapped(torch, pipe) if known else None,
    }


def _mapped(torch: ModuleType, pipe: _Pipeline) -> int:
    """Weights that are used as they lie in their files, as the engine counts them for ours."""
    return mapped_bytes(part for part in pipe.components.values() if isinstance(part, torch.nn.Module))


def _load(diffusers: ModuleType, torch: ModuleType, folder: Path, dtype: str) -> _Pipeline:
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    kind = getattr(diffusers, str(index["_class_name"]))
    made = kind.from_pretrained(
        str(folder), local_files_only=True, use_safetensors=True, torch_dtype=getattr(torch, dtype)
    )
    pipe, worn = cast(_Pipeline, made), folder / OWN_LORA
    if worn.is_file():
        pipe.load_lora_weights(str(worn.parent), weight_name=worn.name)
    return pipe


if __name__ == "__main__":
    main()
