"""``limner models show``: all that is known of one model, wherever it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.console import out, say
from limner.cli.models_named import Named, any_kind, files_of, named
from limner.cli.sheet import Fact, count, out_json, sheet, size
from limner.config import Settings
from limner.errors import LimnerError, ModelNotFound, NetworkError, OfflineError
from limner.models.catalog import Card, Catalog
from limner.models.machine import Fit, choose_device, choose_dtype, probe
from limner.models.state import State, state

if TYPE_CHECKING:
    from limner.models.hub.repo import Listing

TOLD = (
    "modelspec.title",
    "modelspec.author",
    "modelspec.license",
    "modelspec.architecture",
    "modelspec.trigger_phrase",
)
TRAINED = ("ss_base_model_version", "ss_sd_model_name", "ss_network_module", "ss_network_dim", "ss_network_alpha")


@click.command("show")
@click.argument("name", metavar="NAME")
@click.option("--offline", is_flag=True, help="do not ask the hub")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def command(name: str, *, offline: bool, json_: bool) -> None:
    """All that is known of a model: a catalog name, a hub repo, a folder or file, or a linked one of any kind.

    Of a hub repo that is not on this machine, its page is read, unless the network is forbidden.
    """
    settings = Settings.load()
    what = any_kind(name, settings)
    if what.kind != "checkpoint" and what.path is not None:
        _file(what, what.path, json_)
    elif what.card is None and what.repo is not None and not files_of(what):
        _remote(what, offline or settings.offline, json_)
    else:
        _known(what, json_)


def _known(what: Named, json_: bool) -> None:
    found = state(what.card or card_of(what.name), probe())
    if json_:
        out_json(as_json(found))
        return
    card = found.card
    out(f"{card.name}: {card.title}" if card.title != card.name else card.name)
    sheet(_of_card(card))
    sheet((*_of_machine(found), *_of_files(what)), heading="on this machine")


def card_of(name: str) -> Card:
    """The card of a catalog name, else of a folder, file or cached hub repo; never asks the network.

    Raises ``UnknownName``, ``ModelError``.
    """
    settings, catalog = Settings.load(), Catalog.load()
    what = named(name, settings)
    if what.card is not None:
        return what.card
    from limner.models.resolving.resolve import resolve

    try:
        return resolve(name, settings, catalog, offline=True).card
    except OfflineError as error:
        raise _not_here(name) from error


def _not_here(name: str) -> ModelNotFound:
    return ModelNotFound(
        f"{name} is not in the catalog and not on this machine",
        hint=f"limner models pull {name} fetches it from the hub; limner models lists the catalog",
    )


def as_json(found: State) -> dict[str, object]:
    """The card with what this machine adds to it."""
    fit = None if found.fit is None else found.fit._asdict()
    more: dict[str, object] = {
        "here": found.here,
        "fetch_bytes": found.fetch,
        "memory_needed": found.memory,
        "fit": fit,
    }
    return found.card.model_dump(mode="json") | more


def here(found: State) -> str:
    """Whether its files are on this machine, or how many bytes are to be fetched, in words."""
    if found.card.built_in:
        return "built in" if found.here else "MISSING"
    if found.here:
        return "yours" if found.card.repo is None else "fetched"
    return f"{size(found.fetch)} to fetch" if found.fetch else "to be fetched"


def native(card: Card) -> str:
    """Its native size in words."""
    return f"{card.width}x{card.height}" if card.width and card.height else "not known"


def _of_card(card: Card) -> Iterator[Fact]:
    yield "draws", card.blurb
    yield "family", card.family if card.pipeline is None else f"{card.family} ({card.pipeline})"
    yield "from", card.repo or card.folder or "inside Limner"
    yield "and from", card.companion
    yield "LoRA", _worn(card)
    yield "revision", card.commit or ("the newest when it is fetched" if card.repo else "")
    yield "licence", card.licence
    yield "restrictions", card.restrictions
    yield "access", _access(card)
    yield "weights", f"{size(card.size_bytes) or 'not known'}{f' ({card.variant})' if card.variant else ''}"
    yield "parameters", "" if card.parameters is None else f"{card.parameters / 1e9:.2f} billion"
    yield "native size", native(card)
    yield "steps", card.steps
    yield "guidance", _guidance(card)
    yield "solver", card.solver or "the checkpoint's own"
    yield "prediction", card.prediction
    yield "verified", card.verified
    yield "also called", ", ".join(card.aliases)


def _worn(card: Card) -> str:
    """The LoRA of its own, and what it is laid over."""
    sizes = [path.stat().st_size for path in card.worn().values() if path.is_file()]
    return f"always worn, over {card.asset}: {size(sum(sizes)) or 'MISSING'}" if card.adapter is not None else ""


def _access(card: Card) -> str:
    if card.repo is None:
        return ""
    if card.gated is None:
        return "not known; if it is gated, fetching says how to get in"
    page = f"https://huggingface.co/{card.repo}"
    return f"gated: accept its terms at {page}, then `hf auth login`" if card.gated else "open to all"


def _guidance(card: Card) -> str:
    if card.guidance is None:
        return ""
    off = card.guidance == 0 if card.family == "pipeline" else card.guidance == 1
    return f"{card.guidance:g}{' (off)' if off else ''}"


def _of_machine(found: State) -> Iterator[Fact]:
    device = choose_device(None, probe())
    chosen = choose_dtype(None, device, probe())
    yield "files", here(found)
    yield "memory", f"about {size(found.memory)} in {chosen.dtype} on {device}" if found.memory else "not known"
    yield "fits", "not known" if found.fit is None else _fit(found.fit)
    yield "numbers", f"{chosen.dtype}: {chosen.reason}"


def _fit(fit: Fit) -> str:
    return f"{'yes' if fit.ok else 'no'}: {fit.reason.partition(': ')[2]}"


def _of_files(what: Named) -> Iterator[Fact]:
    from limner.models.holdings import parts
    from limner.models.hub.cache import cached

    if what.repo is None:
        yield "place", what.path if what.card is None or not what.card.built_in else ""
        if what.path is not None and what.path.is_file():
            yield "hash", _short_hash(what.path)
        return
    there = cached(what.repo)
    if there is not None:
        yield "place", there.folder
    left = sum(parts(what.repo.repo).values())
    yield "cut download", f"{size(left)}; limner models pull {what.name} goes on with it" if left else ""


def _short_hash(path: Path) -> str:
    """As A1111 writes it, if it is known already: reading gigabytes for it would take a while."""
    from limner.models.hashes import Hashes

    known = Hashes(Settings.load().cache_root).remembered(path)
    return "" if known is None else known.removeprefix("sha256:")[:10]


def _file(what: Named, path: Path, json_: bool) -> None:
    """A linked LoRA, embedding, VAE or upscaler."""
    said = _metadata(path)
    if json_:
        bytes_ = path.stat().st_size
        out_json({"name": what.name, "kind": what.kind, "path": str(path), "bytes": bytes_, "metadata": said})
        return
    out(f"{path.stem}: {what.kind}")
    told = (
        (key.partition("_" if key.startswith("ss_") else ".")[2].replace("_", " "), said.get(key))
        for key in (*TOLD, *TRAINED)
    )
    sheet((("file", path), ("size", size(path.stat().st_size)), ("hash", _short_hash(path)), *told))
    if not said and path.suffix.lower() not in (".safetensors", ".sft"):
        say("it can run code when loaded and will be refused; limner models convert makes safetensors of it", warn=True)


def _metadata(path: Path) -> Mapping[str, str]:
    from limner.models.inspect import read_header

    try:
        return dict(read_header(path).metadata)
    except LimnerError:
        return {}


def _remote(what: Named, offline: bool, json_: bool) -> None:
    """A hub repo of which nothing is here: what its page says."""
    if offline:
        raise _not_here(what.name)
    from limner.models.hub import repo as hub

    assert what.repo is not None
    try:
        listing = hub.look_up(what.repo)
    except OfflineError as error:
        raise _not_here(what.name) from error
    except NetworkError as error:
        said = f"{what.name} is not in the catalog and not on this machine, and {error.message}"
        raise NetworkError(said, hint=error.hint) from error
    facts = dict(_of_listing(listing))
    if json_:
        out_json({"name": what.name, "here": False, **facts, "commit": listing.commit, "gated": listing.gated})
        return
    out(what.name)
    sheet(facts.items())
    say(f"limner models pull {what.name} fetches it", dim=True)


def _of_listing(listing: Listing) -> Iterator[Fact]:
    from limner.models.hashes import Hashes
    from limner.models.hub.repo import bytes_to_fetch
    from limner.models.resolving.hub import listed

    tag = next((tag.removeprefix("diffusers:") for tag in listing.tags if tag.startswith("diffusers:")), "")
    yield "from", f"https://huggingface.co/{listing.name.repo}"
    yield "revision", listing.commit
    yield "licence", listing.licence or "its page names none"
    yield "access", "gated: accept its terms there, then `hf auth login`" if listing.gated else "open to all"
    yield "laid out for", tag
    try:
        seen = listed(listing, Hashes(Settings.load().cache_root))
    except LimnerError as error:
        yield "Limner", f"cannot draw with it: {error.message}"
        return
    yield "family", seen.family
    yield "to fetch", f"{size(bytes_to_fetch(listing, seen.need.names))}, {count(len(seen.need.names), 'file')}"
    yield "verified", "never checked"
