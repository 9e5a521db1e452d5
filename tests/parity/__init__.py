"""Whole pictures here against those of the library a family comes from: same weights, same seed, same words.

    python -m tests.parity                    # all subjects; rewrites docs/parity.md
    python -m tests.parity --family sdxl      # some of them; prints and writes nothing

A subject is one way of drawing and the solvers it is compared with. To add some, write a module with a tuple
``SUBJECTS`` and name it in ``MODULES``. Tests draw their cases from here too, so the page says what is tested.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from limner import Session
from limner.types import Pixels

MODULES = ("tests.parity.latents", "tests.parity.edits", "tests.parity.adapters")
BOUND = 2  # of 255


class Bench:
    """Where checkpoints are written, once each, and the session that draws."""

    def __init__(self, root: Path, session: Session) -> None:
        self.root = root
        self.session = session

    def folder(self, name: str, write: Callable[[Path], object]) -> Path:
        """The folder of a checkpoint, written the first time it is asked for."""
        folder = self.root / name
        if not folder.exists():
            write(folder)
        return folder


class Subject(Protocol):
    """One way of drawing. ``apart`` says for a solver why it is not compared."""

    family: str
    what: str
    solvers: tuple[str, ...]
    apart: Mapping[str, str]

    def ours(self, bench: Bench, solver: str) -> Pixels: ...
    def theirs(self, bench: Bench, solver: str) -> Pixels: ...


class Distance(NamedTuple):
    """``largest`` difference of any value, of 255, and the ``share`` of values that differ at all; ``spread`` is the
    standard deviation of the expected picture, since a flat one would prove nothing."""

    largest: int
    share: float
    spread: float


@dataclass(frozen=True)
class Measured:
    family: str
    what: str
    distances: Mapping[str, Distance] = field(default_factory=dict)
    apart: Mapping[str, str] = field(default_factory=dict)


def subjects(*families: str) -> list[Subject]:
    """Those of all modules, or of the named families."""
    found = [subject for module in MODULES for subject in importlib.import_module(module).SUBJECTS]
    return [subject for subject in found if not families or subject.family in families]


def cases(*families: str) -> Iterator[tuple[Subject, str]]:
    """Each subject with each of its solvers."""
    for subject in subjects(*families):
        for solver in subject.solvers:
            yield subject, solver


def named(case: tuple[Subject, str]) -> str:
    """A test's name of a case."""
    subject, solver = case
    return f"{subject.family}-{subject.what}-{solver}".replace(" ", "-").replace(",", "")


def distance(subject: Subject, solver: str, bench: Bench) -> Distance:
    """Draw it here and there. Raises ``AssertionError`` where the pictures have different shapes."""
    ours, theirs = subject.ours(bench, solver), subject.theirs(bench, solver)
    assert ours.shape == theirs.shape, f"{ours.shape} here, {theirs.shape} there"
    gaps = np.abs(ours.astype(int) - theirs.astype(int))
    return Distance(int(gaps.max()), float((gaps > 0).mean()), float(theirs.std()))
