"""``limner tune show``: what a LoRA file says of its training, and whether it worked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from limner.cli.console import out
from limner.cli.marks import marks_options
from limner.cli.options import safety_option
from limner.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limner.cli.drawing import Telling
    from limner.refine.tuned_asked import Asked
    from limner.refine.tuned_design import Ready
    from limner.refine.tuned_likeness import References
    from limner.session import Session
    from limner.tune.told import Told

EPILOG = (
    "Ctrl-C keeps what is drawn; the same command goes on from there. What the words mean: docs/tuning.md and "
    "docs/guide-compare.md"
)


class Said(NamedTuple):
    """What the options said."""

    data: Path
    scenes: tuple[str, ...]
    others: tuple[str, ...]
    n: int
    seed: int | None
    margin: float
    diversity_margin: float | None
    alpha: float


@click.command("show", epilog=EPILOG)
@click.argument("file", metavar="FILE")
@click.option("--data", metavar="PATH", help="the pictures it was trained on: draws before and after, and judges")
@click.option(
    "--scene",
    "scenes",
    multiple=True,
    metavar="WORDS",
    help='where it was never seen: "on the beach"; repeat; default: a place and a thing that no caption names',
)
@click.option(
    "--other", "others", multiple=True, metavar="PROMPT", help="what must not have changed; repeat for several"
)
@click.option("-n", "n", type=int, default=24, show_default=True, help="seeds of each question")
@click.option("--seed", type=int, metavar="NUMBER", help="the first of them; default: a hash of what is asked")
@click.option("--margin", type=float, default=0.5, show_default=True, help="what may be lost, in standard deviations")
@click.option("--diversity-margin", type=float, help="the same of diversity, where it is another")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="the chance of a false verdict, over all")
@click.option("--out", "out_folder", metavar="FOLDER", help="put study, report and pictures here too")
@click.option("--report", metavar="FILE", help="write the report, one HTML file, here too (.html)")
@safety_option
@marks_options
@click.option("--json", "as_json", is_flag=True, help="one JSON object on stdout, nothing else")
@click.option("--offline", is_flag=True, help="never touch the network")
@click.option("-q", "--quiet", is_flag=True, help="only the verdicts and warnings")
def command(
    file: str,
    data: str | None,
    scenes: tuple[str, ...],
    others: tuple[str, ...],
    n: int,
    seed: int | None,
    margin: float,
    diversity_margin: float | None,
    alpha: float,
    out_folder: str | None,
    report: str | None,
    marks: str | None,
    metadata: str | None,
    as_json: bool,
    offline: bool,
    quiet: bool,
) -> int:
    """What FILE was trained on and how; with --data also whether it worked: is the subject more like its pictures, are
    words still followed, are other things still what they were? Kept in the library with a report, as by limner
    compare."""
    from limner.cli.drawing import Telling
    from limner.tune.told import read_told

    if data is None:
        refuse_without_data({"report": report, "out": out_folder, "scene": scenes, "other": others})
    path = Path(file).expanduser()
    record, telling = read_told(path), Telling.of(as_json=as_json, quiet=quiet, show=False)
    facts = facts_of(record)
    if telling.to_people:
        for label, text in facts.items():
            out(f"{label:<16}{text}")
    if data is None:
        _tell_facts(file, record, telling)
        return 0

    from limner.cli.targets import check_writable
    from limner.cli.tune_telling import follow, tell
    from limner.session import Session

    folder, page = (None if each is None else Path(each).expanduser() for each in (out_folder, report))
    for place in (None if folder is None else folder if folder.is_dir() else folder.parent, page and page.parent):
        if place is not None:
            check_writable(place)
    said = Said(Path(data), scenes, others, n, seed, margin, diversity_margin, alpha)
    with Session(offline=True if offline else None, scored=False, marks=marks, metadata=metadata) as session:
        found = follow(ready(record, path, said, session, telling), session, telling)
        tell(found, session, telling, facts, sheet_of(record), file=path, out_folder=folder, report=page)
    return 0


def refuse_without_data(said: Mapping[str, object]) -> None:
    """Raises ``InvalidRequest`` where an option is said that only drawing before and after heeds."""
    if idle := next((name for name, value in said.items() if value), None):
        raise InvalidRequest(
            f"--{idle} needs --data", field="data", hint="name the pictures it was trained on: --data PICTURES"
        )


def ready(record: Told, path: Path, said: Said, session: Session, telling: Telling) -> Ready:
    """All questions, planned. Raises ``InvalidRequest`` for other pictures or too few seeds, ``MismatchedWeights`` for
    another base, ``Refused``, and what ``prepare`` raises."""
    from limner.canonical import file_hash
    from limner.cli.adapters import lora_names
    from limner.cli.downloading import fetch
    from limner.errors import MismatchedWeights
    from limner.refine.tuned_design import prepare
    from limner.types import Request

    known, notices = references(record, said.data)
    questions = asked(record, said, known)
    fields = {"model": record.base, "width": record.side, "height": record.side}
    before = Request.of(prompt=record.called, **fields)
    after = Request.of(prompt=record.called, loras=lora_names([str(path)], tell=telling.to_people), **fields)
    for each in questions:
        session.review(after.but(prompt=each.prompt))
    fetch(session, record.base, telling)
    if session.plan(before)[0].model.weights_hash() != record.base_hash:
        raise MismatchedWeights(
            f"{record.base} here is not what it was trained on", hint="bring the same weights; limner models list"
        )
    return prepare(
        before,
        after,
        questions,
        known,
        session,
        lora=file_hash(path),
        n=said.n,
        seed=said.seed,
        trained_seeds=int(str(record.settings.get("prior") or 0)),
        margin=said.margin,
        diversity_margin=said.diversity_margin,
        alpha=said.alpha,
        notices=notices,
    )


def asked(record: Told, said: Said, known: References) -> tuple[Asked, ...]:
    """The questions that fit what it was taught."""
    from limner.refine.tuned_asked import OTHERS, Taught, asked_of

    subject = record.settings.get("subject")
    taught = Taught(
        called=record.called,
        token=None if subject is None else str(subject).split()[0],
        kind=record.kind,
        style=record.settings.get("style") is not None,
        captions=tuple(record.data.values()),
        held=tuple(each.caption for each in known.held.values()),
    )
    return asked_of(taught, said.others or OTHERS, said.scenes)


def references(record: Told, data: Path) -> tuple[References, list[str]]:
    """The subject's pictures as they were trained on, and what to say of them. Raises ``InvalidRequest`` where one is
    none of them, ``UnreadablePicture``."""
    from limner.refine.tuned_likeness import Reference, References
    from limner.tune.caching import read_square
    from limner.tune.pictures import read_examples

    examples = read_examples(data).found
    record.refuse_other_pictures(examples)
    found = {}
    for each in examples:
        square = read_square(each.path, record.side)[0].permute(1, 2, 0).numpy()
        pixels = ((square + 1) * 127.5).round().astype("uint8")
        found[each.hash] = Reference(pixels, record.data[each.hash])
    notices = []
    if record.held is None:
        notices.append("the file does not say which pictures were held out: all count as trained on")
    elif gone := record.held - found.keys():
        notices.append(f"{len(gone)} of {len(record.held)} pictures that were held out are not in {data.name}")
    held = {hash: each for hash, each in found.items() if hash in (record.held or ())}
    return References({hash: each for hash, each in found.items() if hash not in held}, held), notices


def _tell_facts(file: str, record: Told, telling: Telling) -> None:
    if telling.json:
        from limner.cli.sheet import out_json

        out_json({"file": file, **sheet_of(record), "answers": []})
    elif telling.to_people:
        telling.say(f"whether it worked: limner tune show {file} --data PICTURES")


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


def sheet_of(record: Told) -> dict[str, object]:
    """What --json says of the training."""
    settings, run = record.settings, record.run
    return {
        "base": {"name": record.base, "hash": record.base_hash},
        "called": record.called,
        "pictures": len(record.data),
        "held_out_pictures": run.get("held_out_pictures"),
        "rank": settings.get("rank"),
        "alpha": settings.get("alpha") or settings.get("rank"),
        "targets": settings.get("targets"),
        "steps": run.get("steps"),
        "step": run.get("step"),
        "ended": run.get("ended"),
        "lr": settings.get("lr"),
        "size": record.side,
        "dtype": settings.get("dtype"),
        "trained_seconds": run.get("seconds"),
        "held_out_losses": run.get("held_out"),
        "version": record.version,
    }
