"""``limner models check`` and ``rm``: whether what is here is still what it was, and making room."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from limner.cli.console import say, table, told
from limner.cli.models_named import Named, any_kind, files_of, named
from limner.cli.sheet import out_json, size
from limner.config import Settings
from limner.errors import InvalidRequest, ModelNotFound
from limner.models.catalog import Catalog

if TYPE_CHECKING:
    from limner.models.holdings import Checked, Removal

Begin = Callable[[str, int], None]
BAD = ("damaged", "changed")


@click.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--repair", is_flag=True, help="take damaged files out of the hub's cache, so that they are fetched anew")
@click.option("--json", "json_", is_flag=True, help="as JSON")
def check(*, names: tuple[str, ...], repair: bool, json_: bool) -> int:
    """Read models' files again and compare their hashes: all models on this machine, or those called NAME.

    Exit code 3 where something is damaged or changed.
    """
    settings = Settings.load()
    wanted = [any_kind(name, settings) for name in names] or list(_everything())
    found = [(what, _checked(what, settings, given=bool(names), quiet=json_)) for what in wanted]
    if json_:
        out_json([_as_json(what, files) for what, files in found])
    else:
        table(("model", "files", "state"), [_row(what, files) for what, files in found])
    bad = [(what, each) for what, files in found for each in files if each.state in BAD]
    for what, each in bad:
        _advise(what, each, repair=repair, quiet=json_)
    if not json_:
        _cut(wanted)
    return 3 if bad and not repair else 0


def _everything() -> Iterator[Named]:
    from limner.models.holdings import repos

    seen = set()
    for card in Catalog.load().cards:
        what = named(card.name, Settings.load())
        if files_of(what):
            seen.add(card.repo)
            yield what
    yield from (named(repo, Settings.load()) for repo in repos() if repo not in seen)


def _checked(what: Named, settings: Settings, *, given: bool, quiet: bool) -> Sequence[Checked]:
    from limner.models.hashes import Hashes
    from limner.models.holdings import check_files

    files = files_of(what)
    if not files and given:
        raise ModelNotFound(f"{what.name} is not on this machine", hint=f"fetch it: limner models pull {what.name}")
    with _reading(what.name, quiet=quiet) as begin:
        return tuple(check_files(files, Hashes(settings.cache_root), begin))


@contextmanager
def _reading(name: str, *, quiet: bool) -> Iterator[Begin | None]:
    """Says in a terminal which file is being read: gigabytes take a while."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from limner.cli.console import console

    with console(stderr=True).status(f"reading {name}") as status:
        yield lambda file, count: status.update(f"reading {name}: {file} ({size(count)})")


def _row(what: Named, files: Sequence[Checked]) -> Sequence[object]:
    bad = [each for each in files if each.state in BAD]
    unknown = sum(each.state == "well-formed" for each in files)
    whole = f"{len(files)}, {size(sum(each.size for each in files))}"
    if bad:
        return (what.name, whole, "; ".join(f"{each.state}: {each.name}" for each in bad))
    if unknown == len(files):
        return (what.name, whole, "well-formed (nothing to compare with; from now on there is)")
    return (what.name, whole, "intact")


def _advise(what: Named, checked: Checked, *, repair: bool, quiet: bool) -> None:
    from limner.models.holdings import take_out

    if what.repo is not None and repair:
        take_out(checked)
        say(f"{checked.name} was taken out; limner models pull {what.name} fetches it anew")
    elif quiet:
        return
    elif what.repo is not None:
        say(f"{checked.name}: {checked.detail}; repair it: limner models check {what.name} --repair", warn=True)
    elif checked.state == "changed":
        say(f"{checked.name} {checked.detail}: if you did not replace it, get it again where it came from", warn=True)
    else:
        say(f"{checked.name}: {checked.detail}; get it again where it came from", warn=True)


def _cut(wanted: Sequence[Named]) -> None:
    from limner.models.holdings import parts

    for what in wanted:
        left = parts(what.repo.repo) if what.repo is not None else {}
        if left:
            bytes_ = size(sum(left.values()))
            say(f"{what.name}: {bytes_} of a download that was cut; limner models pull {what.name} goes on with it")


def _as_json(what: Named, files: Sequence[Checked]) -> dict[str, object]:
    said = [{"name": e.name, "bytes": e.size, "state": e.state, "detail": e.detail, "path": str(e.path)} for e in files]
    return {"name": what.name, "ok": not any(each.state in BAD for each in files), "files": said}


@click.command("rm")
@click.argument("name", metavar="NAME")
@click.option("-y", "--yes", is_flag=True, help="do not ask")
@click.option("--json", "json_", is_flag=True, help="as JSON; needs --yes")
def rm(*, name: str, yes: bool, json_: bool) -> None:
    """Remove a fetched model from the hub's cache. NAME@COMMIT removes one version of several.

    Other programs use the same cache and would have to fetch the model again. Linked folders are never touched.
    """
    settings = Settings.load()
    what = named(name, settings)
    removals = _removals(what, one_commit="@" in name)
    freed = sum(each.freed for each in removals)
    if not (yes or _confirmed(what, removals, freed)):
        say("nothing was removed")
        return
    from limner.models.holdings import remove

    for each in removals:
        remove(each)
    if json_:
        out_json({"name": what.name, "repos": [each.repo for each in removals], "freed_bytes": freed})
        return
    told(f"{what.name}: removed, {size(freed)} freed")


def _removals(what: Named, *, one_commit: bool) -> Sequence[Removal]:
    from limner.models.holdings import removal
    from limner.models.hub.cache import cached

    if what.card is not None and what.card.built_in:
        raise InvalidRequest(f"{what.name} is part of Limner", hint="it takes no more room than Limner itself")
    if what.repo is None:
        hint = "limner models unlink forgets a link" if what.linked else "delete it yourself, if you want it deleted"
        raise InvalidRequest(f"{what.path} is yours: Limner deletes only what it fetched", hint=hint)
    there = cached(what.repo)
    commit = what.repo.revision if what.repo.pinned else None if there is None else there.commit
    try:
        found = [removal(what.repo.repo, commit if one_commit else None)]
    except ModelNotFound as error:
        raise ModelNotFound(f"{what.name} is not on this machine", hint=error.hint) from None
    companion = what.companion
    if companion is not None and cached(companion) is not None and not _needed_by_others(what):
        found.append(removal(companion.repo))
    return found


def _needed_by_others(what: Named) -> bool:
    """Whether another model that is here uses the same companion."""
    sisters = [c for c in Catalog.load().cards if what.card and c.companion == what.card.companion and c != what.card]
    return any(files_of(named(card.name, Settings.load())) for card in sisters if _own_files(card.name))


def _own_files(name: str) -> bool:
    from limner.models.hub.cache import cached

    repo = named(name, Settings.load()).repo
    return repo is not None and cached(repo) is not None


def _confirmed(what: Named, removals: Sequence[Removal], freed: int) -> bool:
    if not sys.stdin.isatty():
        raise InvalidRequest(f"removing {what.name} would free {size(freed)}; say --yes", hint="nothing was removed")
    repos = ", ".join(each.repo for each in removals)
    say(f"{repos} in the hub's cache, which other programs use too: {size(freed)}")
    return click.confirm(f"remove {what.name}?", default=False, err=True)
