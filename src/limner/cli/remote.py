"""``--server URL``: commands that let a running server do the work. Nothing here imports torch, or a library for HTTP.

What belongs to the machine that draws (its settings, its safety level, its marks) is the server's; an option that would
say something of it is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from limner.errors import ConfigError, InvalidRequest

Decorated = TypeVar("Decorated", bound=Callable[..., object])

LOCAL: Mapping[str, str] = {
    "safety": "the server's level holds",
    "marks": "the server's settings say what its pictures carry",
    "metadata": "the server's settings say what its pictures carry",
    "offline": "the server says whether it touches the network",
    "lock": "the lock is the server's",
    "no_keep": "pictures are kept in the server's library",
    "no_score": "the server's settings say what is scored",
    "rank": "pictures are ranked where they are: limner gallery, or the studio",
    "file": "one prompt at a time",
    "again": "one prompt at a time",
    "llm": "language models are not called on a server's account",
    "llm_model": "language models are not called on a server's account",
    "expander": "language models are not called on a server's account",
    "interactive": "the studio has the questions and the pictures",
    "listing": "this machine's list is no list of the server's",
}
"""Options that have no meaning with a server, and why."""
PATHS = ("model", "loras", "vae", "upscale", "hires_upscaler")
"""Fields that may name a file of this machine, which a server does not have."""


def server_option(command: Decorated) -> Decorated:
    """Gives a command the option ``server``: a URL, ``None`` where none is said."""
    return click.option(
        "--server",
        envvar="LIMNER_SERVER",
        metavar="URL",
        help="let a running server do it (limner serve); the token: LIMNER_TOKEN; docs/clients.md",
    )(command)


def refuse_local(values: Mapping[str, object]) -> None:
    """Refuse options of the current command that have no meaning with a server. Raises ``InvalidRequest``."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in LOCAL and source is click.core.ParameterSource.COMMANDLINE:
            flag = max(parameter.opts, key=len)
            raise InvalidRequest(f"{flag} has no meaning with --server: {LOCAL[name]}", field=name, hint="leave it out")
    for name in PATHS:
        given = values.get(name)
        for each in given if isinstance(given, tuple) else (given,):
            if isinstance(each, str) and _is_path(each):
                raise InvalidRequest(
                    f"{name}: {each!r} is a file of this machine, which the server does not have",
                    field=name,
                    hint="name it as the server does: its limner models link --list",
                )


def _is_path(name: str) -> bool:
    from pathlib import Path

    return name.startswith((".", "/", "~")) or "\\" in name or Path(name).suffix in (".safetensors", ".ckpt", ".pth")


def address(url: str) -> tuple[str, str | None]:
    """(URL without a slash at its end, token) of what ``--server`` said: a URL, or the link that a server shows when it
    starts, with its token. Raises ``ConfigError``."""
    import os
    from urllib.parse import parse_qs, urlsplit

    if "://" not in url:
        url = f"http://{url}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"server: {url!r} is no URL of a server", hint="as limner serve shows it: http://127.0.0.1:7860"
        )
    path = parts.path.rstrip("/")
    token = parse_qs(parts.fragment).get("token", [os.environ.get("LIMNER_TOKEN", "")])[0]
    return f"{parts.scheme}://{parts.netloc}{'' if path == '/login' else path}", token or None
