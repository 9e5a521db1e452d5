"""What ``limner doctor`` looks at, gathered: the machine, libraries, folders, models, and what is wrong with them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from limner.cli.config import folders
from limner.cli.sheet import size
from limner.cli.targets import check_writable
from limner.config import Settings
from limner.errors import LimnerError
from limner.models.catalog import Catalog
from limner.models.hub.cache import cache_folder
from limner.models.machine import Chosen, Machine, choose_device, choose_dtype
from limner.models.state import State, state

OPTIONAL = {
    "textual-image": "real pixels in terminals that can show them",
    "diffusers": "for developers: compared with",
    "transformers": "for developers: compared with",
}
LOW_DISK = 2 * 10**9  # bytes; one model of the first rank does not fit beside it
FULL_DISK = 50 * 10**6
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)\s*(?:>=\s*([\d.]+))?")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong and what to do. ``broken``: Limner cannot do its work; else something is only worse."""

    what: str
    remedy: str
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Library:
    """An installed package: ``version`` is ``None`` where it is not there, ``wanted`` the least that will do."""

    name: str
    version: str | None
    wanted: str = ""
    use: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder Limner writes to. ``free`` is bytes on its disk; ``trouble`` why it cannot be written, if so."""

    what: str
    path: Path
    free: int | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Checkup:
    """Everything looked at."""

    settings: Settings
    machine: Machine
    device: str
    dtype: Chosen
    libraries: tuple[Library, ...]
    folders: tuple[Folder, ...]
    models: tuple[State, ...]
    pictures: int | None
    problems: tuple[Problem, ...] = field(default=())

    @property
    def broken(self) -> bool:
        return any(problem.broken for problem in self.problems)


def examine(machine: Machine) -> Checkup:
    """Look at everything. Never raises for what it finds: that becomes a ``Problem``."""
    problems: list[Problem] = []
    settings = _settings(problems)
    device = choose_device(None, machine)
    looked = Checkup(
        settings=settings,
        machine=machine,
        device=device,
        dtype=choose_dtype(None, device, machine),
        libraries=tuple(libraries()),
        folders=tuple(_folders(settings)),
        models=tuple(state(card, machine) for card in Catalog.load().cards),
        pictures=_pictures(settings, problems),
    )
    problems += [*_of_libraries(looked), *_of_folders(looked), *_of_models(looked), *_of_machine(machine)]
    return Checkup(**{name: getattr(looked, name) for name in Checkup.__slots__} | {"problems": tuple(problems)})


def libraries() -> Iterator[Library]:
    """What Limner requires, then what it can use, with the versions installed."""
    required = requirements()
    for name, wanted in required.items():
        yield Library(name, _version(name), wanted)
    for name, use in OPTIONAL.items():
        if name in required:
            continue
        yield Library(name, _version(name), use=use)


def requirements() -> Mapping[str, str]:
    """Required packages and their least versions, as Limner's own package says; empty where it is not installed."""
    try:
        lines = metadata.requires("limner") or []
    except metadata.PackageNotFoundError:
        return {"torch": ""}
    found = (_REQUIREMENT.match(line) for line in lines if "extra ==" not in line)
    return {match[1]: match[2] or "" for match in found if match}


def old(version: str, wanted: str) -> bool:
    """Whether a version is below the least wanted; by its leading numbers."""
    have, need = (tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0])) for text in (version, wanted))
    return have + (0,) * (len(need) - len(have)) < need


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        there = name.isidentifier() and importlib.util.find_spec(name) is not None
        return "not known" if there else None


def _settings(problems: list[Problem]) -> Settings:
    try:
        return Settings.load()
    except LimnerError as error:
        problems.append(Problem(f"the settings are wrong: {error.message}", error.hint, broken=True))
        return folders()


def _folders(settings: Settings) -> Iterator[Folder]:
    yield _folder("library", settings.library_root)
    yield _folder("cache", settings.cache_root)
    yield _folder("hub's models", cache_folder())


def _folder(what: str, path: Path) -> Folder:
    """The nearest folder that is there stands for one that is still to be made."""
    there = next((each for each in (path, *path.absolute().parents) if each.exists()), Path(path.anchor or "."))
    try:
        free = shutil.disk_usage(there).free
    except OSError:
        free = None
    try:
        check_writable(there)
    except LimnerError as error:
        return Folder(what, path, free, error.message)
    return Folder(what, path, free)


def _pictures(settings: Settings, problems: list[Problem]) -> int | None:
    """How many pictures the library holds; ``None`` where there is none yet. Makes none."""
    from limner.library.database import NAME
    from limner.library.store import Library as Pictures

    if not (settings.library_root / NAME).is_file():
        return None
    try:
        return Pictures(settings.library_root).count()
    except LimnerError as error:
        problems.append(Problem(error.message, error.hint, broken=True))
        return None


def _of_libraries(looked: Checkup) -> Iterator[Problem]:
    for library in looked.libraries:
        if library.use:
            continue
        if library.version is None:
            yield Problem(f"{library.name} is not installed", f"install {_spec(library)}", broken=True)
        elif library.wanted and library.version != "not known" and old(library.version, library.wanted):
            what = f"{library.name} {library.version} is older than {library.wanted}"
            yield Problem(what, f"install {_spec(library)}", broken=True)
    if not _has_fts5():
        yield Problem("this Python's SQLite has no full-text search", "searching the gallery works, but slower")


def _spec(library: Library) -> str:
    return f'"{library.name}>={library.wanted}"' if library.wanted else library.name


def _has_fts5() -> bool:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5 (a)")
    except sqlite3.Error:
        return False
    finally:
        connection.close()
    return True


def _of_folders(looked: Checkup) -> Iterator[Problem]:
    for folder in looked.folders:
        library = folder.what == "library"
        if folder.trouble:
            remedy = "set LIMNER_HOME to a folder you can write" if library else "set LIMNER_HOME or HF_HOME elsewhere"
            yield Problem(f"{folder.what}: {folder.trouble}", remedy, broken=library)
        elif folder.what != "cache" and folder.free is not None and folder.free < (FULL_DISK if library else LOW_DISK):
            what = f"{size(folder.free)} are free for the {folder.what} in {folder.path}"
            yield Problem(
                what, "make room, or set LIMNER_HOME (pictures) and HF_HOME (models) to another disk", library
            )


def _of_models(looked: Checkup) -> Iterator[Problem]:
    for found in looked.models:
        if found.card.built_in and not found.here:
            yield Problem(
                f"files of the built-in model {found.card.name} are missing", "install Limner again", broken=True
            )


def _of_machine(machine: Machine) -> Iterator[Problem]:
    if machine.gpus and machine.torch_cuda == "":
        what = f"{machine.gpus[0].name} is not used: the installed torch {machine.torch_version} is a CPU build"
        yield Problem(what, "install a CUDA build of torch (pytorch.org tells the command for your system)")
