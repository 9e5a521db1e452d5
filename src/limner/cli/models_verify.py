"""``limner models verify MODEL``: does it draw here what diffusers draws with the same published weights?"""

from __future__ import annotations

from pathlib import Path

import click

from limner.cli.console import out, say
from limner.types import parse_size


@click.command("verify")
@click.argument("name", metavar="MODEL")
@click.option("--steps", type=click.IntRange(1, 1000), help="denoising steps; default: the model's own")
@click.option("--size", metavar="WxH", help="default: what the model was trained on")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 or mps; default: the best there is")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="only float32 verifies: in others rounding makes a difference",
)
@click.option("-o", "--output", metavar="DIR", default=".", help="where the report goes; default: this folder")
@click.option("--json", "as_json", is_flag=True, help="the report as JSON on stdout, too")
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    steps: int | None,
    size: str | None,
    device: str | None,
    dtype: str,
    output: str,
    as_json: bool,
) -> None:
    """Fetch a model, hash its files, draw three fixed prompts here and with diffusers, and compare. Writes a report to
    share (Markdown and JSON, without paths or names of this machine); ends with 0 only where all of it was done and
    agrees. Takes six pictures' time, in float32."""
    from limner.cli.sheet import out_json
    from limner.config import Settings
    from limner.session.verifying import Verification

    fields: dict[str, object] = {"dtype": dtype}
    if size is not None:
        fields["width"], fields["height"] = parse_size(size)
    fields |= {key: value for key, value in (("steps", steps), ("device", device)) if value is not None}
    report = Verification(name, Settings.load(), fields, told=lambda line: say(line, dim=True)).run()
    written = write(report.to_markdown(), report.as_json(), report.model, report.date, Path(output))
    if as_json:
        out_json(report.as_json())
    else:
        out(report.to_markdown().rstrip())
    say(f"report: {' and '.join(map(str, written))}", dim=True)
    if report.claim is None:
        reasons = [each.said for each in report.findings if not each.ok]
        reasons += [
            f"{each.prompt!r} differs: mean {each.mean:.3f} of 255" for each in report.differences if not each.ok
        ]
        say(f"{report.outcome}: {'; '.join(reasons)}", warn=True)
        ctx.exit(1)


def write(markdown: str, record: dict[str, object], model: str, date: str, folder: Path) -> tuple[Path, Path]:
    """The two files of a report. Raises ``StorageError``."""
    import json
    import re

    from limner.errors import StorageError

    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"limner-verify-{model}-{date}")
    paths = folder / f"{stem}.md", folder / f"{stem}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(markdown, "utf-8")
        paths[1].write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise StorageError(f"the report cannot be written: {error.strerror}", hint="say where with -o DIR") from None
    return paths
