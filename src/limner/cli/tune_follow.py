"""Following a training run: a line at times, samples, Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from limner.cli.console import say

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.session import Session
    from limner.tune.tuning import Tuning

EVERY = 10.0  # seconds between lines


class Stop:
    """Set by Ctrl-C: the step that runs is finished and saved. A second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    @contextmanager
    def listening(self) -> Iterator[None]:
        def heard(_signal: int, _frame: FrameType | None) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True
            say("stopping after this step; Ctrl-C again stops at once", warn=True)

        before = signal.signal(signal.SIGINT, heard)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def follow(tuning: Tuning, session: Session, telling: Telling) -> str:
    """Run it; how it ended. Raises what ``Tuning.run`` does."""
    stop, line = Stop(), _Line(tuning, telling)

    def looked(step: int) -> None:
        line.looked()
        settings = tuning.settings
        last = step >= settings.steps
        if settings.samples and not stop() and (last or (settings.sample_every and step % settings.sample_every == 0)):
            sample(tuning, session, step, telling)

    with stop.listening():
        ended = tuning.run(stop=stop, looked=looked, told=line.told)
    line.clear()
    if ended.why == "stopped":
        say(f"stopped at step {ended.step}, and saved; the same command with --resume goes on", warn=True)
    else:
        early = " early: the held-out pictures gained no more" if ended.why == "early" else ""
        telling.say(f"ended{early}; the weights are of step {ended.best}; losses: {tuning.folder / 'loss.svg'}")
        telling.say(f'limner -m {tuning.base.name} --lora {tuning.out} "{tuning.words.asked}"')
    return ended.why


def sample(tuning: Tuning, session: Session, step: int, telling: Telling) -> None:
    """Draw the validation prompts with the file as it is now, always from the same seeds."""
    from limner.cli.adapters import lora_names

    names = lora_names([str(tuning.out)])
    settings = tuning.settings
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
        path = tuning.folder / "samples" / f"step-{step:06d}-{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        for image in session.generate(request).result():
            image.save(path)
    telling.say(f"step {step}: samples in {Path(tuning.folder) / 'samples'}")


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

    def looked(self) -> None:
        self.clear()

    def clear(self) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
