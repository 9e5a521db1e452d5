"""Weights that lie on no hub: the user fetches the authors' files, ``limner models convert`` makes them safetensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from limner.config import Settings
from limner.errors import CorruptFile, ModelNotFound
from limner.models.inspect import read_header

SOURCE = "limner.source"  # the converter's note of what a file was made of


@dataclass(frozen=True, slots=True)
class Published:
    """One file as its authors publish it. ``begins`` are the first digits of its sha256, where they are known;
    ``saved`` is what it is called here."""

    url: str
    saved: str
    begins: str = ""

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Given:
    """A metric's published files, in ``folder`` or in Limner's own data folder."""

    name: str
    files: tuple[Published, ...]
    folder: Path | None = None

    def place(self) -> Path:
        return Settings.load().data / "metrics" / self.name if self.folder is None else self.folder

    def missing(self) -> str | None:
        """What fetches and converts the files that are not there; ``None`` where all are."""
        place = self.place()
        wanted = [file for file in self.files if not (place / file.saved).is_file()]
        if not wanted:
            return None
        steps = [f"mkdir -p '{place}'"]
        for file in wanted:
            steps += [f"curl -fLO {file.url}", f"limner models convert {file.name} '{place / file.saved}'"]
        return " && ".join(steps)

    def path(self, saved: str) -> Path:
        """A file, whose name's hash was compared with what it was made of where both are known.

        Raises ``ModelNotFound``, ``CorruptFile``, ``UnsafeFile``.
        """
        if (command := self.missing()) is not None:
            raise ModelNotFound(f"the weights of {self.name} are not here", hint=f"fetch them: {command}")
        path, file = self.place() / saved, next(each for each in self.files if each.saved == saved)
        source = read_header(path).metadata.get(SOURCE, "")
        if source and file.begins and not source.removeprefix("sha256:").startswith(file.begins):
            raise CorruptFile(f"{path} was not made of the published {file.name}", hint=f"fetch it again: {file.url}")
        return path
