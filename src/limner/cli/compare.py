"""``limner compare``: which prompt, setting or model is better, said with evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from limner.cli.marks import marks_options
from limner.cli.options import Drawing, fields_of, request_options
from limner.errors import InvalidRequest

if TYPE_CHECKING:
    from limner.cli.drawing import Telling
    from limner.prompts.files import PromptLine
    from limner.refine.arms import Arm
    from limner.refine.compare_study import Study
    from limner.session import Session

EPILOG = (
    "Ctrl-C keeps what is drawn; the same command goes on from there. Scorers: limner metrics. "
    "What a verdict means: docs/guide-compare.md"
)


class Said(NamedTuple):
    """What the options said."""

    arms: list[Arm]
    lines: tuple[PromptLine, ...] | None
    text: str | None
    judges: tuple[str, ...]
    alignment: str | None
    category: str | None
    own_settings: bool
    n: int | None
    seed: int | None
    margin: float
    diversity_margin: float | None
    worthwhile: float
    alpha: float
    looks: int


@click.command(name="compare", epilog=EPILOG, cls=Drawing)
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="a side; twice: is the second better?")
@click.option("--prompts", "file", metavar="FILE", help="compare over all prompts of a .txt, .csv, .tsv or .jsonl file")
@click.option("-m", "--model", "models", multiple=True, metavar="NAME", help="a model; twice or more: compare them")
@click.option("--axis", "axes", multiple=True, metavar="NAME=V,V", help="a setting's values: --axis steps=10,20,30")
@click.option("--own-settings", is_flag=True, help="each model with its own steps, guidance and size")
@click.option("-n", "n", type=int, metavar="NUMBER", help="seeds a side; default 24, of several prompts 4 each")
@click.option("--seed", type=int, metavar="NUMBER", help="the first seed; default: a hash of what is compared")
@click.option("--text", metavar="TEXT", help="the words that pictures are scored against; default: the first prompt")
@click.option("--judge", "judges", multiple=True, metavar="NAME", help="a scorer that decides; repeat for several")
@click.option("--alignment", metavar="NAME", help="the scorer that guards alignment with the words")
@click.option("--margin", type=float, default=0.5, show_default=True, help="what may be lost, in standard deviations")
@click.option("--diversity-margin", type=float, help="the same of diversity, where it is another")
@click.option("--worthwhile", type=float, default=0.2, show_default=True, help="the smallest gain worth having, in SD")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="the chance of a false verdict")
@click.option("--looks", type=click.IntRange(1, 2), default=1, help="2: look also at half of it, and stop if decided")
@click.option("--category", metavar="COLUMN", help="the column of --prompts that losses are told by")
@click.option("--csv", "csv_file", metavar="FILE", help="write a row a picture")
@click.option("-o", "--output", metavar="FILE", help="write the grid picture here too (.png)")
@click.option("--report", metavar="FILE", help="write the report, one HTML file, here too (.html)")
@click.option("--blind", metavar="DIR", help="export a page on which people vote without knowing which is which")
@click.option("--votes", is_flag=True, help="count the votes in FILES, which raters saved from such a page")
@click.argument("files", nargs=-1, metavar="[FILES]...")
@request_options(without=("model", "n", "seed"))
@click.option("--json", "as_json", is_flag=True, help="one JSON object on stdout, nothing else")
@click.option("--show/--no-show", default=None, help="show the grid in the terminal")
@marks_options
@click.option("--offline", is_flag=True, help="never touch the network")
@click.option("-q", "--quiet", is_flag=True, help="only the verdict and warnings")
def command(
    prompts: tuple[str, ...],
    file: str | None,
    models: tuple[str, ...],
    axes: tuple[str, ...],
    own_settings: bool,
    n: int | None,
    seed: int | None,
    text: str | None,
    judges: tuple[str, ...],
    alignment: str | None,
    margin: float,
    diversity_margin: float | None,
    worthwhile: float,
    alpha: float,
    looks: int,
    category: str | None,
    csv_file: str | None,
    output: str | None,
    report: str | None,
    blind: str | None,
    votes: bool,
    files: tuple[str, ...],
    as_json: bool,
    show: bool | None,
    marks: str | None,
    metadata: str | None,
    offline: bool,
    quiet: bool,
    **values: object,
) -> int:
    """Which is better? Both sides are drawn from the same seeds, scored, and judged: better, worse, traded off, or no
    evidence, with how many more seeds would settle it.

    \b
    limner compare --prompt "a fox" --prompt "a red fox in the snow" --text "a fox in winter"
    limner compare --prompt "a fox" --axis steps=10,20,30 --axis guidance=3,7
    limner compare --prompts mine.txt -m sd15 -m sdxl --own-settings --csv result.csv
    """
    from limner.cli.drawing import Telling

    telling = Telling.of(as_json=as_json, quiet=quiet, show=show)
    if votes or files:
        return _count(files, votes, telling)
    _check_sides(prompts, file, text)
    fields = fields_of(values)

    from limner.cli.compare_show import Wanted
    from limner.prompts.files import read_prompts
    from limner.refine.compare_arms import arms_of, axis_of

    wanted = Wanted.of(output=output, csv_file=csv_file, report=report, blind=blind)
    lines = None if file is None else read_prompts(Path(file))
    arms = arms_of(prompts, models, [axis_of(axis) for axis in axes], fields)
    _check_arms(arms, blind)
    settings = (own_settings, n, seed, margin, diversity_margin, worthwhile, alpha, looks)
    said = Said(arms, lines, text, judges, alignment, category, *settings)

    from limner.cli.compare_show import follow, tell
    from limner.session import Session

    with Session(offline=True if offline else None, scored=False, marks=marks, metadata=metadata) as session:
        tell(follow(_study(session, telling, said), session, telling), session, telling, wanted)
    return 0


def _check_sides(prompts: tuple[str, ...], file: str | None, text: str | None) -> None:
    if file is None and not prompts:
        raise InvalidRequest(
            "nothing to compare was given",
            field="prompt",
            hint='for example: limner compare --prompt "a fox" --prompt "a red fox in the snow"',
        )
    if file is not None and (prompts or text):
        raise InvalidRequest(
            "both a file of prompts and words of their own were given",
            field="prompts",
            hint="with --prompts the sides are models (-m) or settings (--axis), and each prompt is its own text",
        )


def _check_arms(arms: Sequence[Arm], blind: str | None) -> None:
    if len(arms) < 2:
        raise InvalidRequest(
            "there is only one side to compare",
            field="prompt",
            hint="give a second --prompt, a second -m, or an --axis such as --axis steps=10,20",
        )
    if blind is not None and len(arms) > 2:
        raise InvalidRequest(
            f"blind votes are on two sides, and there are {len(arms)}", field="blind", hint="leave out all but two"
        )
    from limner.cli.draw import checked_early

    for arm in arms:
        checked_early(arm.request)


def _study(session: Session, telling: Telling, said: Said) -> Study:
    """The comparison, fixed. Models are fetched before it can be known whether their pictures can be judged."""
    from limner.cli.downloading import fetch
    from limner.refine.compare import study_of
    from limner.refine.compare_arms import common_settings, texts_of
    from limner.refine.compare_scoring import scorers_for
    from limner.refine.compare_study import Text

    arms, notices = said.arms, list[str]()
    texts = [Text(words=said.text or arms[0].request.prompt)]
    if said.lines is not None:
        texts, notices = texts_of(said.lines, arms, said.category)
    models = list(dict.fromkeys(arm.request.model for arm in arms))
    for arm in arms:
        for prompt in dict.fromkeys(text.prompt or arm.request.prompt for text in texts):
            session.review(arm.request.but(prompt=prompt))
    for model in models:
        fetch(session, model, telling)
    if len(models) > 1 and len(texts) == 1:
        notices.append("models on one prompt: the verdict is on these words, and of other words it says nothing")
    if len(models) > 1 and not said.own_settings:
        arms, what = common_settings(session, arms, texts[0].words)
        notices.append(what)
    scorers = scorers_for(session, arms, said.judges, said.alignment)
    return study_of(
        arms,
        texts,
        scorers,
        n=said.n,
        seed=said.seed,
        margin=said.margin,
        diversity_margin=said.diversity_margin,
        worthwhile=said.worthwhile,
        alpha=said.alpha,
        looks=said.looks,
        notices=notices,
    )


def _count(files: tuple[str, ...], votes: bool, telling: Telling) -> int:
    if not (votes and files):
        raise InvalidRequest(
            "--votes and the files that raters saved go together" if votes else f"what is {files[0]!r} for?",
            field="votes",
            hint='limner compare --votes votes-ann.json votes-bob.json; prompts are given by --prompt "..."',
        )
    from limner.cli.compare_votes import show_votes
    from limner.refine.voting_count import count
    from limner.session import Session

    with Session(offline=True) as session:
        show_votes(count([Path(name) for name in files], session), telling)
    return 0
