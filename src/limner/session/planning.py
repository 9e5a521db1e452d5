"""From a Request to Plans: the only place where values merge (``merging.py`` has the order).

Every value that was not said remembers where it came from (``Plan.origins``).
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from limner.config import Settings
from limner.errors import ModelNotFound
from limner.models.catalog import Card, Catalog
from limner.models.estimates.plan import estimate_of
from limner.models.family import Family, Files
from limner.models.links.lock import in_force
from limner.models.machine import Machine, choose_device, choose_dtype
from limner.models.pipelines.plan import IN_MEMORY
from limner.models.resolving.families import load as load_family
from limner.models.resolving.resolve import Resolved, resolve
from limner.prompts.expand import Wildcards, expand
from limner.prompts.lint import lint
from limner.prompts.styles import Style, apply, choose
from limner.session.adapting import Laid, called_by, lay_over, without_words
from limner.session.inputs import given_pictures, refuse_idle
from limner.session.merging import BUILT_IN_MODEL, honoured, merge, refuse_unsupported, weak_defaults
from limner.session.upscalers import named_upscalers
from limner.types import Adapter, Notice, Numerics, Plan, Request, Seed

__all__ = ["BUILT_IN_MODEL", "Means", "load_family", "merge", "plans", "precheck"]

QUIET_FIELDS = frozenset({"prompt", "n", "styles", "variation", "morph"})  # set on every Request; never "not said"


@dataclass(frozen=True, slots=True)
class Means:
    """What planning draws on. ``styles`` and ``wildcards`` are the user's; ``offline`` forbids the network;
    ``found`` keeps where the files of planned checkpoints lie, by weights hash, and ``extras`` where those lie that
    Plans name by their own hash: adapters, start pictures, masks. ``resolver`` stands in for finding a model's files,
    where they need not all be here (``Session.foresee``). ``family`` and ``fixed``, a device and a dtype, are those of
    a model that is in memory already (``Session.from_pipeline``)."""

    settings: Settings
    catalog: Catalog
    machine: Machine
    styles: Mapping[str, Style]
    wildcards: Wildcards
    offline: bool
    batching: str = "alone"
    found: dict[str, Files] = field(default_factory=dict)
    extras: dict[str, Path] = field(default_factory=dict)
    resolver: Callable[[str], Resolved] | None = None
    family: Family | None = None
    fixed: Callable[[], tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Ground:
    """What all Plans of one Request stand on. ``pinned`` are the adapters of a Record that is drawn again."""

    asked: Request
    merged: Request
    origins: Mapping[str, str]
    resolved: Resolved
    family: Family
    means: Means
    parent: str | None
    pinned: Sequence[Adapter] | None
    notices: tuple[Notice, ...]


def plans(
    asked: Request,
    means: Means,
    *,
    literal: bool = False,
    parent: str | None = None,
    pinned: Sequence[Adapter] | None = None,
) -> tuple[Plan, ...]:
    """One Plan for each run of images with the same words. ``literal`` takes what is asked as it is (replay): braces
    are words, and the user's settings add nothing to it but a device and a dtype. ``pinned`` are the adapters of the
    Record that is drawn again: words and upscalers are these, whatever goes by their names now.

    Raises ``InvalidRequest``, ``ModelError``, ``ConfigError``.
    """
    if literal:
        means = replace(means, settings=means.settings.of_this_machine())
    merged, origins = merge(asked, means.settings, means.catalog)
    precheck(asked, means)
    resolved = _resolve(merged.model or BUILT_IN_MODEL, means)
    means.found[resolved.ref.weights_hash()] = resolved.files
    family = means.family or load_family(resolved.card.family)
    refuse_unsupported(asked, family, resolved.card)
    merged = weak_defaults(merged, resolved.card, means.settings, origins)
    refuse_idle(asked, merged)
    merged, notices = honoured(asked, merged, origins, family, resolved.card)
    merged = _seeded(merged)
    ground = Ground(asked, merged, origins, resolved, family, means, parent, pinned, notices)
    return tuple(_plan(ground, words, indexes) for words, indexes in _worded(merged, means, literal))


def _resolve(name: str, means: Means) -> Resolved:
    if means.resolver is not None:
        return means.resolver(name)
    if name.startswith(IN_MEMORY):
        raise ModelNotFound(
            f"this needs the {name.removeprefix(IN_MEMORY)} that was in memory when it was drawn",
            hint="load that pipeline, and ask Session.from_pipeline(pipe) for it",
        )
    return resolve(name, means.settings, means.catalog, offline=means.offline)


def precheck(asked: Request, means: Means) -> None:
    """Refuse what a catalog's model cannot honour, before a byte of it is fetched. Raises ``UnsupportedField``."""
    merged, _origins = merge(asked, means.settings, means.catalog)
    if card := means.catalog.find(merged.model or BUILT_IN_MODEL):
        refuse_unsupported(asked, load_family(card.family), card)


def _seeded(request: Request) -> Request:
    """Draw the seeds that were left open: 32 bits, so that every other tool can take them."""
    changes: dict[str, object] = {}
    if request.seed is None:
        changes["seed"] = secrets.randbelow(2**32 - request.n)
    if request.variation > 0 and request.variation_seed is None:
        changes["variation_seed"] = secrets.randbelow(2**32 - request.n)
    return request.but(**changes) if changes else request


@dataclass(frozen=True, slots=True)
class Words:
    prompt: str
    negative: str
    morph_to: str | None


def _worded(request: Request, means: Means, literal: bool) -> Iterator[tuple[Words, list[int]]]:
    """The words of each image, with styles and wildcards applied, grouped where neighbours are equal."""
    if literal:
        yield Words(request.prompt, request.negative or "", request.morph_to), list(range(request.n))
        return
    styles = choose(request.styles, means.styles)
    prompt, negative = apply(styles, request.prompt, request.negative or "")
    morph_to = None if request.morph_to is None else apply(styles, request.morph_to)[0]

    def words(k: int) -> Words:
        rng = random.Random((request.seed or 0) + k)
        return Words(
            prompt=expand(prompt, rng, means.wildcards),
            negative=expand(negative, rng, means.wildcards),
            morph_to=None if morph_to is None else expand(morph_to, rng, means.wildcards),
        )

    for found, group in groupby(range(request.n), key=words):
        yield found, list(group)


def _plan(ground: Ground, words: Words, indexes: list[int]) -> Plan:
    merged, resolved = ground.merged, ground.resolved
    worded = merged.but(
        prompt=words.prompt,
        negative=words.negative,
        morph_to=words.morph_to,
        n=len(indexes),
        seed=(merged.seed or 0) + indexes[0],
    )
    laid = lay_over(worded, ground.means.settings, ground.family.honours, ground.pinned)
    given = given_pictures(worded, ground.means.settings, ground.means.extras)
    upscalers, networks = named_upscalers(worded, ground.means.settings, ground.pinned)
    adapters, extras = (*laid.adapters, *upscalers), {**laid.extras, **given, **networks}
    if (lock := in_force(ground.means.settings)) is not None:
        lock.check_adapters(adapters)
    ground.means.extras.update(extras)
    files = replace(resolved.files, extras={**resolved.files.extras, **extras})
    planned = ground.family.plan(laid.request, resolved.card, files, ground.means.machine, adapters)
    device, numerics, why = _numerics(merged, ground.means)
    lint_notices = [
        notice
        for text in dict.fromkeys((laid.request.prompt, words.morph_to or laid.request.prompt))
        for notice in _lint(text, laid, ground.family, resolved.files, resolved.card)
    ]
    return Plan(
        asked=ground.asked,
        request=planned.request.but(
            prompt=merged.prompt,
            n=merged.n,
            seed=merged.seed,
            device=device,
            dtype=numerics.dtype,
            model=resolved.ref.name,
            speed=numerics.speed,
            batching=numerics.batching,
        ),
        prompt=words.prompt,
        # Not of a model that takes none: a style may have brought it.
        negative=words.negative if planned.request.negative else "",
        model=resolved.ref,
        device=device,
        numerics=numerics,
        recipe=planned.recipe,
        adapters=adapters,
        seeds=tuple(_seed(merged, k) for k in indexes),
        first=indexes[0],
        origins={"dtype": why, **ground.origins},
        estimate=estimate_of(planned, files, ground.means.machine),
        notices=(
            *ground.notices,
            *laid.notices,
            *_of_styles(words, ground),
            *planned.notices,
            *lint_notices,
            *resolved.notices,
        ),
        parent=ground.parent,
    )


def _numerics(merged: Request, means: Means) -> tuple[str, Numerics, str]:
    """The device, what of it decides bytes, and why this dtype."""
    if means.fixed is not None:
        (device, dtype), why = means.fixed(), "that of the pipeline"
    else:
        device = choose_device(merged.device, means.machine)
        dtype, why = choose_dtype(merged.dtype, device, means.machine)
    numerics = Numerics.model_validate(
        {
            "device": device.split(":")[0],
            "dtype": dtype,
            "speed": merged.speed or "exact",
            "batching": merged.batching or means.batching,
        }
    )
    return device, numerics, why


def _seed(request: Request, k: int) -> Seed:
    """Image k: the next seed; of a variation, the same seed with the next second seed."""
    seed = request.seed or 0
    if request.variation > 0:
        return Seed(seed=seed, variation_seed=(request.variation_seed or 0) + k)
    return Seed(seed=seed + k)


def _of_styles(words: Words, ground: Ground) -> tuple[Notice, ...]:
    """What a style adds to the negative prompt is lost on a model that takes none."""
    if not words.negative or "negative" in ground.family.honours:
        return ()
    message = f"{ground.resolved.card.name} takes no negative prompt: what a style adds to it has no effect"
    return (Notice(code="negative-unused", message=message),)


def _lint(text: str, laid: Laid, family: Family, files: Files, card: Card) -> tuple[Notice, ...]:
    """Warn, before drawing, of words a closed vocabulary cannot see. Those that stand for vectors are known, and those
    that a LoRA says call it are meant to be none of the model's own."""
    vocabulary = family.vocabulary(files)
    if vocabulary is None or vocabulary.open:
        return ()
    rest = without_words(text, laid.adapters)
    found = lint(rest, vocabulary)
    if found.main_noun_unknown and found.main_noun:
        message = f"{card.name} does not know {found.main_noun!r}: it will draw something else"
        if others := [word for word in found.unknown if word != found.main_noun]:
            message += f"; nor does it know {', '.join(map(repr, others))}"
        return (Notice(code="unknown-subject", message=message),)
    if found.blind and rest == text:
        return (Notice(code="no-known-word", message=f"{card.name} knows no word of this: it draws what it likes"),)
    calling = called_by(laid) if found.unknown else frozenset()
    if strange := [word for word in found.unknown if word not in calling]:
        unknown = f"{'words' if len(strange) > 1 else 'word'} {', '.join(map(repr, strange))}"
        return (Notice(code="unknown-words", message=f"{card.name} does not know the {unknown}"),)
    return ()
