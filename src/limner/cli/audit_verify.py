"""``limner audit verify``: whether the audit log is as it was written."""

from __future__ import annotations

import json

import click


@click.command("verify")
@click.option("--json", "as_json", is_flag=True, help="one JSON object, nothing else")
def command(as_json: bool) -> int:
    """Say whether any line of the audit log was changed or removed. Exit code 0 where none was, else 1."""
    from limner.cli.console import out
    from limner.config import Settings
    from limner.safety.audit import Audit

    audit = Audit(Settings.load().data)
    problems = audit.verify()
    count = sum(1 for _ in audit.lines())
    if as_json:
        found = [{"line": each.line, "problem": each.message} for each in problems]
        out(json.dumps({"intact": not problems, "lines": count, "problems": found}, ensure_ascii=False))
        return 1 if problems else 0
    for each in problems:
        out(f"line {each.line} {each.message}" if each.line else f"the log {each.message}")
    if not problems:
        out(f"intact: {count} lines, none changed or removed" if count else "there is no log yet")
    return 1 if problems else 0
