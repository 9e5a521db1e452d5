"""``limner plan PROMPT...``: what drawing would cost, before anything is downloaded or loaded."""

from __future__ import annotations

from collections.abc import Mapping

import click

from limner.cli.options import Drawing, fields_of, request_options
from limner.cli.remote import server_option
from limner.types import Request

PLACEHOLDER = "a picture"  # costs hardly depend on the words
EPILOG = "Estimates, and said as such: drawing once on this machine makes them better (limner gallery show compares)."


@click.command(name="plan", epilog=EPILOG, cls=Drawing)
@click.argument("words", nargs=-1, metavar="[PROMPT...]")
@request_options()
@click.option("--json", "as_json", is_flag=True, help="one JSON object, nothing else")
@click.option("--offline", is_flag=True, help="never touch the network")
@server_option
def command(words: tuple[str, ...], as_json: bool, offline: bool, server: str | None, **values: object) -> int:
    """Say what drawing a prompt would cost: download, disk, memory, time. Of a model that is not here only its small
    config files are fetched."""
    if server is not None:
        return _by_server(server, " ".join(words) or PLACEHOLDER, values, as_json=as_json)
    from limner.cli.draw import checked_early

    request = checked_early(Request.of(prompt=" ".join(words) or PLACEHOLDER, **fields_of(values)))
    tell(request, as_json=as_json, offline=offline)
    return 0


def _by_server(server: str, prompt: str, values: Mapping[str, object], *, as_json: bool) -> int:
    from limner.cli.remote import refuse_local
    from limner.cli.remote_drawing import fields_of as remote_fields
    from limner.cli.remote_http import Remote
    from limner.cli.remote_plan import plan

    refuse_local(values)
    remote = Remote.of(server)
    request = Request.of(prompt=prompt, **remote_fields(remote, values))
    return plan(remote, request.model_dump(mode="json", exclude_defaults=True), as_json=as_json)


def tell(request: Request, *, as_json: bool, offline: bool) -> None:
    """Print what a request would cost. Raises any ``LimnerError``."""
    from limner.cli.sheet import out_json
    from limner.errors import NetworkError, OfflineError
    from limner.session import Session

    with Session(offline=True if offline else None) as session:
        session.precheck(request)
        try:
            planned = session.foresee(request)
        except (OfflineError, NetworkError) as error:
            from limner.cli import plan_card

            found = plan_card.by_card(session, request)
            if found is None:
                raise
            if as_json:
                out_json(plan_card.as_json(found, error))
            else:
                plan_card.tell(found, error)
            return
        from limner.cli import plan_sheet

        if as_json:
            shown: Mapping[str, object] = {"plans": [plan_sheet.as_json(plan) for plan in planned]}
            out_json(shown)
            return
        # Words that differ from picture to picture cost the same: the first plan stands for all.
        plan_sheet.tell(planned[0], pictures=sum(len(plan.seeds) for plan in planned))
