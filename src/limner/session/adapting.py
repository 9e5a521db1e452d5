"""What is laid over a checkpoint for one request: the adapters its fields and words name, and their files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from limner.config import Settings
from limner.errors import LimnerError, UnsupportedField
from limner.models.adapters.called import called
from limner.models.adapters.words import pattern_of
from limner.models.links.names import asked
from limner.prompts.extra_networks import Named, has_tag, named, parse
from limner.session.shelf import Shelf
from limner.types import Adapter, Notice, Record, Request

LORAS, VAE = "loras", "vae"
KINDS = frozenset({"lora", "embedding", "vae"})


@dataclass(frozen=True, slots=True)
class Laid:
    """The request without the words that named adapters, the adapters, their files by hash, and what to say."""

    request: Request
    adapters: tuple[Adapter, ...] = ()
    extras: Mapping[str, Path] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()


def lay_over(
    request: Request, settings: Settings, honours: Collection[str], pinned: Sequence[Adapter] | None = None
) -> Laid:
    """Find the adapters that a request names: ``loras``, ``vae``, ``<lora:...>`` in the prompt, and words that are
    textual inversions. ``honours`` are the fields that the model's family can carry out. With ``pinned`` adapters, a
    Record's, the words that are textual inversions are the ones among them, and no others.

    Raises ``UnknownName``, ``UnsupportedField``, ``InvalidRequest``, ``ModelError``.
    """
    parsed = parse(request.prompt)
    if LORAS not in honours:
        if parsed.named:
            raise UnsupportedField(
                f"this model cannot use the LoRA {parsed.named[0].name!r} that the prompt names",
                field=LORAS,
                hint="leave <lora:...> out, or use another model",
            )
        return Laid(request)
    shelf = Shelf(settings)
    words = [*(_words(request, parsed.text, shelf) if pinned is None else _same_words(pinned, shelf))]
    loras, twice = _added_up(_loras(request, parsed.named, shelf))
    found = [*loras, *_vae(request, shelf), *words]
    extras = {adapter.hash: path for adapter, path in found}
    worded = request if parsed.text == request.prompt else request.but(prompt=parsed.text)
    notices = (*_notices(request), *twice, *(_used(adapter) for adapter, _ in words))
    return Laid(worded, tuple(adapter for adapter, _ in found), extras, notices)


def files_of(adapters: tuple[Adapter, ...], settings: Settings) -> Mapping[str, Path]:
    """Where the adapters of a Plan made elsewhere lie here, by hash. Raises ``ModelNotFound`` where one is missing."""
    shelf = Shelf(settings)
    return {each.hash: shelf.of_hash(each.kind, each.name, each.hash) for each in adapters if each.kind in KINDS}


def called_by(laid: Laid) -> frozenset[str]:
    """The words, lower case, that the LoRAs' own files say call them."""
    found: list[str] = []
    for each in laid.adapters:
        path = laid.extras.get(each.hash) if each.kind == "lora" else None
        try:
            found += called(path) if path is not None else ()
        except LimnerError:
            continue  # a file that cannot be read is not drawn with either: the engine says so
    return frozenset(word for phrase in found for word in phrase.lower().split())


def without_words(text: str, adapters: tuple[Adapter, ...]) -> str:
    """``text`` without the words that stand for vectors: what the model's own vocabulary has to know."""
    words = [each.word for each in adapters if each.word is not None]
    return pattern_of(words).sub("", text) if words else text


def asked_again(record: Record) -> dict[str, object]:
    """Request fields that name the LoRA and the VAE of a Record by name and hash: a file of that name with other
    contents is not taken for it. Tags are taken out of the prompt, as the fields say the same."""
    fields: dict[str, object] = {}
    if loras := tuple(_lora_again(each) for each in record.adapters if each.kind == "lora"):
        fields = {"prompt": parse(record.prompt).text, LORAS: loras}
    if vae := next((each for each in record.adapters if each.kind == "vae"), None):
        fields[VAE] = _hashed(vae)
    return fields


def _hashed(adapter: Adapter) -> str:
    return f"{adapter.name} [{adapter.hash.partition(':')[2]}]"


def _lora_again(adapter: Adapter) -> str:
    text = "" if adapter.text_scale is None else f"{adapter.text_scale!r}:"
    return f"{_hashed(adapter)}:{text}{adapter.scale!r}"


def _loras(request: Request, tagged: tuple[Named, ...], shelf: Shelf) -> Iterator[tuple[Adapter, Path]]:
    for each in (*map(named, request.loras), *tagged):
        path = shelf.find("lora", each.name, field=LORAS)
        yield (
            Adapter(
                kind="lora",
                name=_plain(each.name),
                hash=shelf.hash_of(path),
                scale=each.scale,
                text_scale=each.text_scale,
            ),
            path,
        )


def _added_up(found: Iterable[tuple[Adapter, Path]]) -> tuple[list[tuple[Adapter, Path]], list[Notice]]:
    """LoRA add up, in any order: each file once, in the order of their hashes, so that the same sum is the same Plan
    and the same pixels."""
    made: dict[str, tuple[Adapter, Path]] = {}
    notices = []
    for adapter, path in found:
        if adapter.hash not in made:
            made[adapter.hash] = adapter, path
            continue
        first, _ = made[adapter.hash]
        scale, text = first.scale + adapter.scale, _text_scale(first) + _text_scale(adapter)
        both = first.model_copy(update={"scale": scale, "text_scale": None if text == scale else text})
        made[adapter.hash] = both, path
        said = f"LoRA {adapter.name!r} is named more than once: its weights add up to {scale:g}"
        notices.append(Notice(code="lora-added-up", message=said))
    return [made[each] for each in sorted(made)], notices


def _text_scale(adapter: Adapter) -> float:
    return adapter.scale if adapter.text_scale is None else adapter.text_scale


def _vae(request: Request, shelf: Shelf) -> Iterator[tuple[Adapter, Path]]:
    if request.vae is not None:
        path = shelf.find("vae", request.vae, field=VAE)
        yield Adapter(kind="vae", name=_plain(request.vae), hash=shelf.hash_of(path)), path


def _words(request: Request, prompt: str, shelf: Shelf) -> Iterator[tuple[Adapter, Path]]:
    """Textual inversions in the order in which their words first stand in the texts."""
    texts = (prompt, request.negative or "", request.morph_to or "")
    known = shelf.words(tokens=any("<" in text for text in texts))
    if not known:
        return
    by_word = {word.casefold(): word for word in known}
    pattern = pattern_of(by_word)
    for found in dict.fromkeys(match.casefold() for text in texts for match in pattern.findall(text)):
        word = by_word[found]
        path = shelf.find("embedding", known[word], field="prompt")
        yield Adapter(kind="embedding", name=known[word], hash=shelf.hash_of(path), word=word), path


def _same_words(pinned: Sequence[Adapter], shelf: Shelf) -> Iterator[tuple[Adapter, Path]]:
    for each in pinned:
        if each.kind == "embedding":
            yield each, shelf.of_hash("embedding", each.name, each.hash)


def _used(adapter: Adapter) -> Notice:
    file = "" if adapter.word == adapter.name else f" {adapter.name!r}"
    return Notice(code="embedding", message=f"the word {adapter.word!r} stands for the textual inversion{file} here")


def _plain(name: str) -> str:
    """Without the hash behind it."""
    return name if asked(name).hash is None else name.rpartition("[")[0].strip()


def _notices(request: Request) -> Iterator[Notice]:
    for where, text in (("negative", request.negative), ("morph_to", request.morph_to)):
        if text is not None and has_tag(text):
            message = f"<lora:...> acts from the prompt only; in {where} it is taken for words"
            yield Notice(code="lora-tag-as-words", message=message)
