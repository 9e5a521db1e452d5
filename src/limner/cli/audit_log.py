"""``limner audit log``: what was refused, and what was drawn below the usual protection."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

PROMPT = 40  # characters of a prompt, or of its hash, in the table


@click.command("log")
@click.option("--json", "as_json", is_flag=True, help="the lines as they are, one JSON object each")
def command(as_json: bool) -> None:
    """Show the audit log: refusals, and sessions below the usual protection.

    Prompts are hashed with a key of this machine; [safety] audit = "plain" in the settings keeps their words too.
    """
    from limner.cli.console import out, say, table
    from limner.config import Settings
    from limner.safety.audit import Audit

    audit = Audit(Settings.load().data)
    lines = list(audit.lines())
    if as_json:
        for line in lines:
            out(json.dumps(line, ensure_ascii=False))
        return
    if not lines:
        say("nothing was refused yet, and nothing drawn below the usual protection")
        return
    table(("line", "time", "event", "level", "what", "model", "prompt"), [_row(line) for line in lines])
    say(f"{audit.path}; limner audit verify finds lines that were changed or removed", dim=True)


def _row(line: Mapping[str, str | int | None]) -> tuple[object, ...]:
    what = line.get("rule") or line.get("marks") or ""
    prompt = str(line.get("prompt") or line.get("prompt_hmac") or "")
    shown = prompt if len(prompt) <= PROMPT else prompt[: PROMPT - 1] + "…"
    return (*(line.get(name) for name in ("line", "time", "event", "level")), what, line.get("model"), shown)
