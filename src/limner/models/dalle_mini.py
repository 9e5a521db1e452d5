"""DALL-E mini and mega (Dayma et al. 2021): a transformer writes the codes of a picture, a VQGAN draws them.

``plan`` is torch-free and lives in ``dalle_plan.py``; this module runs what was planned. The pictures of a request are
written together, a code at a time: one model call holds all of them, with and without the words.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from limner.errors import NonFinite, OutOfMemory
from limner.models.catalog import Card
from limner.models.dalle import files as dalle_files
from limner.models.dalle import plan as dalle_plan
from limner.models.dalle.files import MODEL, VQGAN
from limner.models.family import Files, Placement, Planned
from limner.models.machine import Machine
from limner.prompts.vocabulary import Vocabulary
from limner.sampling.course import Ask, Call, Course, Eval, Note, Row, Runner, Show, Solver, Weights
from limner.types import Adapter, Pixels, Plan, Request

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from limner.models.nets.bart import Bart, Slots

PREVIEWS = 4  # in the course of a picture; each costs a decode
DECODED = 4  # pictures at once; a processor gains nothing from more than one, which takes 0.2 GB


class DalleMini:
    name: ClassVar[str] = "dalle-mini"
    honours: ClassVar[frozenset[str]] = frozenset(
        {
            *("prompt", "model", "n", "seed", "styles", "device", "dtype", "speed", "batching"),
            *("guidance", "temperature", "top_k", "top_p"),
        }
    )
    together: ClassVar[int] = 16

    def recognise(self, index: Mapping[str, object]) -> float:
        return 1.0 if index.get("model_type") == "dallebart" else 0.0

    def arrange(self, found: Mapping[str, Path], where: str) -> dict[str, Path] | None:
        return dalle_files.arrange(found, where)

    def plan(
        self, request: Request, card: Card, files: Files, machine: Machine, adapters: Sequence[Adapter] = ()
    ) -> Planned:
        return dalle_plan.plan(request, card, files)

    def vocabulary(self, files: Files) -> Vocabulary | None:
        return dalle_plan.vocabulary(files)

    def load(self, weights: Weights, files: Files, placement: Placement) -> Module:
        from limner.models.dalle.load import load_part

        return load_part(weights.part, files, placement)

    def forward(self, module: Module, part: str, batch: Mapping[str, Tensor]) -> Tensor:
        """vqgan: codes [N, rows * grid] -> pixels [N, 3, H, W], nominally 0..1, float32."""
        pixels: Tensor = module.decode(batch["codes"])  # type: ignore[operator]
        return pixels.float()

    def course(self, plan: Plan, k: int, solver: Solver | None, checkpoint: str, files: Files) -> Course:
        pictures = yield from self.course_together(plan, (k,), checkpoint)
        return pictures[0]

    def course_together(self, plan: Plan, images: Sequence[int], checkpoint: str) -> Course:
        """The pictures with these indexes [n, 3, H, W], in 0..1, each as it is drawn by itself up to rounding."""
        try:
            return (yield from _course(plan, images, checkpoint))
        except OutOfMemory:
            if len(images) == 1:
                raise
        half = len(images) // 2
        yield Note("out-of-memory", f"memory ran out at {len(images)} pictures; went on with {len(images) - half}")
        first = yield from self.course_together(plan, images[:half], checkpoint)
        second = yield from self.course_together(plan, images[half:], checkpoint)
        import torch

        return torch.cat([first, second])

    def preview(self, latent: Tensor, part: Callable[[str], Module]) -> Pixels | None:
        """The rows of codes [S] that are whole, decoded; ``None`` before the first."""
        from limner.models.dalle.load import preview

        return preview(latent, part(VQGAN))


@dataclass(slots=True)
class Writing:
    """The codes of some pictures as they are written. Everything stays on the device between calls."""

    plan: Plan
    images: Sequence[int]
    weights: Weights
    codes: Tensor = field(init=False)  # [n, L]
    slots: Slots = field(init=False)
    uniforms: Tensor = field(init=False)  # [L, n]
    bad: Tensor = field(init=False)  # [n], a logit was not finite

    def begin(self, runner: Runner, tick: Callable[[], None]) -> Tensor:
        """Read the text, with and without words, once for all pictures."""
        import torch

        from limner.sampling.tokens import uniforms

        bart, device = self._bart(runner), torch.device(self.plan.device)
        prompts, length = self.plan.recipe.prompts, self._option("text_length")
        texts = [prompts[role][0].ids[0] for role in ("unconditional", "positive") if role in prompts]
        ids = torch.full((len(texts), length), self._option("pad"))
        mask = torch.zeros((len(texts), length), dtype=torch.bool)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = True
        ids, mask = ids.to(device), mask.to(device)
        self.slots = bart.slots(bart.remember(bart.encode(ids, mask), mask), len(self.images))
        count = bart.config.image_length
        seeds = [self.plan.seeds[k].seed for k in self.images]
        self.uniforms = torch.stack([uniforms(seed, count) for seed in seeds], dim=1).to(device)
        self.codes = torch.full((len(self.images), count + 1), self._option("start"), device=device)
        self.bad = torch.zeros(len(self.images), dtype=torch.bool, device=device)
        return self.bad

    def step(self, runner: Runner, tick: Callable[[], None]) -> Tensor:
        """Write the next code of every picture: one model call. Answers all that are written so far."""
        from limner.sampling.guidance import combine
        from limner.sampling.tokens import choose

        at, recipe = self.slots.length, self.plan.recipe
        branches = self.slots.memory.branches
        last = self.codes[:, at : at + 1].repeat(branches, 1)
        # What is no code of the VQGAN (the start token, padding of the table) is never chosen.
        logits = self._bart(runner).decode(last, self.slots)[:, 0, : self._option("codes")]
        parts = logits.chunk(branches)
        guided = combine(parts[0], parts[-1], recipe.guidance) if branches > 1 else parts[0]
        self.bad |= ~guided.isfinite().all(-1)
        options = recipe.options
        self.codes[:, at + 1] = choose(
            guided,
            self.uniforms[at],
            float(options["temperature"]),
            self._option("top_k"),
            float(options["top_p"]),
        )
        return self.codes[:, 1 : at + 2]

    def _bart(self, runner: Runner) -> Bart:
        from limner.models.nets.bart import Bart

        module = runner.module(self.weights)
        assert isinstance(module, Bart)
        return module

    def _option(self, name: str) -> int:
        return int(self.plan.recipe.options[name])


def _course(plan: Plan, images: Sequence[int], checkpoint: str) -> Course:
    import torch

    writing = Writing(plan, images, Weights(checkpoint, MODEL, plan.numerics.dtype))
    _, height, width = plan.recipe.latent
    count = height * width
    yield Call(writing.weights, float(count), writing.begin)
    codes = writing.codes[:, :0]
    for i in range(1, count + 1):
        (codes,) = yield Call(writing.weights, float(len(images)), writing.step)
        shown = i < count and i % max(1, count // PREVIEWS) == 0
        yield Show(i, count, codes if shown else None)
    if bool(writing.bad.any()):
        raise NonFinite(
            "the network answered with NaN or infinity",
            hint="try --dtype float32; if that does not help, the weights are damaged (limner models check)",
        )
    del writing.slots  # not needed for pixels, and as large as the memory that drawing them takes
    pictures: list[Tensor] = []
    size = 1 if plan.device == "cpu" else DECODED
    for first in range(0, len(codes), size):
        pictures += yield from _decode(plan, checkpoint, codes[first : first + size])
    # The original cuts off where others round; cut here, rounding later changes nothing.
    return (torch.stack(pictures).clamp(0, 1) * 255).floor() / 255


def _decode(plan: Plan, checkpoint: str, codes: Tensor) -> Generator[Ask, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Codes to pixels. A half-precision decode that overflows is done again in float32, and noted."""
    dtype, pixels = plan.numerics.dtype, float(plan.recipe.width * plan.recipe.height)

    def rows(dtype: str) -> Eval:
        return Eval(tuple(Row(Weights(checkpoint, VQGAN, dtype), {"codes": each}, cost=pixels) for each in codes))

    try:
        return (yield rows(dtype))
    except NonFinite:
        if dtype == "float32":
            raise
    yield Note("float32-decode", f"the decode overflowed in {dtype} and was done again in float32")
    return (yield rows("float32"))
