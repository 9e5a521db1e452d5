"""Following a training run: a line at times, samples, Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from limner.cli.console import say
from limner.cli.faults import INTERRUPTED
from limner.errors import LimnerError

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.session import Session
    from limner.tune.loop import Ended
    from limner.tune.planning import Planned
    from limner.tune.tuning import Tuning

EVERY = 10.0  # seconds between lines
WORDS = 60  # characters of a caption that are repeated
HEARD = (signal.SIGINT, signal.SIGTERM)
STOPPED: Mapping[int | None, int] = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: 128 + signal.SIGTERM}
"""Exit codes of a run that was stopped and saved, as shells have them."""


class Stop:
    """Set by Ctrl-C and SIGTERM: the step that runs is finished and saved. A second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    @contextmanager
    def listening(self) -> Iterator[None]:
        def heard(number: int, _frame: FrameType | None) -> None:
            if self.signal is not None and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.signal = number
            say("stopping after this step; Ctrl-C again stops at once", warn=True)

        before = {each: signal.signal(each, heard) for each in HEARD}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


@dataclass(frozen=True)
class Outcome:
    """How a run ended; ``signal`` is what stopped it, if anything did. ``peak`` is in bytes."""

    ended: Ended
    out: Path
    seconds: float
    peak: int | None
    signal: int | None

    def sheet(self) -> dict[str, object]:
        """What --json says of it."""
        return {
            "ended": self.ended.why,
            "path": str(self.out),
            "steps": self.ended.step,
            "step": self.ended.best,
            "changed": self.ended.best > 0,
            "trained_seconds": round(self.seconds, 1),
            "peak_bytes": self.peak,
        }


def follow(planned: Planned, session: Session, telling: Telling) -> Outcome:
    """Prepare and run it. Raises what ``prepare`` and ``Tuning.run`` do."""
    from limner.tune.cost import peak_memory
    from limner.tune.tuning import prepare

    tuning = prepare(planned, session, tell=telling.say)
    for notice in tuning.notices:
        telling.warn(notice)
    stop, line = Stop(), _Line(tuning, telling)

    def looked(step: int) -> None:
        line.clear()
        if not stop() and planned.settings.samples_at(step) and step < planned.settings.steps:
            sample(tuning, session, step, telling)

    with stop.listening():
        if planned.settings.samples and planned.begun == 0:
            sample(tuning, session, 0, telling)
        ended = tuning.run(stop=stop, looked=looked, told=line.told)
        line.clear()
        if planned.settings.samples and ended.why != "stopped":
            sample(tuning, session, ended.step, telling)
    made = Outcome(
        ended,
        planned.out,
        tuning.trainer.seconds,
        peak_memory(planned.settings.device),
        stop.signal if ended.why == "stopped" else None,
    )
    _tell(made, planned, telling)
    return made


def _tell(made: Outcome, planned: Planned, telling: Telling) -> None:
    ended = made.ended
    peak = "" if made.peak is None else f", {made.peak / 2**30:.1f} GiB of memory at the peak"
    telling.say(f"{made.seconds:.0f} s of training{peak}; losses: {planned.folder / 'loss.svg'}")
    if ended.why == "stopped":
        say(f"stopped at step {ended.step}, and saved; the same command with --resume goes on", warn=True)
        return
    early = " early: the held-out pictures gained no more" if ended.why == "early" else ""
    if ended.best == 0:
        telling.warn(
            f"ended{early}; nothing was learnt: on the held-out pictures every later step did worse than none, so the "
            "file changes nothing. A smaller --lr, or --hold-out 0, under another --out"
        )
        return
    telling.say(f"ended{early}; the weights are of step {ended.best}")
    telling.say(
        shlex.join(["limner", "-m", planned.settings.model, "--lora", str(planned.out), shortened(planned.words.tried)])
    )


def shortened(words: str) -> str:
    """A prompt to try: the first part of a long caption."""
    return words if len(words) <= WORDS else words[:WORDS].rpartition(" ")[0].rstrip(",.;") or words[:WORDS]


def sample(tuning: Tuning, session: Session, step: int, telling: Telling) -> None:
    """Draw the validation prompts with the file as it is now, always from the same seeds; step 0 is the base alone.
    What cannot be drawn is told, and does not end the training."""
    settings, folder = tuning.settings, tuning.folder / "samples"
    try:
        with lent(tuning.out) if step else nothing() as names:
            for k, prompt in enumerate(settings.samples):
                request = session.request(
                    prompt,
                    model=settings.model,
                    loras=names,
                    seed=k,
                    width=tuning.side,
                    height=tuning.side,
                    device=settings.device,
                )
                folder.mkdir(parents=True, exist_ok=True)
                for image in session.generate(request).result():
                    image.save(folder / f"step-{step:06d}-{k}.png")
    except (LimnerError, OSError) as error:
        tuning.trainer.journal.write(step=step, samples=f"failed: {error}")
        telling.warn(f"step {step}: samples could not be drawn, and training goes on: {error}")
        return
    telling.say(f"step {step}: samples in {folder}")


@contextmanager
def lent(path: Path) -> Iterator[tuple[str, ...]]:
    """A LoRA file's names for the session; a link that it needs for that is gone afterwards."""
    from limner.cli.adapters import linked_already, lora_names, unlink

    there = linked_already(path)
    try:
        yield lora_names([str(path)], tell=False)
    finally:
        if not there:
            unlink(path)


@contextmanager
def nothing() -> Iterator[tuple[str, ...]]:
    yield ()


class _Line:
    """A line every ten seconds; in a terminal always the same one."""

    def __init__(self, tuning: Tuning, telling: Telling) -> None:
        self._tuning, self._telling = tuning, telling
        self._at = time.monotonic()
        self._mean: float | None = None
        self._terminal = telling.to_people and sys.stderr.isatty()

    def told(self, step: int, loss: float) -> None:
        self._mean = loss if self._mean is None else 0.95 * self._mean + 0.05 * loss
        now = time.monotonic()
        if not self._telling.to_people or now - self._at < (0.5 if self._terminal else EVERY):
            return
        self._at = now
        trainer = self._tuning.trainer
        took = trainer.journal.recent_seconds()
        left = (self._tuning.settings.steps - step) * took
        text = f"step {step}/{self._tuning.settings.steps}  loss {self._mean:.4f}  {took:.2f} s a step"
        if trainer.held:
            text += f"  held out {trainer.held[-1][1]:.4f}"
        text += f"  about {left / 60:.1f} min left"
        if self._terminal:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
        else:
            say(text, dim=True)

    def clear(self) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
