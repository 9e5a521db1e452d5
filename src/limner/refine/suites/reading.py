"""Suites as prompts: each publisher's file in its own layout, each prompt once."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from limner.errors import CorruptFile, ModelNotFound
from limner.prompts.extra_networks import parse as without_tags
from limner.prompts.files import FieldValue, PromptLine, read_prompts
from limner.prompts.syntax import escape
from limner.prompts.text import read_text
from limner.refine.atoms import plain
from limner.refine.suites.catalog import Layout, Suite

LARGEST = 50_000_000  # bytes


@dataclass(frozen=True, slots=True)
class SuitePrompt:
    """A prompt of a suite: ``words`` are what pictures are scored against, ``prompt`` what is drawn (a published
    prompt's brackets are letters, a user's are weights)."""

    words: str
    prompt: str
    category: str = ""
    negative: str = ""
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


def prompts_of(suite: Suite, path: Path, *, category: str | None = None) -> tuple[SuitePrompt, ...]:
    """A suite's prompts, each once and in order. ``category`` names the column of a user's own file.

    Raises ``ModelNotFound`` where it has not been fetched, ``CorruptFile`` where it is not what was published, and
    ``InvalidRequest`` for a user's file that cannot be read.
    """
    if suite.layout == "own":
        return tuple(_once(_own(read_prompts(path), category)))
    if not path.is_file():
        raise ModelNotFound(
            f"{suite.name} is not here, and may not be shipped", hint=f"fetch it: limner bench fetch {suite.name}"
        )
    try:
        text = read_text(path, limit=LARGEST, what=f"suite {suite.name}", field="suite")
        found = tuple(_once(_READERS[suite.layout](text)))
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise _damaged(suite) from error
    if not found:
        raise _damaged(suite)
    return found


def _damaged(suite: Suite) -> CorruptFile:
    again = f"fetch it again: limner bench fetch {suite.name} --again" if suite.fetched else "install Limner again"
    return CorruptFile(f"the file of {suite.name} is damaged", hint=again)


def _once(prompts: Iterable[SuitePrompt]) -> Iterator[SuitePrompt]:
    seen: set[tuple[str, str]] = set()
    for each in prompts:
        if (each.prompt, each.negative) not in seen:
            seen.add((each.prompt, each.negative))
            yield each


def _said(words: str, category: str) -> SuitePrompt:
    return SuitePrompt(words, escape(words), category)


def _pocket(text: str) -> Iterator[SuitePrompt]:
    for row in map(json.loads, text.splitlines()):
        yield _said(row["prompt"], row["category"])


def _parti(text: str) -> Iterator[SuitePrompt]:
    lines = (line.split("\t") for line in text.split("\n") if line.strip())
    head = next(lines)
    prompt, category = head.index("Prompt"), head.index("Category")
    for row in lines:
        words = row[prompt].strip()
        if len(words) > 1 and words[0] == words[-1] == '"':
            words = words[1:-1].replace('""', '"')
        yield _said(words, row[category].strip())


def _geneval(text: str) -> Iterator[SuitePrompt]:
    for row in map(json.loads, filter(str.strip, text.splitlines())):
        yield _said(row["prompt"], row["tag"])


def _dsg(text: str) -> Iterator[SuitePrompt]:
    for row in csv.DictReader(io.StringIO(text, newline="")):
        yield _said(row["text"].strip(), row["item_id"].rpartition("_")[0])


def _own(lines: Iterable[PromptLine], category: str | None) -> Iterator[SuitePrompt]:
    for line in lines:
        by_name = {column.strip().lower(): value for column, value in line.tags.items()}
        names = ("category", "kind", "tag") if category is None else (category.lower(),)
        found = next((by_name[name] for name in names if name in by_name), "")
        words = plain(without_tags(line.prompt).text)
        yield SuitePrompt(words, line.prompt, found, line.negative, line.fields)


_READERS: Mapping[Layout, Callable[[str], Iterator[SuitePrompt]]] = {
    "pocket": _pocket,
    "parti": _parti,
    "geneval": _geneval,
    "dsg": _dsg,
}
