"""Class pictures for prior preservation: what the base itself draws of the class, so that learning a subject does not
change every other one of its kind (Ruiz et al. 2022, arXiv:2208.12242)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from limner.canonical import tagged
from limner.disk import write_atomic
from limner.session import Session
from limner.tune.settings import TuneSettings
from limner.types import Plan, Request

FOLDER, MADE = "class", "made.json"


@dataclass
class ClassPictures:
    """They stay in the run's folder, in one named by all that decides them (weights, words, size, numerics): another
    subject or model has others. Seeds are 0 and on."""

    plans: tuple[Plan, ...]
    folder: Path
    _made: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, prompt: str, settings: TuneSettings, side: int, session: Session, folder: Path) -> ClassPictures:
        """Torch-free. Raises what planning raises."""
        made: list[Plan] = []
        for seed in range(settings.prior):
            request = Request.of(
                prompt=prompt, model=settings.model, seed=seed, width=side, height=side, device=settings.device
            )
            made += session.plan(request, literal=True)
        key = made[0].identity.rpartition(":")[2][:16]
        found = cls(tuple(made), folder / FOLDER / key)
        found._made.update(found._noted())
        return found

    @property
    def paths(self) -> list[Path]:
        return [self.folder / f"{k:05d}.png" for k in range(len(self.plans))]

    @property
    def hash(self) -> str:
        """Of their pixels: what a resumed run must find again."""
        return tagged("\n".join(self._made.get(path.name, "") for path in self.paths).encode())

    def missing(self) -> list[int]:
        """Those that are not there, or not whole as they were made."""
        return [k for k, path in enumerate(self.paths) if _pixels(path) != self._made.get(path.name, "")]

    def draw(self, session: Session, tell: Callable[[str], None]) -> list[Path]:
        """The files, drawn where they are missing or damaged. Raises what drawing raises, ``StorageError``."""
        missing = self.missing()
        if missing:
            prompt, damaged = self.plans[0].prompt, sum(self.paths[k].is_file() for k in missing)
            again = f", {damaged} of them again, as damaged" if damaged else ""
            tell(f"drawing {len(missing)} of {len(self.plans)} pictures of {prompt!r}, to keep the class{again}")
            # No watermark: it would be learnt. A session of its own lets go of its networks before training.
            with Session(
                settings=session.settings, keep=False, offline=session.offline, scored=False, marks="metadata"
            ) as own:
                for k in missing:
                    self._draw(k, own)
        return self.paths

    def _draw(self, k: int, session: Session) -> None:
        path = self.paths[k]
        (image,) = session.run([self.plans[k]]).result()
        self.folder.mkdir(parents=True, exist_ok=True)
        image.save(path)
        self._made[path.name] = _pixels(path)
        write_atomic(self.folder / MADE, json.dumps(self._made, indent=1).encode())

    def _noted(self) -> Mapping[str, str]:
        try:
            said = json.loads((self.folder / MADE).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(name): str(each) for name, each in said.items()} if isinstance(said, dict) else {}


def _pixels(path: Path) -> str:
    """Hash of a picture's pixels; of none, or of a damaged one, a word that no hash is."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            plain = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return "none"
    return tagged(repr(plain.size).encode() + plain.tobytes())
