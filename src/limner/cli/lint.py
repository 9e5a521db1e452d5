"""``limner lint``: what a model sees in a prompt, what it does not, and what might be added."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from limner.models.resolving.resolve import Resolved
    from limner.prompts.lint import Lint, Vocabulary


@click.command(name="lint")
@click.argument("words", nargs=-1, required=True, metavar="PROMPT...")
@click.option("-m", "--model", metavar="NAME", help="whose words to read it with; default: pocket")
@click.option("--compat", type=click.Choice(["a1111"]), help="by the rules of another tool")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on stdout")
@click.option("--offline", is_flag=True, help="never touch the network")
def command(words: tuple[str, ...], model: str | None, compat: str | None, as_json: bool, offline: bool) -> None:
    """Read a prompt as a model will: what it says, what it leaves open, which words the model cannot see."""
    from limner.cli.console import clean, out
    from limner.prompts.lint import lint
    from limner.prompts.reading import Reading
    from limner.types import Request

    prompt = Request.of(prompt=" ".join(words)).prompt
    resolved = _resolved(model, offline)
    vocabulary = _vocabulary(resolved)
    rest, own = _without_own_words(prompt)
    found = lint(rest, vocabulary, Reading(webui=compat is not None))
    if as_json:
        out(
            json.dumps(
                {**_facts(prompt, found, resolved.card.name), "textual_inversions": list(own)}, ensure_ascii=False
            )
        )
        return
    for line in _lines(found, vocabulary, resolved.card.name):
        out(line)
    if own:
        out(f"yours: {clean(', '.join(own))} (textual inversion{'s' if len(own) > 1 else ''}: not counted above)")


def _resolved(model: str | None, offline: bool) -> Resolved:
    """The model's files, located as drawing locates them. Raises ``ModelError``, ``UnknownName``."""
    from limner.config import Settings
    from limner.models.catalog import Catalog
    from limner.models.resolving.resolve import resolve

    settings = Settings.load()
    name = model or str(settings.value("model").value or "pocket")
    return resolve(name, settings, Catalog.load(), offline=offline or settings.offline)


def _without_own_words(prompt: str) -> tuple[str, tuple[str, ...]]:
    """The prompt without words that are linked textual inversions, which drawing knows, and those words."""
    from limner.config import Settings
    from limner.models.adapters.words import pattern_of
    from limner.session.shelf import Shelf

    known = Shelf(Settings.load()).words(tokens="<" in prompt)
    if not known:
        return prompt, ()
    pattern = pattern_of(known)
    return pattern.sub(" ", prompt), tuple(dict.fromkeys(match.casefold() for match in pattern.findall(prompt)))


def _vocabulary(resolved: Resolved) -> Vocabulary:
    from limner.errors import InvalidRequest
    from limner.session.planning import load_family

    vocabulary = load_family(resolved.card.family).vocabulary(resolved.files)
    if vocabulary is None:
        raise InvalidRequest(f"{resolved.card.name} does not say which words it reads", field="model")
    return vocabulary


def _lines(found: Lint, vocabulary: Vocabulary, model: str) -> Iterator[str]:
    from limner.cli.console import clean

    for slot, values in found.slots.items():
        yield f"{slot.value:8} {clean(', '.join(values)) or '-'}"
    more = f", {found.chunks} chunks" if found.chunks > 1 else ""
    yield f"{'tokens':8} {found.tokens} of {vocabulary.limit} a chunk{more}"
    if found.main_noun_unknown and found.main_noun:
        yield f"{model} does not know {clean(repr(found.main_noun))}, which this is about: it will draw something else"
    elif found.blind:
        yield f"{model} knows no word of this: it will draw what it likes"
    if others := [word for word in found.unknown if word != found.main_noun]:
        yield f"{model} cannot see: {clean(', '.join(others))}"
    for problem in found.problems:
        yield f"note: {clean(problem)}"
    if found.proposal is not None:
        yield f"perhaps: {clean(found.proposal)}"


def _facts(prompt: str, found: Lint, model: str) -> dict[str, object]:
    return {
        "prompt": prompt,
        "model": model,
        "slots": {slot.value: list(values) for slot, values in found.slots.items()},
        "missing": [slot.value for slot in found.missing],
        "main_noun": found.main_noun,
        "main_noun_unknown": found.main_noun_unknown,
        "unknown": list(found.unknown),
        "tokens": found.tokens,
        "chunks": found.chunks,
        "problems": list(found.problems),
        "proposal": found.proposal,
    }
