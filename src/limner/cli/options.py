"""Options made from the Request's own fields: what help says is what the Request checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias, TypeVar, get_args, get_origin

import annotated_types
import click
from pydantic.fields import FieldInfo

from limner.types import Request, parse_size

Decorated = TypeVar("Decorated", bound=Callable[..., object])
Values: TypeAlias = Mapping[str, object]


class Flag(NamedTuple):
    """A Request field's flags, and what is said of it beyond the field's own description."""

    field: str
    flags: tuple[str, ...]
    metavar: str | None = None
    more: str = ""


FLAGS = (
    Flag("model", ("-m", "--model"), "NAME", "default: pocket"),
    Flag("n", ("-n",), "NUMBER"),
    Flag("seed", ("--seed",), "NUMBER", "default: a new one each time"),
    Flag("steps", ("--steps",), "NUMBER"),
    Flag("guidance", ("--guidance",), "NUMBER"),
    Flag("temperature", ("--temperature",), "NUMBER", "DALL-E mini"),
    Flag("top_k", ("--top-k",), "NUMBER", "DALL-E mini"),
    Flag("top_p", ("--top-p",), "NUMBER", "DALL-E mini"),
    Flag("solver", ("--solver",), "NAME"),
    Flag("schedule", ("--schedule",)),
    Flag("negative", ("--negative",), "TEXT"),
    Flag("styles", ("--style",), "NAME", "repeat for several; limner styles"),
    Flag("clip_skip", ("--clip-skip",), "NUMBER"),
    Flag("compat", ("--compat",), more="docs/a1111.md"),
    Flag("noise_source", ("--noise-source",), more="philox is what an NVIDIA GPU draws"),
    Flag("noise_delta", ("--noise-delta", "--ensd"), "NUMBER"),
    Flag("device", ("--device",), "NAME"),
    Flag("dtype", ("--dtype",)),
    Flag("speed", ("--speed",)),
    Flag("batching", ("--batching",)),
)
SIZE = "size"


def request_options(*, without: Iterable[str] = ()) -> Callable[[Decorated], Decorated]:
    """A decorator that gives a command the options of a Request's fields, and ``--size``."""
    left_out = frozenset(without)

    def decorate(command: Decorated) -> Decorated:
        for flag in reversed(FLAGS):
            if flag.field == "steps" and SIZE not in left_out:
                command = click.option("--size", metavar="WxH", help=_size_help())(_option(flag, left_out)(command))
            else:
                command = _option(flag, left_out)(command)
        return command

    return decorate


def fields_of(values: Values) -> dict[str, object]:
    """The Request fields among a command's option values: those that were said. Raises ``InvalidRequest``."""
    fields: dict[str, object] = {
        flag.field: values[flag.field] for flag in FLAGS if values.get(flag.field) not in (None, ())
    }
    size = values.get(SIZE)
    if isinstance(size, str):
        fields["width"], fields["height"] = parse_size(size)
    return fields


def _option(flag: Flag, left_out: frozenset[str]) -> Callable[[Decorated], Decorated]:
    if flag.field in left_out:
        return lambda command: command
    info = Request.model_fields[flag.field]
    kind, choices, several = _kind(info)
    said = [info.description or "", _range(info), flag.more]
    return click.option(
        *flag.flags,
        flag.field,
        type=click.Choice(choices) if choices else kind,
        multiple=several,
        metavar=flag.metavar,
        help="; ".join(part for part in said if part),
    )


def _kind(info: FieldInfo) -> tuple[type, Sequence[str], bool]:
    """(type, choices, may be repeated) of a field's annotation."""
    kinds = [part for part in _parts(info.annotation) if part is not type(None)]
    if len(kinds) == 1 and get_origin(kinds[0]) is tuple:
        return str, (), True
    if kinds and all(get_origin(kind) is Literal for kind in kinds):
        return str, [str(choice) for kind in kinds for choice in get_args(kind)], False
    assert len(kinds) == 1
    assert isinstance(kinds[0], type)
    return kinds[0], (), False


def _parts(annotation: object) -> tuple[object, ...]:
    origin = get_origin(annotation)
    return (annotation,) if origin in (None, Literal, tuple) else get_args(annotation)


def _range(info: FieldInfo) -> str:
    low = next((bound.ge for bound in info.metadata if isinstance(bound, annotated_types.Ge)), None)
    high = next((bound.le for bound in info.metadata if isinstance(bound, annotated_types.Le)), None)
    if low is None or high is None or high == 2**53 - 1:
        return ""
    return f"{low} to {high}"


def _size_help() -> str:
    width = Request.model_fields["width"]
    return f"width and height in pixels, each {_range(width)}; 512 is 512x512"
