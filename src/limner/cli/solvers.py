"""``limner solvers``: the ways of removing noise, under every name people know them by."""

from __future__ import annotations

import json
import shutil
import sys

import click

_WIDE = 120  # columns of a terminal that has room for everything


@click.command(name="solvers")
@click.option("--all", "whole", is_flag=True, help="also the names in A1111 and diffusers, and the source")
@click.option("--json", "as_json", is_flag=True, help="one JSON object a solver on stdout")
def command(as_json: bool, whole: bool) -> None:
    """List the solvers: --solver takes any of these names, and A1111's and diffusers' too."""
    from limner.cli.console import out, say, table
    from limner.sampling.catalog import SOLVERS

    if as_json:
        for card in SOLVERS.values():
            names = {"name": card.name, "title": card.title, "a1111": card.a1111, "scheduler": card.scheduler}
            out(json.dumps({**names, "stochastic": card.stochastic, "source": card.source}))
        return
    rows = []
    for card in SOLVERS.values():
        schedule = "" if card.a1111_schedule == "Automatic" else f", {card.a1111_schedule}"
        kind = [f"{card.evals_per_step} evaluations a step"] if card.evals_per_step > 1 else []
        kind += ["adds noise at each step"] if card.stochastic else []
        rows.append((card.name, card.title, "; ".join(kind), f"{card.a1111}{schedule}", card.scheduler, card.source))
    columns = ("name", "what it is", "", "in A1111", "in diffusers", "source")
    if whole or not sys.stdout.isatty() or shutil.get_terminal_size().columns >= _WIDE:
        table(columns, rows)
        return
    table(columns[:2], [(name, "; ".join(filter(None, about))) for name, *about in (row[:3] for row in rows)])
    say("--all also says what they are called in A1111 and diffusers", dim=True)
