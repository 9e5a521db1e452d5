"""``limner tune show``: what a LoRA file says of its training, and whether it worked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.console import out, told
from limner.cli.options import safety_option

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.refine.tuned import Answered
    from limner.tune.told import Told

OTHERS = ("a red car", "two cats on the beach")


@click.command("show", epilog="What the words mean: docs/tuning.md and docs/guide-compare.md")
@click.argument("file", metavar="FILE")
@click.option("--data", metavar="PATH", help="the pictures it was trained on: draws before and after, and judges")
@click.option(
    "--other", "others", multiple=True, metavar="PROMPT", help="what must not have changed; repeat for several"
)
@click.option("-n", "n", type=click.IntRange(7, 1000), default=24, show_default=True, help="seeds of each question")
@click.option("--seed", type=int, default=0, show_default=True, help="the first of them")
@safety_option
@click.option("--json", "as_json", is_flag=True, help="one JSON object on stdout, nothing else")
@click.option("--offline", is_flag=True, help="never touch the network")
@click.option("-q", "--quiet", is_flag=True, help="only the verdicts and warnings")
def command(
    file: str,
    data: str | None,
    others: tuple[str, ...],
    n: int,
    seed: int,
    as_json: bool,
    offline: bool,
    quiet: bool,
) -> int:
    """What FILE was trained on and how; with --data also whether it worked: is the subject more like its pictures, are
    words still followed, are other things still what they were?"""
    from limner.cli.drawing import Telling
    from limner.tune.told import read_told

    path = Path(file).expanduser()
    record, telling = read_told(path), Telling.of(as_json=as_json, quiet=quiet, show=False)
    facts = facts_of(record)
    if not as_json and not quiet:
        for label, text in facts.items():
            out(f"{label:<16}{text}")
    answers = () if data is None else proved(record, path, Path(data), others or OTHERS, n, seed, telling, offline)
    if as_json:
        found = [
            {
                "what": each.asked.what,
                "prompt": each.asked.prompt,
                "likeness": each.likeness,
                "words": each.kept,
                "verdict": each.verdict.model_dump(mode="json"),
            }
            for each in answers
        ]
        out(json.dumps({"file": str(path), **facts, "answers": found}))
        return 0
    for each in answers:
        tell(each)
    if not answers and not quiet:
        telling.say(f"whether it worked: limner tune show {file} --data PICTURES")
    return 0


def facts_of(record: Told) -> dict[str, str]:
    """For people, by label."""
    settings, run = record.settings, record.run
    targets = settings.get("targets")
    held = run.get("held_out")
    made = {
        "base": f"{record.base} {record.base_hash[:17]}",
        "called by": record.called,
        "pictures": f"{len(record.data)}, {run.get('held_out_pictures')} of them held out",
        "rank, alpha": f"{settings.get('rank')}, {settings.get('alpha') or settings.get('rank')}",
        "targets": ", ".join(map(str, targets)) if isinstance(targets, list) else "",
        "steps": f"{run.get('steps')}, the weights of step {run.get('step')} ({run.get('ended')})",
        "learning rate": str(settings.get("lr")),
        "size, dtype": f"{record.side}, {settings.get('dtype')}",
        "trained for": f"{float(str(run.get('seconds', 0))) / 60:.1f} min",
        "limner": record.version,
    }
    if isinstance(held, list) and held:
        made["held-out loss"] = f"{held[0][1]:.4f} at first, {min(loss for _, loss in held):.4f} at best"
    return made


def proved(
    record: Told, path: Path, data: Path, others: tuple[str, ...], n: int, seed: int, telling: Telling, offline: bool
) -> tuple[Answered, ...]:
    """Draw and judge. Raises ``InvalidRequest`` for other pictures, ``MismatchedWeights`` for another base."""
    from limner.cli.adapters import lora_names
    from limner.cli.downloading import fetch
    from limner.errors import MismatchedWeights
    from limner.refine.tuned import Asked, prove
    from limner.session import Session
    from limner.tune.caching import read_square
    from limner.tune.pictures import read_examples
    from limner.types import Request

    examples = read_examples(data).found
    record.refuse_other_pictures(examples)
    pixels = [
        ((read_square(each.path, record.side)[0].permute(1, 2, 0).numpy() + 1) * 127.5).round().astype("uint8")
        for each in examples
    ]
    names = lora_names([str(path)])
    before = Request.of(prompt=record.called, model=record.base, width=record.side, height=record.side)
    with Session(offline=True if offline else None, scored=False, keep=False) as session:
        fetch(session, record.base, telling)
        if session.plan(before)[0].model.weights_hash() != record.base_hash:
            raise MismatchedWeights(
                f"{record.base} here is not what it was trained on", hint="bring the same weights; limner models list"
            )
        words = record.called if record.kind is None else f"a {record.kind}"
        asked = [Asked("other things", each, each) for each in others]
        if record.kind is not None:
            asked.insert(0, Asked("its class", words, words))
        telling.say(f"drawing {2 * n * (1 + len(asked))} pictures")
        subject = Asked("the subject", record.called, words)
        return prove(before, before.but(loras=names), subject, asked, pixels, session, n=n, seed=seed)


def tell(answer: Answered) -> None:
    told(f"{answer.asked.what}, {answer.asked.prompt!r}: {answer.verdict.sentence}")
    if answer.likeness is not None:
        out(f"  likeness to its pictures: {answer.likeness[0]:.3f} before, {answer.likeness[1]:.3f} after")
    out(f"  its words: {answer.kept}")
