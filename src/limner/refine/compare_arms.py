"""The sides of a comparison from what a user says: prompts, models, and axes of settings."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from itertools import product

from limner.errors import InvalidRequest, UnknownName, UnsupportedField
from limner.prompts.files import PromptLine
from limner.refine.arms import NOT_THE_ARMS, Arm
from limner.refine.compare_study import MOST_ARMS, Text
from limner.session import Session
from limner.types import Request, parse_size

OWN_OPTIONS = {"prompt": "--prompt", "model": "-m", **dict.fromkeys(NOT_THE_ARMS, "its own option")}
EACH = "each of the prompts"
COMMON = ("steps", "guidance", "width", "height")

Axis = tuple[str, tuple[dict[str, object], ...], tuple[str, ...]]
"""A setting's name, the fields that each of its values sets, and the values as they were written."""


def axis_of(text: str) -> Axis:
    """``steps=10,20,30`` as an Axis. ``size`` takes 512 or 512x768; an empty value leaves the setting to the model.

    Raises ``InvalidRequest``, ``UnknownName``.
    """
    name, equals, values = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not values.strip():
        raise InvalidRequest(f"axis: {text!r} is not NAME=VALUE,VALUE", field="axis", hint="--axis steps=10,20,30")
    known = [*sorted(set(Request.model_fields) - set(OWN_OPTIONS)), "size"]
    if name in OWN_OPTIONS:
        raise InvalidRequest(f"axis: {name} is no axis", field="axis", hint=f"it is given by {OWN_OPTIONS[name]}")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise UnknownName("setting", name, known, field="axis", listed=near or known[:12])
    words = tuple(word.strip() for word in values.split(","))
    if len(set(words)) != len(words):
        raise InvalidRequest(f"axis: {name} has a value twice", field="axis", hint="each value is drawn once")
    return name, tuple(_fields(name, word) for word in words), words


def _fields(name: str, word: str) -> dict[str, object]:
    """The Request fields that a value sets, checked. Raises ``InvalidRequest``."""
    if not word:
        return {}
    if name == "size":
        width, height = parse_size(word)
        return {"width": width, "height": height}
    value: object = (word,) if isinstance(Request.model_fields[name].default, tuple) else word
    checked: object = getattr(Request.of(prompt=EACH, **{name: value}), name)
    return {name: checked}


def arms_of(
    prompts: Sequence[str], models: Sequence[str], axes: Sequence[Axis], fields: Mapping[str, object]
) -> list[Arm]:
    """One Arm for each prompt, model and combination of values. Two prompts alone are called A and B. No prompt: each
    of a file's is drawn. Raises ``InvalidRequest``."""
    chosen: list[str | None] = [*models] or [None]
    count = max(1, len(prompts)) * len(chosen)
    for _, values, _ in axes:
        count *= len(values)
    if count > MOST_ARMS:
        raise InvalidRequest(f"{count} sides are too many", field="axis", hint=f"at most {MOST_ARMS}; fewer values")
    arms = []
    for model, (letter, prompt) in product(chosen, _lettered(prompts)):
        for places in product(*(range(len(values)) for _, values, _ in axes)):
            parts = [letter] if len(prompts) > 1 else []
            parts += [model] if model is not None and len(chosen) > 1 else []
            own = dict(fields) if model is None else {**fields, "model": model}
            for (name, values, words), place in zip(axes, places, strict=True):
                own |= values[place]
                parts.append(f"{name} {words[place] or 'default'}")
            arms.append(Arm.of(", ".join(parts) or "A", Request.of(prompt=prompt, **own)))
    return arms


def _lettered(prompts: Sequence[str]) -> list[tuple[str, str]]:
    if len(set(prompts)) != len(prompts):
        raise InvalidRequest("a prompt is given twice; there is nothing to compare", field="prompt")
    if len(prompts) > 26:
        raise InvalidRequest(f"{len(prompts)} prompts are too many", field="prompt", hint="at most 26")
    return [(chr(ord("A") + k), prompt) for k, prompt in enumerate(prompts)] or [("", EACH)]


def common_settings(session: Session, arms: Sequence[Arm], prompt: str) -> tuple[list[Arm], str]:
    """Arms of several models with the first one's steps, guidance and size, where those were not said; and what was
    done, in words. Raises ``UnsupportedField`` where a model cannot be drawn so."""
    first = session.plan(arms[0].request.model_copy(update={"prompt": prompt, "seed": 0}))[0]
    own: dict[str, object] = {name: getattr(first.request, name) for name in COMMON}
    own |= {"width": first.recipe.width, "height": first.recipe.height}
    own = {name: value for name, value in own.items() if value is not None}
    changed = []
    for arm in arms:
        unset = {name: value for name, value in own.items() if getattr(arm.request, name) is None}
        changed.append(Arm.of(arm.name, arm.request.model_copy(update=unset)))
        try:
            session.precheck(changed[-1].request)
        except UnsupportedField as error:
            error.hint = "--own-settings draws each model with its own defaults"
            raise
    what = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in own.items()
    )
    return changed, f"all models draw with {first.model.name}'s settings: {what} (--own-settings: each with its own)"


def texts_of(
    lines: Sequence[PromptLine], arms: Sequence[Arm], category: str | None = None
) -> tuple[list[Text], list[str]]:
    """A Text for each line of a prompt file, and notices of what is not used. ``category`` names the column that losses
    are told by; ``None``: one called category, or the first other column. Raises ``InvalidRequest``."""
    columns = list(dict.fromkeys(column for line in lines for column in line.tags))
    chosen = _category(columns, category)
    unused = sorted({name for line in lines for name in line.fields} & {"seed", "n", "model"})
    notices = [f"the column {name!r} of the prompt file is not used: a comparison chooses it" for name in unused]
    overruled = {
        name for arm in arms for name in arm.request.model_fields_set if getattr(arm.request, name) is not None
    }
    texts: dict[str, Text] = {}
    for line in lines:
        own = {name: value for name, value in line.fields.items() if name not in unused}
        if line.negative:
            own["negative"] = line.negative
        notices += [f"{name} of the prompt file is overruled" for name in own.keys() & overruled]
        text = Text(words=line.prompt, prompt=line.prompt, category=line.tags.get(chosen, ""), fields=own)
        if line.prompt in texts and texts[line.prompt] != text:
            raise InvalidRequest(
                f"line {line.line}: the prompt {line.prompt[:40]!r} is there twice with other settings",
                field="prompts",
                hint="a prompt counts once; remove one of the lines",
            )
        texts.setdefault(line.prompt, text)
    if len(texts) < len(lines):
        notices.append(f"{len(lines) - len(texts)} prompts are repeated in the file; each counts once")
    return list(texts.values()), list(dict.fromkeys(notices))


def _category(columns: Sequence[str], asked: str | None) -> str:
    if asked is not None:
        if asked not in columns:
            raise UnknownName("column", asked, columns, field="category")
        return asked
    named = [column for column in columns if column.strip().lower() in ("category", "categories", "tag")]
    return (named or list(columns) or [""])[0]
