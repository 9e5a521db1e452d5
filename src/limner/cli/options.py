"""Options made from the Request's own fields: what help says is what the Request checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias, TypeVar, get_args, get_origin

import annotated_types
import click
from pydantic.fields import FieldInfo

from limner.types import Request, SafetyLevel, parse_size

Decorated = TypeVar("Decorated", bound=Callable[..., object])
Values: TypeAlias = Mapping[str, object]


class Flag(NamedTuple):
    """A Request field's flags, and what is said of it beyond the field's own description. ``section`` is its heading in
    help, where it has one of its own."""

    field: str
    flags: tuple[str, ...]
    metavar: str | None = None
    more: str = ""
    section: str = ""


EDITING = "Drawing over a picture, and larger"
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
    Flag("loras", ("--lora",), "NAME[:WEIGHT]", "or a file; repeat for several; docs/adapters.md"),
    Flag("vae", ("--vae",), "NAME", "or a file"),
    Flag("clip_skip", ("--clip-skip",), "NUMBER"),
    Flag("compat", ("--compat",), more="docs/a1111.md"),
    Flag("noise_source", ("--noise-source",), more="philox is what an NVIDIA GPU draws"),
    Flag("noise_delta", ("--noise-delta", "--ensd"), "NUMBER"),
    Flag("init", ("--init",), "IMAGE", "a file, or one of the library: last, an id", EDITING),
    Flag("strength", ("--strength",), "NUMBER", "default 0.8, with --mask 1", EDITING),
    Flag("resize", ("--resize",), None, "default crop", EDITING),
    Flag("mask", ("--mask",), "IMAGE", "what is transparent counts as white", EDITING),
    Flag("mask_blur", ("--mask-blur",), "PIXELS", section=EDITING),
    Flag("mask_invert", ("--mask-invert",), section=EDITING),
    Flag("inpaint_fill", ("--inpaint-fill",), None, "default original", EDITING),
    Flag("inpaint_padding", ("--inpaint-padding",), "PIXELS", section=EDITING),
    Flag("hires", ("--hires",), "FACTOR", section=EDITING),
    Flag("hires_strength", ("--hires-strength",), "NUMBER", "default 0.5", EDITING),
    Flag("hires_steps", ("--hires-steps",), "NUMBER", section=EDITING),
    Flag("hires_upscaler", ("--hires-upscaler",), "NAME", "default lanczos", EDITING),
    Flag("upscale", ("--upscale",), "NAME[:FACTOR]", "lanczos is always there", EDITING),
    Flag("tiled", ("--tiled",), section=EDITING),
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
        return safety_option(command)

    return decorate


def _at_level(context: click.Context, _parameter: click.Parameter, level: str | None) -> None:
    """All settings that the command loads have the level."""
    if level is not None:
        from limner.config import by_flag

        context.with_resource(by_flag(level=level))


safety_option = click.option(
    "--safety",
    type=click.Choice(get_args(SafetyLevel)),
    expose_value=False,
    callback=_at_level,
    help="what is refused; default standard (docs/safety.md)",
)
"""``--safety LEVEL``: needs no parameter of the command."""


class Drawing(click.Command):
    """A command whose help lists options of one kind under a heading of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections = {flag.field: flag.section for flag in FLAGS if flag.section}
        rows: dict[str, list[tuple[str, str]]] = {"Options": []}
        for each in self.get_params(ctx):
            if (row := each.get_help_record(ctx)) is not None:
                rows.setdefault(sections.get(each.name or "", "Options"), []).append(row)
        for title, listed in rows.items():
            with formatter.section(title):
                formatter.write_dl(listed)


def _is_said(value: object) -> bool:
    """Whether an option was given. 0 is, though it equals False."""
    return value is not None and value is not False and value != ()


def fields_of(values: Values, *, keep: bool = True) -> dict[str, object]:
    """The Request fields among a command's option values: those that were said. Pictures are taken in, with ``keep``
    into the library. Raises ``InvalidRequest``, ``LibraryError``, ``StorageError``."""
    from limner.cli.given import taken_in

    said = {**values, **taken_in(values, keep=keep)}
    names = (flag.field for flag in FLAGS)
    fields: dict[str, object] = {name: said[name] for name in names if _is_said(said.get(name))}
    size = values.get(SIZE)
    if isinstance(size, str):
        fields["width"], fields["height"] = parse_size(size)
    if fields.keys() & {"loras", "vae"}:
        from limner.cli.adapters import by_name

        fields |= by_name(fields)
    return fields


def _option(flag: Flag, left_out: frozenset[str]) -> Callable[[Decorated], Decorated]:
    if flag.field in left_out:
        return lambda command: command
    info = Request.model_fields[flag.field]
    kind, choices, several = _kind(info)
    said = [info.description or "", _range(info), flag.more]
    if kind is bool:
        return click.option(*flag.flags, flag.field, is_flag=True, help=info.description)
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
