"""Settings: a TOML file and environment variables, each value knowing where it came from.

``config.toml`` has the sections ``[defaults]`` (fields of a Request), ``[models.NAME]`` (the same, for one model, and
``prediction``, what its network was trained to predict), ``[library]`` (``root``), ``[network]`` (``offline``) and
``[score]`` (``default``, the scorers of new pictures: names, ``auto`` or ``none``) and ``[safety]`` (the fields of a
``Protection``; the level ``adult`` is for a flag alone; and ``checker``, who looks at pictures: names or ``auto``;
``audit``, whether the audit log has prompts ``hashed`` or ``plain``).
``[safety] certificate`` and ``key`` are files (PEM) of the user's own to sign pictures with, ``timestamp`` the address
of a time-stamp authority, and ``trust`` a file of certificates whose signatures ``limner inspect`` calls trusted.
``LIMNER_<FIELD>`` sets a field of a Request, as ``LIMNER_STEPS`` does; ``LIMNER_LIBRARY``, ``LIMNER_OFFLINE`` and
``LIMNER_LOCK`` set the rest, and ``HF_HUB_OFFLINE`` is respected.
``LIMNER_HOME`` moves all state into one folder. Only ``Session.plan`` merges these with other defaults.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self, TypeAlias, get_args

from limner.errors import ConfigError, InvalidRequest
from limner.toml_lines import key_lines
from limner.types import Protection, Request, parse_size

PREDICTION = "prediction"
PREDICTIONS = ("epsilon", "v_prediction", "sample")

Value: TypeAlias = "str | int | float | bool | tuple[str, ...] | None"

FIELDS = frozenset(Request.model_fields) - {"prompt", "init", "mask"}
SEVERAL = frozenset(name for name in FIELDS if isinstance(Request.model_fields[name].default, tuple))
YES_OR_NO = frozenset(
    name for name in FIELDS if bool in (note := Request.model_fields[name].annotation, *get_args(note))
)
MACHINE = frozenset({"device", "dtype"})  # fields that say what to draw on, not what
SIZE = "size"  # the CLI's word for width and height; accepted here too
SIGNING = ("certificate", "key", "timestamp", "trust")
PLAIN: Mapping[str, frozenset[str]] = {
    "library": frozenset({"root"}),
    "network": frozenset({"offline"}),
    "score": frozenset({"default"}),
    "safety": frozenset({*Protection.model_fields, "checker", "audit", *SIGNING}),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    **{f"safety.{name}": get_args(info.annotation) for name, info in Protection.model_fields.items()},
    "safety.audit": ("hashed", "plain"),
}
BY_FLAG_ONLY = {"safety.level": "adult"}
RIGHT: Mapping[str, str] = {
    "network.offline": "true or false",
    "score.default": 'names in quotes, or "auto" or "none"',
    "safety.checker": 'names in quotes, or "auto"',
    "safety.timestamp": 'an address in quotes: "http://..."',
    **{f"safety.{name}": "a file in quotes" for name in ("certificate", "key", "trust")},
}
SECTIONS = ("defaults", "models", *PLAIN)
RESERVED = frozenset({"HOME", "OFFLINE", "LIBRARY", "DEBUG", "LOCK", "SERVER", "TOKEN"})
LOCK = "limner.lock"
TRUE, FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})

_BY_FLAG: ContextVar[Mapping[str, str]] = ContextVar("limner-by-flag", default=MappingProxyType({}))


@contextmanager
def by_flag(**said: str) -> Iterator[None]:
    """Settings that are loaded within have these fields of the ``Protection``: what a command's flags say."""
    before = _BY_FLAG.set({**_BY_FLAG.get(), **said})
    try:
        yield
    finally:
        _BY_FLAG.reset(before)


class Sourced(NamedTuple):
    """A value and where it came from: "built-in", "config.toml:12" or "environment LIMNER_STEPS"."""

    value: Value
    origin: str


@dataclass(frozen=True)
class Settings:
    """What the user set, checked. Built by ``load``; a ``Settings()`` of one's own has nothing set."""

    home: Path
    data: Path
    cache_root: Path
    _defaults: Mapping[str, Sourced] = field(default_factory=dict)
    _models: Mapping[str, Mapping[str, Sourced]] = field(default_factory=dict)
    _plain: Mapping[str, Sourced] = field(default_factory=dict)
    _environment: Mapping[str, Sourced] = field(default_factory=dict)

    @classmethod
    def load(cls, home: Path | None = None, env: Mapping[str, str] | None = None) -> Self:
        """Read ``config.toml`` in ``home`` (else in ``LIMNER_HOME``, else the user's own folder) and the environment.

        Raises ``ConfigError`` naming the file and line, or the variable, and the nearest name that would be right.
        """
        environ = os.environ if env is None else env
        folders = folders_of(home, environ)
        defaults, models, plain = _read_file(folders[0] / "config.toml")
        fields, rest = _read_environment(environ)
        return cls(*folders, defaults, models, {**plain, **rest}, fields).protected("flag", **_BY_FLAG.get())

    @property
    def config_file(self) -> Path:
        return self.home / "config.toml"

    @property
    def library_root(self) -> Path:
        """Folder of the library: the setting, ``~`` expanded and relative to the config file, else inside the data."""
        root = self._plain.get("library.root")
        if root is None:
            return self.data / "library"
        return self.home / Path(str(root.value)).expanduser()

    @property
    def wildcards(self) -> Path:
        """Folder of the user's wildcard lists."""
        return self.home / "wildcards"

    @property
    def styles_file(self) -> Path:
        return self.home / "styles.toml"

    @property
    def lock_file(self) -> Path | None:
        """The lock in force: the one named by ``--lock`` or ``LIMNER_LOCK``, else ``limner.lock`` beside the settings
        where there is one."""
        said = self._plain.get("lock")
        if said is not None:
            return Path(str(said.value))
        beside = self.home / LOCK
        return beside if beside.is_file() else None

    def locked_by(self, path: Path, origin: str = "--lock") -> Self:
        """These settings with a lock of one's own in force."""
        return replace(self, _plain={**self._plain, "lock": Sourced(str(path.expanduser().absolute()), origin)})

    @property
    def protection(self) -> Protection:
        """What is refused, and what files carry."""
        said = {name: self.value(f"safety.{name}").value for name in Protection.model_fields}
        return Protection.model_validate(said)

    @property
    def signing(self) -> Mapping[str, str]:
        """Of ``certificate``, ``key``, ``timestamp`` and ``trust`` those that are set; files as absolute paths,
        relative ones beginning at the config file."""
        said = {name: self._plain[f"safety.{name}"] for name in SIGNING if f"safety.{name}" in self._plain}
        paths = {name: str(self.home / Path(str(each.value)).expanduser()) for name, each in said.items()}
        return paths | {name: str(each.value) for name, each in said.items() if name == "timestamp"}

    @property
    def credentials(self) -> Path:
        """Folder of this installation's own signing key."""
        return self.data / "credentials"

    def protected(self, origin: str = "flag", **said: str | None) -> Self:
        """These settings with some fields of the ``Protection`` said by a flag; ``None`` leaves a field.

        Raises ``ConfigError`` for a value that is not one of the field's."""
        plain = dict(self._plain)
        for name, value in said.items():
            if value is not None:
                plain[f"safety.{name}"] = Sourced(_choice(f"safety.{name}", value, origin, by_flag=True), origin)
        return replace(self, _plain=plain)

    def of_this_machine(self) -> Self:
        """These settings without what they say of pictures; of the fields of a Request, only ``device`` and ``dtype``
        are left. What was recorded of a picture is drawn again with these."""

        def kept(values: Mapping[str, Sourced]) -> dict[str, Sourced]:
            return {name: each for name, each in values.items() if name in MACHINE}

        models = {name: kept(values) for name, values in self._models.items()}
        return replace(self, _defaults=kept(self._defaults), _models=models, _environment=kept(self._environment))

    @property
    def offline(self) -> bool:
        """True where no network may be touched."""
        return bool(self.value("network.offline").value)

    def defaults(self) -> Mapping[str, Sourced]:
        """Request fields of ``[defaults]``."""
        return self._defaults

    def model_defaults(self, name: str) -> Mapping[str, Sourced]:
        """Request fields of ``[models.NAME]``; empty where there is no such section."""
        return self._models.get(name, {})

    def predictions(self) -> Mapping[str, str]:
        """What a model's network was trained to predict, where ``[models.NAME]`` says it: files do not always."""
        suffix = f".{PREDICTION}"
        named = {key: each for key, each in self._plain.items() if key.startswith("models.") and key.endswith(suffix)}
        return {key.removeprefix("models.").removesuffix(suffix): str(each.value) for key, each in named.items()}

    def environment(self) -> Mapping[str, Sourced]:
        """Request fields of ``LIMNER_<FIELD>`` variables."""
        return self._environment

    def value(self, key: str) -> Sourced:
        """The value in force for a Request field (``steps``) or a dotted key (``models.sd15.steps``).

        Raises ``ConfigError`` for a key that does not exist.
        """
        if key.startswith("models."):
            model, _, name = key.removeprefix("models.").rpartition(".")
            found = self.model_defaults(model).get(name) or self._plain.get(key)
            known = [f"models.{model}.{each}" for each in sorted(FIELDS | {PREDICTION})]
            return found or (_unset(name) if name in FIELDS else _unknown(key, known, "setting", ""))
        name = key.removeprefix("defaults.")
        if name in FIELDS:
            return self._environment.get(name) or self._defaults.get(name) or _unset(name)
        plain: Mapping[str, Value] = {
            "library.root": str(self.library_root),
            "network.offline": False,
            "score.default": "auto",
            "safety.checker": "auto",
            "safety.audit": "hashed",
            **{f"safety.{name}": info.default for name, info in Protection.model_fields.items()},
            **{f"safety.{name}": None for name in SIGNING},
        }
        if key in plain:
            return self._plain.get(key) or Sourced(plain[key], "built-in")
        return _unknown(key, [*FIELDS, *plain], "setting", "")

    def items(self) -> Iterator[tuple[str, Sourced]]:
        """All keys with their values in force, in a fixed order; for ``limner config show``."""
        for name in (name for name in Request.model_fields if name in FIELDS):
            yield f"defaults.{name}", self.value(name)
        for model, fields in self._models.items():
            yield from ((f"models.{model}.{name}", sourced) for name, sourced in fields.items())
        yield from ((key, sourced) for key, sourced in self._plain.items() if key.startswith("models."))
        yield "library.root", self.value("library.root")
        yield "network.offline", self.value("network.offline")
        yield "score.default", self.value("score.default")
        yield from ((key, self.value(key)) for key in (*CHOICES, "safety.checker"))
        yield from ((key, self._plain[key]) for name in SIGNING if (key := f"safety.{name}") in self._plain)
        if "lock" in self._plain:
            yield "lock", self._plain["lock"]


def _unset(name: str) -> Sourced:
    return Sourced(Request.model_fields[name].default, "built-in")


def folders_of(home: Path | None, env: Mapping[str, str]) -> tuple[Path, Path, Path]:
    """(config, data, cache): one folder under ``LIMNER_HOME``, else where the system wants each."""
    if home is None and env.get("LIMNER_HOME"):
        home = Path(env["LIMNER_HOME"]).expanduser().absolute()
    if home is not None:
        return home, home, home / "cache"
    import platformdirs

    kinds = (platformdirs.user_config_path, platformdirs.user_data_path, platformdirs.user_cache_path)
    config, data, cache = (kind("limner", appauthor=False) for kind in kinds)
    return config, data, cache


Read: TypeAlias = "tuple[dict[str, Sourced], dict[str, dict[str, Sourced]], dict[str, Sourced]]"


def _read_file(path: Path) -> Read:
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}, {}, {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="make it a readable UTF-8 file") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", hint='text needs quotes: model = "pocket"') from None
    return _File(path, key_lines(text)).read(tables)


@dataclass(frozen=True)
class _File:
    """A parsed settings file and the line of each key."""

    path: Path
    lines: Mapping[str, int]

    def origin(self, key: str) -> str:
        return f"{self.path.name}:{self.lines[key]}" if key in self.lines else self.path.name

    def where(self, key: str) -> str:
        return f"{self.path.parent / self.origin(key)}"

    def read(self, tables: Mapping[str, object]) -> Read:
        for name in tables.keys() - set(SECTIONS):
            _unknown(name, SECTIONS, "section", f"{self.where(name)}: ")
        defaults = self.fields("defaults", self.table("defaults", tables.get("defaults", {})), FIELDS)
        models, plain = {}, {}
        for name, fields in self.table("models", tables.get("models", {})).items():
            said = dict(self.table(f"models.{name}", fields))
            if PREDICTION in said:
                key = f"models.{name}.{PREDICTION}"
                plain[key] = Sourced(self.prediction(key, said.pop(PREDICTION)), self.origin(key))
            models[name] = self.fields(f"models.{name}", said, FIELDS - {"model"})
        for section, known in PLAIN.items():
            for name, value in self.table(section, tables.get(section, {})).items():
                key = f"{section}.{name}"
                if name not in known:
                    _unknown(name, known, "setting", f"{self.where(key)}: ")
                plain[key] = Sourced(self.plain(key, value), self.origin(key))
        return defaults, models, plain

    def table(self, key: str, value: object) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise ConfigError(f"{self.where(key)}: {key} is not a section", hint=f"write [{key}] on a line of its own")
        return value

    def plain(self, key: str, value: object) -> str | bool:
        if key in CHOICES:
            return _choice(key, value, self.where(key))
        wanted = bool if key == "network.offline" else str
        if not isinstance(value, str | bool) or type(value) is not wanted or value == "":
            right = RIGHT.get(key, "a folder in quotes")
            raise ConfigError(f"{self.where(key)}: {key} is {value!r}", hint=f"it must be {right}")
        return value

    def prediction(self, key: str, value: object) -> str:
        if value not in PREDICTIONS:
            raise ConfigError(f"{self.where(key)}: {key} is {value!r}", hint=f"known: {', '.join(PREDICTIONS)}")
        return str(value)

    def fields(self, section: str, values: Mapping[str, object], known: frozenset[str]) -> dict[str, Sourced]:
        checked: dict[str, Sourced] = {}
        for name, value in values.items():
            key = f"{section}.{name}"
            if name not in known | {SIZE}:
                _unknown(name, known | {SIZE}, "setting", f"{self.where(key)}: ")
            for part, each in _check(name, value, self.where(key)).items():
                checked[part] = Sourced(each, self.origin(key))
        _whole_size(checked, f"{self.where(section)}: ")
        return checked


def _read_environment(env: Mapping[str, str]) -> tuple[dict[str, Sourced], dict[str, Sourced]]:
    fields: dict[str, Sourced] = {}
    known = {name.upper() for name in FIELDS | {SIZE}} | RESERVED
    for variable, text in sorted(env.items()):
        name = variable.removeprefix("LIMNER_")
        if name == variable or not text or name in RESERVED:
            continue
        if name not in known:
            _unknown(variable, [f"LIMNER_{each}" for each in known], "environment variable", "")
        value = [part.strip() for part in text.split(",")] if name.lower() in SEVERAL else text
        for part, each in _check(name.lower(), value, f"environment variable {variable}").items():
            fields[part] = Sourced(each, f"environment {variable}")
    _whole_size(fields, "environment: ")
    return fields, _plain_environment(env)


def _plain_environment(env: Mapping[str, str]) -> dict[str, Sourced]:
    plain: dict[str, Sourced] = {}
    if text := env.get("LIMNER_LIBRARY"):
        plain["library.root"] = Sourced(str(Path(text).expanduser().absolute()), "environment LIMNER_LIBRARY")
    if text := env.get("LIMNER_LOCK"):
        plain["lock"] = Sourced(str(Path(text).expanduser().absolute()), "environment LIMNER_LOCK")
    if text := env.get("LIMNER_OFFLINE", "").strip().lower():
        if text not in TRUE | FALSE:
            raise ConfigError(f"environment variable LIMNER_OFFLINE: {text!r} is neither yes nor no", hint="use 1 or 0")
        plain["network.offline"] = Sourced(text in TRUE, "environment LIMNER_OFFLINE")
    if env.get("HF_HUB_OFFLINE", "").strip().lower() in TRUE:  # the hub's own library would refuse the network anyway
        plain["network.offline"] = Sourced(True, "environment HF_HUB_OFFLINE")
    return plain


def _choice(key: str, value: object, where: str, *, by_flag: bool = False) -> str:
    """One of a setting's few words. Raises ``ConfigError``."""
    if not by_flag and value == BY_FLAG_ONLY.get(key):
        raise ConfigError(f"{where}: {key} may not be {value!r} in a file", hint="it is for a flag, each time anew")
    if value not in CHOICES[key]:
        raise ConfigError(f"{where}: {key} is {value!r}", hint=f"it must be one of {', '.join(CHOICES[key])}")
    return str(value)


def _check(name: str, value: object, where: str) -> dict[str, Value]:
    """A setting as Request fields of the right types: ``size`` becomes width and height. Raises ``ConfigError``."""
    if isinstance(value, bool) and name not in YES_OR_NO:  # pydantic would take true for 1
        raise ConfigError(f"{where}: {name} is {str(value).lower()}", hint=f"{name} is not a yes-or-no setting")
    try:
        if name == SIZE:
            width, height = parse_size(str(value))
            return _check("width", width, where) | _check("height", height, where)
        sides = {"width": value, "height": value} if name in ("width", "height") else {name: value}
        return {name: getattr(Request.of(prompt="x", **sides), name)}
    except InvalidRequest as error:
        raise ConfigError(f"{where}: {error.message}", hint=error.hint) from None


def _whole_size(fields: Mapping[str, Sourced], where: str) -> None:
    if ("width" in fields) != ("height" in fields):
        raise ConfigError(f"{where}width and height go together", hint='set both, or size = "512x768"')


def _unknown(name: str, known: Iterable[str], kind: str, where: str) -> Sourced:
    """Always raises; the return type lets it end an expression."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(choices)}"
    raise ConfigError(f"{where}there is no {kind} {name!r}", hint=hint)
