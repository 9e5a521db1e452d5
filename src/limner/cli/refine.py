"""``limner refine``: search for a better way to say it, and prove whether it is one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from limner.cli.marks import marks_options
from limner.cli.options import Drawing, fields_of, request_options
from limner.cli.remote import server_option
from limner.errors import InvalidRequest
from limner.types import Request

if TYPE_CHECKING:
    from limner.cli.refine_show import Wanted
    from limner.refine.preparing import Wishes
    from limner.session import Session

EPILOG = (
    "Ctrl-C gives the best so far, not verified; limner refine --resume goes on from there, also after a crash. "
    "Scorers: limner metrics. What the verdict means: docs/guide-refine.md"
)


@click.command(name="refine", epilog=EPILOG, cls=Drawing)
@click.argument("words", nargs=-1, metavar="PROMPT...")
@click.option(
    "--budget",
    default="160images",
    show_default=True,
    metavar="AMOUNT",
    help="pictures or time: 160images, 600s, 10min",
)
@click.option(
    "--strategy", "strategies", multiple=True, metavar="NAME", help="repeat for several; --strategies lists them"
)
@click.option("--scorer", "scorers", multiple=True, metavar="NAME", help="a scorer that searches; repeat for several")
@click.option("--judge", "judges", multiple=True, metavar="NAME", help="a scorer that judges; repeat for several")
@click.option("--text", metavar="TEXT", help="the words that pictures are scored against; default: the prompt's")
@click.option("--margin", type=float, default=0.5, show_default=True, help="what may be lost, in standard deviations")
@click.option("--diversity-margin", type=float, metavar="NUMBER", help="another margin for diversity over seeds")
@click.option("--worthwhile", type=float, default=0.2, show_default=True, help="the smallest gain worth having, in SD")
@click.option(
    "--llm",
    default="",
    metavar="URL|NAME",
    help="a language model for opt2i: an OpenAI-compatible server's URL, a folder or repo",
)
@click.option("--llm-model", default="", metavar="NAME", help="the model's name on that server")
@click.option(
    "--expander",
    default="",
    metavar="NAME",
    help="a model that goes on writing prompts (MagicPrompt, Promptist): folder or repo",
)
@click.option(
    "--interactive", is_flag=True, help="you choose the rewrites to try, and judge the pictures yourself, blind"
)
@click.option("--force", is_flag=True, help="admit judges that are not independent of the search; indicative only")
@click.option(
    "--resume", is_flag=False, flag_value="last", metavar="[ID]", help="go on with the last unfinished one, or with ID"
)
@click.option("--strategies", "listing", is_flag=True, help="list the strategies")
@click.option("--seed", type=int, metavar="NUMBER", help="the search's first seed; default: a hash of what is asked")
@request_options(without=("n", "seed"))
@click.option("--report", metavar="FILE", help="write a report: one HTML file")
@click.option("--json", "as_json", is_flag=True, help="one JSON object on stdout, nothing else")
@click.option("--show/--no-show", default=None, help="show the best pictures in the terminal")
@marks_options
@click.option("--offline", is_flag=True, help="never touch the network")
@click.option("-q", "--quiet", is_flag=True, help="only the result and warnings")
@server_option
def command(
    words: tuple[str, ...],
    budget: str,
    strategies: tuple[str, ...],
    scorers: tuple[str, ...],
    judges: tuple[str, ...],
    text: str | None,
    margin: float,
    diversity_margin: float | None,
    worthwhile: float,
    llm: str,
    llm_model: str,
    expander: str,
    interactive: bool,
    force: bool,
    resume: str | None,
    listing: bool,
    seed: int | None,
    report: str | None,
    as_json: bool,
    show: bool | None,
    marks: str | None,
    metadata: str | None,
    offline: bool,
    quiet: bool,
    server: str | None,
    **values: object,
) -> int:
    """Search for a better way to say it, and prove whether it is one.

    Rewrites are drawn over common seeds and scored against your own words; what stands best is judged, by other
    scorers, on fresh seeds. It costs a hundred pictures and more: --budget says how many.

    \b
    limner refine "a red fox in the snow"
    limner refine "a red fox in the snow" --budget 10min --strategy weakest-atom
    limner refine --resume
    """
    if server is not None:
        said = {"strategies": strategies, "scorers": scorers, "judges": judges, "text": text, "margin": margin}
        said |= {"diversity_margin": diversity_margin, "worthwhile": worthwhile, "force": force, "seed": seed}
        telling = {"as_json": as_json, "quiet": quiet, "show": show}
        return _by_server(server, words, values, budget, said, resume, report, telling)
    if listing:
        return _list(as_json=as_json)
    wanted = _wanted(as_json=as_json, quiet=quiet, show=show, report=report)
    if resume is not None:
        if words:
            raise InvalidRequest(
                "both --resume and words were given", field="resume", hint="what is gone on with has its words already"
            )
        with _session(marks, metadata, offline=offline) as session:
            return _resume(None if resume == "last" else resume, session, wanted)
    from limner.cli.draw import checked_early

    request = checked_early(Request.of(prompt=" ".join(words), **fields_of({**values, "seed": seed})))
    from limner.refine.design import Budget
    from limner.refine.preparing import Wishes

    wishes = Wishes(
        Budget.parse(budget),
        strategies,
        scorers,
        judges,
        text,
        margin,
        force=force,
        interactive=interactive,
        diversity_margin=diversity_margin,
        worthwhile=worthwhile,
        llm=llm,
        llm_model=llm_model,
        expander=expander,
    )
    with _session(marks, metadata, offline=offline) as session:
        return _refine(request, wishes, session, wanted)


def _by_server(
    server: str,
    words: tuple[str, ...],
    values: Mapping[str, object],
    budget: str,
    said: Mapping[str, object],
    resume: str | None,
    report: str | None,
    telling: Mapping[str, bool | None],
) -> int:
    from limner.cli.remote import refuse_local

    refuse_local(values)
    from limner.cli.drawing import Telling
    from limner.cli.remote_drawing import fields_of as remote_fields
    from limner.cli.remote_http import Remote
    from limner.cli.remote_refine import WHATEVER, body_of, refine, study_of
    from limner.cli.targets import check_writable
    from limner.refine.design import Budget

    remote, spent = Remote.of(server), Budget.parse(budget)
    path = None if report is None else Path(report).expanduser()
    if path is not None:
        check_writable(path.parent)
    prompt = " ".join(words) or (WHATEVER["prompt"] if resume is not None else "")
    request = Request.of(prompt=prompt, **remote_fields(remote, values))
    body = body_of(
        request.model_dump(mode="json", exclude_defaults=True),
        (spent.images, spent.seconds),
        {**said, "resume": None if resume is None else study_of(resume)},
    )
    how = Telling.of(as_json=bool(telling["as_json"]), quiet=bool(telling["quiet"]), show=telling["show"])
    return refine(remote, body, how, path)


def _session(marks: str | None, metadata: str | None, *, offline: bool) -> Session:
    from limner.session import Session

    return Session(offline=True if offline else None, scored=False, marks=marks, metadata=metadata)


def _wanted(*, as_json: bool, quiet: bool, show: bool | None, report: str | None) -> Wanted:
    from limner.cli.drawing import Telling
    from limner.cli.refine_show import Wanted

    return Wanted.of(Telling.of(as_json=as_json, quiet=quiet, show=show), report)


def _refine(request: Request, wishes: Wishes, session: Session, wanted: Wanted) -> int:
    from limner.cli.downloading import fetch
    from limner.cli.refine_show import carry_out
    from limner.refine.refining import begin

    session.precheck(request)
    fetch(session, request.model, wanted.telling)
    return carry_out(begin(request, session, wishes), wanted)


def _resume(which: str | None, session: Session, wanted: Wanted) -> int:
    from limner.cli.refine_show import carry_out
    from limner.refine.refining import resume

    return carry_out(resume(session, which), wanted)


def _list(*, as_json: bool) -> int:
    from limner import registry
    from limner.cli.console import table
    from limner.cli.sheet import out_json
    from limner.refine.strategy import DEFAULT, load

    found = [(name, load(name)) for name in registry.names("strategies")]
    if as_json:
        out_json([{"name": name, "about": each.about, "default": name in DEFAULT} for name, each in found])
        return 0
    rows = [(name, "yes" if name in DEFAULT else "", each.about) for name, each in found]
    table(("strategy", "default", "what it does"), rows)
    return 0
