"""What diffusers and transformers say while they work: kept from the terminal, and handed on where it matters."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["heard", "without_bars"]

LOUD = ("diffusers", "transformers")
LONGEST = 300  # characters of one warning
OF_NO_USE = ("torchvision", "clean_caption")  # what is missing for other tasks, and what Limner turned off itself


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collect what the libraries warn of; nothing of it is printed. Each message once, in order, when the block ends.

    Python's own warnings are left out: they tell programmers what will change, not what became of a picture.
    """
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    for each in (of_diffusers, of_transformers):
        each.get_logger()  # which gives a library its own handler; given later, it would print
    found: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = " ".join(record.getMessage().split())[:LONGEST]
            if message not in found and not any(word in message for word in OF_NO_USE):
                found.append(message)

    loggers = [logging.getLogger(name) for name in LOUD]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    ear = Ear(logging.WARNING)
    try:
        for logger in loggers:
            logger.handlers, logger.propagate = [ear], False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield found
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


@contextmanager
def without_bars() -> Iterator[None]:
    """No progress bars of the libraries' own while weights are read: Limner tells that it is loading."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    shown = [each for each in (of_diffusers, of_transformers) if each.is_progress_bar_enabled()]
    for each in shown:
        each.disable_progress_bar()
    try:
        yield
    finally:
        for each in shown:
            each.enable_progress_bar()
