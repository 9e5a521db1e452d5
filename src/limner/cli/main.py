"""The command line's door: ``limner a red fox`` draws; a first word that is a command runs it.

Only click is imported here: ``limner --help`` answers at once, and each command is imported when it is used.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import click

from limner import __version__
from limner.cli.faults import exit_code_of

COMMANDS: Mapping[str, tuple[str, str]] = {
    "draw": ("limner.cli.draw", "draw pictures of a prompt (what limner does with any other word)"),
    "plan": ("limner.cli.plan", "what drawing would cost: download, memory, time"),
    "replay": ("limner.cli.replay", "draw one of your pictures again and compare"),
    "vary": ("limner.cli.vary", "draw pictures near one of your pictures"),
    "upscale": ("limner.cli.upscale", "enlarge one of your pictures"),
    "morph": ("limner.cli.morph", "draw the way from one prompt to another"),
    "refine": ("limner.cli.refine", "search for a better way to say it, and prove whether it is one"),
    "gallery": ("limner.cli.gallery", "list, show, search, rate, delete, export and import pictures"),
    "score": ("limner.cli.score", "how well pictures fit words, as numbers"),
    "compare": ("limner.cli.compare", "which prompt, setting or model is better, with evidence"),
    "bench": ("limner.cli.bench", "measure a model over a set of prompts"),
    "tune": ("limner.cli.tune", "adapt a model to your own pictures with a LoRA"),
    "serve": ("limner.cli.serve", "the web studio, and HTTP for OpenAI's and A1111's clients"),
    "inspect": ("limner.cli.inspect", "what a picture's file says of how it was made"),
    "lint": ("limner.cli.lint", "what a model sees in a prompt, and what it does not"),
    "styles": ("limner.cli.styles", "list and import presets added to prompts"),
    "solvers": ("limner.cli.solvers", "list the ways of removing noise"),
    "metrics": ("limner.cli.metrics", "list scorers, fetch their weights, check them against published numbers"),
    "safety": ("limner.cli.safety", "image checkers: list them, fetch them, try them on pictures"),
    "audit": ("limner.cli.audit", "what was refused; who a model draws when nobody said who"),
    "models": ("limner.cli.models", "list, fetch, check, link, lock and remove models"),
    "doctor": ("limner.cli.doctor", "hardware, libraries, disk; what will run here and how"),
    "config": ("limner.cli.config", "settings, and where each comes from"),
}

EXAMPLES = (
    ("limner a red fox in the snow", "a picture, offline"),
    ('limner "two cats on the beach" -n 4 --seed 7', "four pictures, seeds 7 to 10"),
    ("limner a ghost -o ghost.webp", "a copy where you want it"),
    ("limner --from prompts.txt", "one picture a line; run again to draw what is missing"),
    ("limner draw -- gallery", "draw a prompt that is a command's name"),
)

COMMON = (
    ("-m, --model NAME", "which model (limner models list)"),
    ("-n NUMBER", "number of pictures"),
    ("--seed NUMBER", "the noise to start from: the same seed, the same picture"),
    ("--size WxH", "width and height in pixels"),
    ("--steps, --guidance, --solver, --negative, --style", "how it is drawn"),
    ("--init, --mask, --strength", "draw over a picture, or in a part of it"),
    ("--hires, --upscale, --tiled", "larger pictures"),
    ("-o, --output PATH", "write a copy here"),
    ("--from FILE", "prompts from a .txt, .csv, .tsv or .jsonl file"),
    ("--json, --quiet, --preview, --offline", "how it is told"),
)

_SUBCOMMANDS = frozenset({"list", "show", "search", "rate", "delete", "export", "import", "pull", "check", "try"}) | {
    *("rm", "link", "unlink", "lock"),
}


class Limner(click.Group):
    """A group that imports a command when it is run, and takes any other word for a prompt."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: object = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(found, click.Command)
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*COMMANDS, "-h", "--help", "--version"):
            args = routed(args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])
        with formatter.section("Options of drawing (all: limner draw --help)"):
            formatter.write_dl(list(COMMON))
        with formatter.section("Examples"):
            formatter.write_dl(list(EXAMPLES))

    def main(  # type: ignore[override]  # click returns a value in a mode that is not used here
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: object
    ) -> NoReturn:
        """Run, and exit with the code that says how it went. Errors are lines on stderr, never a traceback."""
        given = list(sys.argv[1:] if args is None else args)
        sys.exit(exit_code_of(lambda: self._run(given), given))

    def _run(self, args: list[str]) -> object:
        return super().main(args, prog_name="limner", standalone_mode=False)


def routed(args: list[str]) -> list[str]:
    """Arguments whose first word is no command, as those of the command they mean: ``draw``, or a name misspelt."""
    near = nearest(args)
    if near is None:
        return ["draw", *args]
    if sys.stdin.isatty() and sys.stderr.isatty():
        meant = click.confirm(f"did you mean `limner {near}`?", default=True, err=True)
        return [near, *args[1:]] if meant else ["draw", *args]
    raise click.UsageError(f"did you mean `limner {near}`? to draw it: limner draw -- {' '.join(args)}")


def nearest(args: Sequence[str]) -> str | None:
    """The command (or ``--help``, ``--version``) that a first word misspells, if it stands alone or before a
    subcommand: ``galery``, ``modls list``.

    A misspelling before other words is a prompt: "model airplane" is one.
    """
    word, rest = args[0], [each for each in args[1:] if not each.startswith("-")]
    if word.lower() in ("help", "version") and not rest:
        return f"--{word.lower()}"  # what other programs call it
    if word.startswith("-") or len(word.split()) != 1 or (rest and rest[0] not in _SUBCOMMANDS):
        return None
    found = difflib.get_close_matches(word.lower(), COMMANDS, n=1, cutoff=0.75)
    return found[0] if found else None


@click.group(
    cls=Limner,
    name="limner",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    options_metavar="",
    subcommand_metavar="PROMPT... | COMMAND ...",
)
@click.version_option(__version__, message="limner %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Limner draws pictures from words."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """The console script."""
    cli.main()
