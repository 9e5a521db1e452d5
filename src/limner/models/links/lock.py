"""``limner.lock``: which weights exactly, so that the same names mean the same bytes later and elsewhere.

A TOML file that people can read and keep under version control: for each model its repo at a commit and the sha256
of every file that decides pixels. LoRA, embeddings, VAEs and upscalers are in it as models of one file, their kind
standing for the family. A lock binds what it names, by name or by repo; others are none of its business.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from limner.config import LOCK, Settings
from limner.disk import write_atomic
from limner.errors import ConfigError, MismatchedWeights
from limner.models.links.layouts import KINDS
from limner.models.links.names import asked
from limner.types import Adapter, ModelRef

NAME = LOCK
VERSION = 1
_HEAD = "# Which weights exactly. Written by `limner models lock`; keep it beside what you made with them.\n"


@dataclass(frozen=True, slots=True)
class Lock:
    """The locked models, in the order they were."""

    models: tuple[ModelRef, ...] = ()
    where: str = NAME

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ``ConfigError`` for a file that is missing, or is no lock."""
        try:
            said = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"there is no lock {path}", hint="limner models lock writes one") from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read: {error}", hint="write it anew: limner models lock") from None
        if said.get("version") != VERSION:
            raise ConfigError(f"{path} is of no version this Limner knows", hint="write it anew: limner models lock")
        try:
            return cls(tuple(ModelRef.model_validate(each) for each in said.get("model", [])), path.name)
        except (ValidationError, TypeError) as error:
            raise ConfigError(
                f"{path} is not a lock: {error!s:.200}", hint="write it anew: limner models lock"
            ) from None

    def having(self, refs: Iterable[ModelRef]) -> Self:
        """With these models; those of the same name are replaced."""
        new = {_key(ref): ref for ref in refs}
        kept = [new.pop(_key(ref), ref) for ref in self.models]
        return type(self)((*kept, *new.values()), self.where)

    def write(self, path: Path) -> None:
        """Raises ``StorageError``."""
        write_atomic(path, (_HEAD + f"version = {VERSION}\n" + "".join(map(_table, self.models))).encode())

    def find(self, name: str, repo: str | None = None) -> ModelRef | None:
        """The locked model of that name, else of that repo; a revision behind the name (``@``) does not matter."""
        plain = name.strip().partition("@")[0].casefold()
        models = [ref for ref in self.models if ref.family not in KINDS]
        named = [ref for ref in models if plain == ref.name.partition("@")[0].casefold()]
        wanted = (repo or plain).casefold()
        published = [ref for ref in models if (ref.repo or "").casefold() == wanted]
        return next(iter((*named, *published)), None)

    def pin(self, name: str, repo: str | None = None) -> str:
        """The name with the locked commit behind it, where the lock knows one and the name has no revision yet."""
        found = self.find(name, repo)
        if found is None or found.commit is None or "@" in name:
            return name
        return f"{name.strip()}@{found.commit}"

    def check(self, now: ModelRef) -> None:
        """Raises ``MismatchedWeights`` where the lock names other weights for this model."""
        locked = self.find(now.name, now.repo)
        if locked is not None:
            refuse_other(locked, now, what=self.where, hint=f"accept them: limner models lock {now.name}")

    def check_adapters(self, adapters: Iterable[Adapter]) -> None:
        """Raises ``MismatchedWeights`` where the lock names another file for one of these."""
        for each in adapters:
            name = asked(each.name).name.rpartition("/")[2]
            for ref in self.models:
                known = ref.family == each.kind and asked(ref.name).name.rpartition("/")[2] == name
                if known and each.hash not in ref.files.values():
                    raise MismatchedWeights(
                        f"{each.name}: not the {each.kind} of {self.where}: the file has other bytes",
                        hint=f"accept it: limner models lock {each.name}",
                    )


def _key(ref: ModelRef) -> tuple[str, str]:
    """What a later entry of a lock replaces: the model, or the file of that kind, of the same name."""
    return (ref.family if ref.family in KINDS else "", ref.name.casefold())


def in_force(settings: Settings) -> Lock | None:
    """The lock that the settings name, if they name one. Raises ``ConfigError``."""
    path = settings.lock_file
    return None if path is None else Lock.read(path)


def refuse_other(then: ModelRef, now: ModelRef, *, what: str, hint: str) -> None:
    """Raise ``MismatchedWeights`` unless both are the same weights; says which files differ, and ``what`` says so."""
    if then.weights_hash() == now.weights_hash():
        return
    raise MismatchedWeights(f"{now.name}: not the weights of {what}: {_difference(then, now)}", hint=hint)


def _difference(then: ModelRef, now: ModelRef) -> str:
    changed = sorted(name for name in then.files.keys() & now.files.keys() if then.files[name] != now.files[name])
    gone, new = sorted(then.files.keys() - now.files.keys()), sorted(now.files.keys() - then.files.keys())
    if then.commit != now.commit and then.commit and now.commit:
        said = [f"commit {then.commit[:10]} there, {now.commit[:10]} here"]
    else:
        said = []
    for word, names in (("other bytes in", changed), ("missing", gone), ("besides", new)):
        if names:
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            said.append(f"{word} {', '.join(names[:2])}{more}")
    return "; ".join(said)


def _table(ref: ModelRef) -> str:
    facts: Mapping[str, str | None] = {"name": ref.name, "family": ref.family, "repo": ref.repo, "commit": ref.commit}
    lines = [f"{key} = {_text(value)}\n" for key, value in facts.items() if value is not None]
    files = [f"{_text(name)} = {_text(value)}\n" for name, value in sorted(ref.files.items())]
    return "".join(["\n[[model]]\n", *lines, "[model.files]\n", *files])


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
