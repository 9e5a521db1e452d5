"""Every way a command can end, as an exit code and one clear line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import click

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
BROKEN_PIPE = 1  # as click, which meets most of them first, has it


def exit_code_of(run: Callable[[], object], args: Sequence[str]) -> int:
    """Run a command and give the process's exit code. ``LIMNER_DEBUG=1`` shows tracebacks."""
    as_json = "--json" in args[: args.index("--") if "--" in args else None]
    try:
        answer = run()
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        _usage(error, args, as_json=as_json)
        return error.exit_code
    except BrokenPipeError:
        _give_up_stdout()
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("limner: stopped", err=True)
        return INTERRUPTED
    except Exception as error:
        return _fault(error, as_json=as_json)
    return answer if isinstance(answer, int) else 0


def _usage(error: click.ClickException, args: Sequence[str], *, as_json: bool) -> None:
    from limner.cli.console import fail
    from limner.cli.usage import refusal

    fail(refusal(error, args), as_json=as_json)


def _fault(error: Exception, *, as_json: bool) -> int:
    from limner.cli.console import fail
    from limner.errors import LimnerError

    if os.environ.get("LIMNER_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, LimnerError):
        fail(error, as_json=as_json)
        return error.exit_code
    kind = type(error).__name__
    unexpected = LimnerError(
        f"something unexpected went wrong ({kind}: {error})",
        hint="this is a fault in Limner; LIMNER_DEBUG=1 before the command shows where",
    )
    fail(unexpected, as_json=as_json)
    return 1


def _give_up_stdout() -> None:
    """Whoever read our output has gone. Python would complain of it once more at exit; give it nowhere to."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = None
