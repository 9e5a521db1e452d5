"""Settings that are well written but name what does not exist: models, solvers, styles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from limner.config import Settings, Sourced
from limner.errors import ConfigError, LimnerError
from limner.models.catalog import Catalog
from limner.models.hub.cache import repo_name
from limner.prompts.styles import builtin_styles, choose, load_styles
from limner.sampling import catalog as solvers

Find = Callable[[str], object]


def problems(settings: Settings) -> Iterator[LimnerError]:
    """Every setting that will fail when it is used, with its origin; and the styles file, where it cannot be read."""
    models, styles = Catalog.load(), dict(builtin_styles())
    try:
        if settings.styles_file.is_file():
            styles |= load_styles(settings.styles_file)
    except LimnerError as error:
        yield error
    finds: dict[str, Find] = {
        "model": lambda name: find_model(name, models),
        "solver": solvers.find,
        "styles": lambda name: choose([name], styles),
    }
    for key, sourced in settings.items():
        find = finds.get(key.rpartition(".")[2])
        if find is not None:
            yield from _failing(key, sourced, find)


def find_model(name: str, models: Catalog) -> None:
    """Raises ``UnknownName`` for what is no catalog name, folder or possible hub repo; those two are tried in use."""
    if repo_name(name) is None and not Path(name).expanduser().is_dir():
        models.get(name.partition("@")[0])


def _failing(key: str, sourced: Sourced, find: Find) -> Iterator[LimnerError]:
    values = sourced.value if isinstance(sourced.value, tuple) else (sourced.value,)
    for value in values:
        try:
            if value is not None:
                find(str(value))
        except LimnerError as error:
            yield ConfigError(f"{key} ({sourced.origin}): {error.message}", hint=error.hint)
