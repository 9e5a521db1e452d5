"""``limner serve``: the studio and the HTTP API."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import get_args

import click

from limner.types import SafetyLevel

NEEDED = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "python-multipart": "multipart",
    "prometheus-client": "prometheus_client",
}


@click.command(name="serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="address to listen on; another one needs --token")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0 takes a free one")
@click.option("--token", metavar="SECRET", help="what clients must know; 'new' makes one")
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="read the token from a file")
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="a name by which clients call this server; repeatable"
)
@click.option("--safety", type=click.Choice(get_args(SafetyLevel)), help="what is refused; adult on loopback alone")
@click.option("--most-waiting", type=click.IntRange(1), default=200, show_default=True, help="pictures in the queue")
@click.option("--grace", type=click.FloatRange(0, 3600), default=30.0, show_default=True, help="seconds to finish in")
@click.option("--open", "open_", is_flag=True, help="open the studio in a browser")
@click.option("--offline", is_flag=True, help="never touch the network")
@click.option("--json-logs", is_flag=True, help="one JSON object a line on stderr")
@click.option("-v", "--verbose", is_flag=True, help="log every request, without what was asked")
def command(
    host: str,
    port: int,
    token: str | None,
    token_file: Path | None,
    allow_host: tuple[str, ...],
    safety: SafetyLevel | None,
    most_waiting: int,
    grace: float,
    open_: bool,
    offline: bool,
    json_logs: bool,
    verbose: bool,
) -> None:
    """Serve the web studio, and HTTP APIs that OpenAI's and A1111's clients speak. Ends at Ctrl-C, after what runs."""
    refuse_without_libraries()
    from limner.config import Settings
    from limner.serve.run import Serving, run
    from limner.serve.security import refuse_adult

    serving = Serving(
        host=host,
        port=port,
        token=token,
        token_file=token_file,
        names=allow_host,
        most_waiting=most_waiting,
        grace=grace,
        browser=open_,
        offline=offline or None,
        json_logs=json_logs,
        verbose=verbose,
    )
    settings = Settings.load().protected(level=safety)
    refuse_adult(settings.protection.level, serving.host, serving.names)
    run(settings, serving)


def refuse_without_libraries() -> None:
    """Raises ``MissingExtra`` where the libraries of the server are not installed."""
    from limner.errors import MissingExtra

    missing = [name for name, module in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingExtra("serve", missing)
