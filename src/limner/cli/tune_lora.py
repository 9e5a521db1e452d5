"""``limner tune lora``: train, and tell while it goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.console import out as result
from limner.cli.options import safety_option
from limner.cli.sheet import count, out_json
from limner.tune.settings import TARGETS, TuneSettings

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.session import Session
    from limner.tune.planning import Planned

EPILOG = (
    "Ctrl-C (and SIGTERM) saves; the same command with --resume goes on. Beside OUT a folder OUT.tune holds the "
    "journal, the plot of the losses, the state and the samples. What to choose: docs/tuning.md"
)
DEFAULT = TuneSettings(model="pocket")


def _default(name: str) -> object:
    return getattr(DEFAULT, name)


@click.command("lora", epilog=EPILOG)
@click.option("--data", required=True, metavar="PATH", help="a folder of pictures, or a .jsonl or .csv manifest")
@click.option("--out", required=True, metavar="FILE", help="the LoRA to write, .safetensors")
@click.option("-m", "--model", metavar="NAME", help="the base; default: pocket")
@click.option("--subject", metavar='"NAME CLASS"', help='a rare word and what it is: "sks fox"')
@click.option("--style", metavar="WORD", help="the word that is to call a style")
@click.option("--rank", type=int, default=_default("rank"), show_default=True, help="the LoRA's rank")
@click.option("--alpha", type=float, metavar="NUMBER", help="its strength is alpha / rank; default: the rank")
@click.option(
    "--target",
    "targets",
    multiple=True,
    type=click.Choice(TARGETS),
    help="what is trained; repeat for several; default attention and ff",
)
@click.option("--lr", type=float, default=_default("lr"), show_default=True, help="learning rate")
@click.option("--text-lr", type=float, metavar="NUMBER", help="of the text encoders; default: half of it")
@click.option("--steps", type=int, default=_default("steps"), show_default=True, help="optimizer steps")
@click.option("--batch", type=int, default=_default("batch"), show_default=True, help="pictures at once")
@click.option("--accumulate", type=int, default=1, show_default=True, help="batches a step")
@click.option("--warmup", type=int, default=_default("warmup"), show_default=True, help="steps of rising rate")
@click.option("--min-snr", type=float, default=_default("min_snr"), show_default=True, help="gamma; 0: none")
@click.option(
    "--drop-caption", type=float, default=_default("drop_caption"), help="default 0.05; share trained without words"
)
@click.option("--flip", is_flag=True, help="mirror images too; not for what has a left and a right")
@click.option("--prior", type=int, default=0, show_default=True, help="class pictures that keep the class as it was")
@click.option("--prior-weight", type=float, default=1.0, show_default=True, help="theirs in the loss")
@click.option("--size", type=int, metavar="PIXELS", help="side of the squares trained at; default: the model's")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 or mps")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16"]), help="of the frozen base; the LoRA is in float32")
@click.option("--checkpointing", is_flag=True, help="less memory, a third more time")
@click.option("--ema", type=float, default=0.0, show_default=True, help="decay of the weights' running mean; 0: none")
@click.option("--hold-out", type=int, metavar="NUMBER", help="pictures not trained on; default an eighth of 12 or more")
@click.option(
    "--patience", type=int, default=_default("patience"), show_default=True, help="looks without gain to stop at"
)
@click.option("--check-every", type=int, default=_default("check_every"), show_default=True, help="steps between looks")
@click.option("--sample", "samples", multiple=True, metavar="PROMPT", help="draw it meanwhile; repeat for several")
@click.option(
    "--sample-every",
    type=int,
    default=_default("sample_every"),
    show_default=True,
    help="steps between samples; 0: before and at the end only",
)
@click.option("--to-library", is_flag=True, help="samples go into the library too")
@click.option("--seed", type=int, default=0, show_default=True, help="of everything that is drawn by lot")
@click.option("--resume", is_flag=True, help="go on with a run that was stopped")
@click.option("--dry-run", is_flag=True, help="check everything, say what it takes, and stop")
@safety_option
@click.option("--json", "as_json", is_flag=True, help="one JSON object on stdout, nothing else")
@click.option("--offline", is_flag=True, help="never touch the network")
@click.option("-q", "--quiet", is_flag=True, help="only the path and warnings")
def command(
    data: str,
    out: str,
    resume: bool,
    dry_run: bool,
    to_library: bool,
    as_json: bool,
    offline: bool,
    quiet: bool,
    **said: object,
) -> int:
    """Train a LoRA on your pictures. Three are the least, 10 to 30 are better.

    \b
    limner tune lora --data foxes/ --subject "sks fox" --prior 24 --out my-fox.safetensors
    limner tune lora --data paintings.csv --style inkwash -m sd15 --dtype bfloat16 --out ink.safetensors
    """
    from limner.cli.drawing import Telling

    telling = Telling.of(as_json=as_json, quiet=quiet, show=False)
    fields = {name: value for name, value in said.items() if value not in (None, ())}

    from limner.tune.pictures import read_examples
    from limner.tune.places import check_out

    target = Path(out).expanduser()
    TuneSettings.of(**{"model": "pocket", **fields})  # before anything is fetched or loaded
    check_out(target, resume=resume)
    examples = read_examples(Path(data))

    from limner.cli.downloading import fetch
    from limner.cli.tune_follow import STOPPED, follow
    from limner.session import Session
    from limner.tune.planning import plan

    with Session(offline=True if offline else None, scored=False, keep=to_library) as session:
        settings = placed(session, fields, link=not dry_run)
        fetch(session, settings.model, telling)
        planned = plan(settings, examples, target, session, resume=resume)
        if planned.done:
            return tell_done(planned, telling)
        tell_plan(planned, telling)
        if dry_run:
            if as_json:
                out_json(sheet(planned))
            return 0
        ended = follow(planned, session, telling)
    if as_json:
        out_json({**sheet(planned), **ended.sheet()})
    else:
        result(str(target))
    return STOPPED.get(ended.signal, 0)


def tell_done(planned: Planned, telling: Telling) -> int:
    """Of a run that is to go on and has no step left; the exit code."""
    telling.warn(f"already done at step {planned.begun}; --steps {2 * planned.begun}, say, goes on")
    if telling.json:
        out_json({**sheet(planned), "ended": "done", "path": str(planned.out), "steps": planned.begun})
    else:
        result(str(planned.out))
    return 0


def placed(session: Session, fields: dict[str, object], *, link: bool) -> TuneSettings:
    """Settings with the model, device and number format filled in. A checkpoint given by its path is linked, and goes
    by its name then: paths of this machine stay out of the file. Raises ``InvalidRequest``, ``DeviceError``,
    ``ModelError``."""
    from limner.cli.adapters import checkpoint_name
    from limner.models.machine import choose_device, probe

    device = choose_device(str(fields["device"]) if "device" in fields else None, probe())
    model = str(fields.get("model") or session.settings.value("model").value or "pocket")
    dtype = fields.get("dtype") or ("bfloat16" if device.startswith("cuda") else "float32")
    name = checkpoint_name(model, session.catalog) if link else model
    return TuneSettings.of(**{**fields, "model": name, "device": device, "dtype": dtype})


def tell_plan(planned: Planned, telling: Telling) -> None:
    for notice in planned.notices:
        telling.warn(notice)
    cost, settings, pictures = planned.cost, planned.settings, len(planned.examples.found)
    telling.say(
        f"{planned.base.name}: {count(pictures - planned.held, 'picture')} to train on, {planned.held} held out; "
        f"a LoRA of rank {settings.rank} and {cost.numbers / 1e6:.2f} million numbers"
    )
    telling.say(
        f"about {cost.memory / 2**30:.1f} GiB of memory ({cost.activations / 2**20:.0f} MiB of it for the way back), "
        f"{cost.disk / 2**20:.0f} MiB of disk; {count(settings.steps - planned.begun, 'step')} of "
        f"{cost.step_seconds:.2f} s, with all else about {duration(cost.seconds)}"
    )


def sheet(planned: Planned) -> dict[str, object]:
    """What --json says of a run that is planned. Bytes and seconds."""
    cost = planned.cost
    return {
        "base": {"name": planned.base.name, "hash": planned.base.hash},
        "pictures": len(planned.examples.found),
        "held_out": planned.held,
        "called": planned.words.asked,
        "memory_bytes": cost.memory,
        "disk_bytes": cost.disk,
        "step_seconds": cost.step_seconds,
        "seconds": cost.seconds,
        "folder": str(planned.folder),
        "notices": list(planned.notices),
    }


def duration(seconds: float) -> str:
    """In words, to one figure that matters."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
