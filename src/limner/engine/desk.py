"""The engine's desk: turns tickets into jobs and what becomes of jobs into tidings. Runs on the engine's thread."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from limner.engine import threads
from limner.engine.engine import Engine
from limner.engine.job import Job
from limner.engine.meter import mapped_bytes
from limner.engine.runner import TorchRunner, is_out_of_memory
from limner.engine.scheduler import Scheduler
from limner.engine.ticket import Locate, Ticket
from limner.engine.work import Work
from limner.errors import Cancelled, GenerationError, LimnerError, OutOfMemory
from limner.models.adapters.worn import in_place_of
from limner.models.estimates.estimate import runtime_bytes
from limner.models.estimates.offers import offers
from limner.models.family import Family, Files, Leaning, Together
from limner.models.machine import probe, usable_memory
from limner.sampling import catalog
from limner.sampling.course import Course, Show, Weights
from limner.types import Cancelled as WasCancelled
from limner.types import Done, Drawn, Facts, Failed, Loading, Notice, Pixels, Plan, Step, Warned
from limner.version import VERSION


@dataclass(slots=True)
class Open:
    """A ticket under way: its jobs still running, and the first error. ``checkpoint`` is the name its rows use."""

    ticket: Ticket
    family: Family
    files: Files
    checkpoint: str
    left: set[str] = field(default_factory=set)
    error: BaseException | None = None
    cancelled: bool = False


class NoRoom(LimnerError):
    """A preview would cost the picture its memory."""


class Desk:
    """``closing`` tells whether all is to end, also while the engine is inside a Call."""

    def __init__(self, locate: Locate, closing: Callable[[], bool] = lambda: False) -> None:
        self._locate = locate
        self._closing = closing
        self.runner = TorchRunner(budget, self._tell_loading)
        self.engine = Engine(self.runner, Scheduler(), self._finished)
        self._open: dict[str, Open] = {}
        self._owner: dict[str, tuple[Open, tuple[int, ...]]] = {}
        self._order = itertools.count()

    @property
    def idle(self) -> bool:
        return self.engine.idle

    @torch.inference_mode()
    def accept(self, ticket: Ticket) -> None:
        """Open a ticket: one job an image. Whatever goes wrong here is told to the ticket, never raised."""
        plan = ticket.plan
        try:
            family, files = self._locate(plan)
            device = torch.device(plan.device)
            # The device is part of the name: the same checkpoint may live on two.
            checkpoint = f"{plan.model.weights_hash()}@{device}"
            self.runner.register(checkpoint, family, files, device)
            self.runner.residency.expect(ticket.id, checkpoint, plan.estimate.parts)
            self._open_jobs(Open(ticket, family, files, checkpoint))
        except Exception as error:
            self._abandon(ticket.id)
            ticket.tell(Failed(as_ours(error)))

    @torch.inference_mode()
    def step(self) -> None:
        """One engine step. A fault of the engine itself fails every open ticket; the next ticket starts afresh."""
        try:
            self.engine.step()
        except Exception as error:
            for opened in list(self._open.values()):
                self._abandon(opened.ticket.id)
                opened.ticket.tell(Failed(as_ours(error)))

    @torch.inference_mode()
    def compute(self, work: Work[object]) -> None:
        """Work that is no drawing, between two steps. Its errors are its own."""
        work.run(_of_memory)

    def cancel(self, ticket_id: str) -> None:
        if opened := self._open.get(ticket_id):
            opened.cancelled = True
            for job_id in opened.left:
                self.engine.cancel(job_id)

    def close(self) -> None:
        for opened in list(self._open.values()):
            opened.ticket.tell(WasCancelled())

    def _open_jobs(self, opened: Open) -> None:
        plan = opened.ticket.plan
        self._open[opened.ticket.id] = opened
        number = threads.number(plan, probe(), threads.own(), asked=threads.ASKED)
        for images in _groups(opened.family, len(plan.seeds)):
            job = Job(
                id=f"{opened.ticket.id}/{images[0]}",
                order=next(self._order),
                course=_course(opened, images),
                alone=plan.numerics.batching == "alone",
                on_show=self._shown,
                on_note=self._noted,
                stopped=lambda: opened.ticket.cancelling or self._closing(),
                threads=number,
            )
            self._owner[job.id] = (opened, images)
            opened.left.add(job.id)
            self.engine.add(job)

    def _abandon(self, ticket_id: str) -> None:
        """Let go of a ticket and its jobs without telling anyone."""
        self.runner.residency.forget(ticket_id)
        if opened := self._open.pop(ticket_id, None):
            for job_id in opened.left:
                self.engine.forget(job_id)
                self._owner.pop(job_id, None)

    def _shown(self, job: Job, show: Show) -> None:
        opened, images = self._owner[job.id]
        part = self._part_of(opened)
        for place, k in enumerate(images):
            preview = None
            if opened.ticket.previews and show.latent is not None:
                latent = show.latent[place] if _together(opened.family) else show.latent
                try:
                    preview = opened.family.preview(latent, part)
                except NoRoom as error:
                    job.note("no-previews", error.message)
            opened.ticket.tell(Step(opened.ticket.plan.first + k, show.step, show.steps, preview))

    def _part_of(self, opened: Open) -> Callable[[str], torch.nn.Module]:
        """The parts that previews are made with; ``NoRoom`` rather than driving out what draws."""
        dtype = opened.ticket.plan.numerics.dtype

        def part_of(part: str) -> torch.nn.Module:
            weights = Weights(opened.checkpoint, part, dtype, in_place_of(part, opened.ticket.plan.adapters))
            if not self.runner.residency.fits_beside(weights):
                raise NoRoom(f"no previews: {part} does not fit into memory beside what draws")
            return self.runner.module(weights)

        return part_of

    def _noted(self, job: Job, notice: Notice) -> None:
        opened, images = self._owner[job.id]
        for k in images:
            opened.ticket.tell(Warned(notice, opened.ticket.plan.first + k))

    def _finished(self, job: Job) -> None:
        opened, images = self._owner.pop(job.id)
        opened.left.discard(job.id)
        if job.picture is not None:
            pictures = job.picture if _together(opened.family) else job.picture[None]
            facts = self._facts(opened, job)
            for k, picture in zip(images, pictures, strict=True):
                opened.ticket.tell(Drawn(opened.ticket.plan.first + k, to_pixels(picture), facts))
        elif isinstance(job.error, Cancelled):
            opened.cancelled = True
        else:
            opened.error = opened.error or with_offers(job.error, opened.ticket.plan)
        if not opened.left:
            self._close(opened)

    def _close(self, opened: Open) -> None:
        del self._open[opened.ticket.id]
        self.runner.residency.forget(opened.ticket.id)
        if opened.error is not None:
            opened.ticket.tell(Failed(as_ours(opened.error)))
        else:
            opened.ticket.tell(WasCancelled() if opened.cancelled else Done(()))

    def _tell_loading(self, checkpoint: str, part: str) -> None:
        for opened in self._open.values():
            if opened.checkpoint == checkpoint:
                opened.ticket.tell(Loading(opened.ticket.plan.model.name, part))

    def _peak(self, job: Job, device: torch.device) -> int | None:
        """With the weights that are used as they lie in their files."""
        mapped = mapped_bytes(self.runner.residency.modules(str(device))) if device.type == "cpu" else 0
        return None if job.peak is None else job.peak + mapped

    def _facts(self, opened: Open, job: Job) -> Facts:
        device = torch.device(opened.ticket.plan.device)
        timings = {part: round(seconds, 4) for part, seconds in job.seconds.items()}
        timings["total"] = round(sum(job.seconds.values()), 4)
        return Facts(
            device_name=device_name(device),
            threads=job.threads or threads.own(),
            timings=timings,
            peak_bytes=self._peak(job, device),
            versions={**versions(), **(opened.family.versions() if isinstance(opened.family, Leaning) else {})},
            notices=tuple(job.notices),
        )


def budget(device: str) -> int:
    """Bytes for weights and work on a device, beside what was in use when the process began."""
    return max(usable_memory(device, probe()) - runtime_bytes(device), 0)


def with_offers(error: BaseException | None, plan: Plan) -> BaseException | None:
    """Out of memory, with what would fit by the plan's own figures; any other error as it is."""
    if not isinstance(error, OutOfMemory):
        return error
    fitting = [offer for offer in offers(plan, probe()) if offer.fits]
    if not fitting:
        return error
    return OutOfMemory(error.message, hint=f"this would fit: {'; '.join(offer.text() for offer in fitting)}")


def as_ours(error: BaseException) -> LimnerError:
    """The error itself if it was raised on purpose, else one that says what happened and keeps the cause."""
    if isinstance(error, LimnerError):
        return error
    ours = GenerationError(
        f"the engine failed: {type(error).__name__}: {error}",
        hint="this is a fault in Limner; please report it with the command you ran",
    )
    ours.__cause__ = error
    return ours


def _of_memory(error: Exception) -> Exception:
    if not isinstance(error, LimnerError) and is_out_of_memory(error):
        return OutOfMemory("the work beside drawing does not fit into memory", hint="limner metrics: a smaller scorer")
    return error


def _together(family: Family) -> bool:
    return isinstance(family, Together)


def _groups(family: Family, count: int) -> list[tuple[int, ...]]:
    """Which images one job makes: one, or as many as the family makes together."""
    size = family.together if isinstance(family, Together) else 1
    return [tuple(range(first, min(first + size, count))) for first in range(0, count, size)]


def _course(opened: Open, images: tuple[int, ...]) -> Course:
    family, plan = opened.family, opened.ticket.plan
    if isinstance(family, Together):
        return family.course_together(plan, images, opened.checkpoint)
    card = catalog.find(plan.recipe.solver) if plan.recipe.solver else None
    return family.course(plan, images[0], catalog.load(card) if card else None, opened.checkpoint, opened.files)


def to_pixels(picture: torch.Tensor) -> Pixels:
    """Float 3 x H x W in 0..1 to uint8 H x W x 3, rounded to nearest as diffusers does."""
    scaled = picture.clamp(0, 1).mul(255).round().to(torch.uint8)
    pixels: Pixels = np.ascontiguousarray(scaled.permute(1, 2, 0).cpu().numpy())
    return pixels


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else probe().cpu


def versions() -> dict[str, str]:
    return {
        "limner": VERSION,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
