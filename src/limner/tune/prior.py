"""Class pictures for prior preservation: what the base itself draws of the class, so that learning a subject does not
change every other one of its kind (Ruiz et al. 2022, arXiv:2208.12242)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from limner.session import Session
from limner.tune.settings import TuneSettings
from limner.types import Request

FOLDER = "class"


def class_pictures(
    prompt: str, settings: TuneSettings, side: int, session: Session, folder: Path, tell: Callable[[str], None]
) -> list[Path]:
    """The files, drawn where they are not there yet: seeds 0 and on, at the size that is trained at. They stay in the
    run's folder. Raises what drawing raises, ``StorageError``."""
    paths = [folder / FOLDER / f"{k:05d}.png" for k in range(settings.prior)]
    missing = [k for k, path in enumerate(paths) if not path.is_file()]
    if missing:
        tell(f"drawing {len(missing)} pictures of {prompt!r}, to keep the class as it is")
        # No watermark: it would be learnt. A session of its own lets go of its networks before training.
        with Session(
            settings=session.settings, keep=False, offline=session.offline, scored=False, marks="metadata"
        ) as own:
            for k in missing:
                _draw(prompt, k, paths[k], settings, side, own)
    return paths


def _draw(prompt: str, seed: int, path: Path, settings: TuneSettings, side: int, session: Session) -> None:
    request = Request.of(
        prompt=prompt, model=settings.model, seed=seed, width=side, height=side, device=settings.device
    )
    (image,) = session.generate(request, literal=True).result()
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
