"""The known suites: where each is published, under which licence, and what its numbers may be compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from limner.config import Settings
from limner.errors import ModelNotFound
from limner.types import Frozen

POCKET = "pocket-suite"
FOLDER = "suites"
Layout = Literal["pocket", "parti", "geneval", "dsg", "own"]


class Suite(Frozen):
    """A set of prompts. ``repo`` at ``commit`` publishes ``path``, whose hash is ``sha256``; without a repo it ships
    with Limner, or is the user's own. ``note`` says what its numbers may not be compared with."""

    name: str
    title: str
    layout: Layout
    licence: str
    source: str
    note: str
    repo: str | None = None
    commit: str | None = None
    path: str = ""
    sha256: str | None = None

    @property
    def fetched(self) -> bool:
        """True where the user has to fetch it from its publisher."""
        return self.repo is not None

    def file(self, settings: Settings) -> Path:
        """Where it is, or would be."""
        if self.layout == "own":
            return Path(self.path)
        if not self.fetched:
            return Path(__file__).parent / self.path
        return settings.library_root / FOLDER / self.name / Path(self.path).name


KNOWN = (
    Suite(
        name=POCKET,
        title="120 prompts of the built-in world that its models were not trained on, with their atoms",
        layout="pocket",
        licence="Apache-2.0",
        source="Limner, training/evaluate/heldout.jsonl",
        note="numbers compare pocket models with each other, and with nothing else",
        path="pocket.jsonl",
    ),
    Suite(
        name="parti",
        title="PartiPrompts: 1,632 prompts by category and challenge",
        layout="parti",
        licence="Apache-2.0",
        source="Yu et al. 2022, arXiv:2206.10789",
        note="not comparable to the paper, whose figures are votes of people",
        repo="google-research/parti",
        commit="5a657978134374ce28973948331b319adef164bd",
        path="PartiPrompts.tsv",
        sha256="fab29e41bb512a169b56acab4cf2a41dcb675e285df2efcde6640c7dd3c440eb",
    ),
    Suite(
        name="geneval",
        title="GenEval: 553 prompts of objects, counts, colours and positions",
        layout="geneval",
        licence="MIT",
        source="Ghosh et al. 2023, arXiv:2310.11513",
        note="not comparable to the paper: its object detector is not used here",
        repo="djghosh13/geneval",
        commit="af4902f24d3ca90ebbb446dd9891a59e0f82725f",
        path="prompts/evaluation_metadata.jsonl",
        sha256="5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13",
    ),
    Suite(
        name="dsg-1k",
        title="DSG-1k: 1,060 prompts, from ten data sets",
        layout="dsg",
        licence="Apache-2.0; its prompts come from other data sets, under their own terms",
        source="Cho et al. 2023, arXiv:2310.18235",
        note="not comparable to the paper: its questions are not asked, nor is its model",
        repo="j-min/DSG",
        commit="7330119a39f76ff90e619a8bd3ff321e71aa986b",
        path="dsg/data/dsg-1k-anns.csv",
        sha256="b7ce06ea8a0478ccfd8fba105ecd26d7d301eb99d5c412987546c4cc8e08917a",
    ),
)


def find(name: str) -> Suite:
    """A known suite by name, or a prompt file as one. Raises ``ModelNotFound`` for what is neither."""
    for suite in KNOWN:
        if suite.name == name.lower():
            return suite
    path = Path(name).expanduser()
    if path.is_file():
        return Suite(
            name=path.stem,
            title="your prompts",
            layout="own",
            licence="yours",
            source=path.name,
            note="numbers compare models over these prompts, and with nothing else",
            path=str(path),
        )
    raise ModelNotFound(
        f"there is no suite, and no file, {name!r}",
        hint=f"suites: {', '.join(suite.name for suite in KNOWN)}; or a .txt, .csv, .tsv or .jsonl file of prompts",
    )
