"""Run the command line in this process, in a home of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner, Result

from limner.cli.main import cli

Limner = Callable[..., Result]


def limner_in(home: Path, **env: str | None) -> Limner:
    """A function that runs ``limner ARGS...`` with ``LIMNER_HOME=home``; ``input`` is what is typed."""
    # COLUMNS must not matter to what a pipe gets; nor may the machine's own settings.
    fixed = {"LIMNER_HOME": str(home), "HF_HUB_OFFLINE": None, "HF_HUB_CACHE": str(home / "hub"), "COLUMNS": "40"}

    def limner(*args: str, input: str | None = None) -> Result:
        return CliRunner().invoke(cli, list(args), input=input, env={**fixed, **env})

    return limner


def said(result: Result) -> object:
    """The JSON on stdout of a run that went well."""
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def assert_refused(result: Result, code: int, *words: str) -> None:
    """One clear line (and a hint) on stderr, nothing on stdout, no traceback, the right exit code."""
    assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert lines[-1].startswith("  ") or len(lines) == 1 or lines[-1].startswith("limner: "), result.stderr
    assert sum(line.startswith("limner: ") for line in lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert "unexpected" not in result.stderr
    for word in words:
        assert word in result.stderr, (word, result.stderr)
