"""Where a run keeps what it makes. Torch-free."""

from __future__ import annotations

from pathlib import Path

from limner.errors import InvalidRequest

STATE = "state.safetensors"


def folder_of(out: Path) -> Path:
    """The run's folder beside the file it makes."""
    return out.with_suffix(".tune")


def check_out(out: Path, *, resume: bool) -> None:
    """Raises ``InvalidRequest`` for a name that is none, or a file that would be written over."""
    if out.suffix != ".safetensors":
        raise InvalidRequest(
            f"{out.name} does not end in .safetensors", field="out", hint=f"--out {out.stem}.safetensors"
        )
    if resume:
        return
    if (folder_of(out) / STATE).is_file():
        raise InvalidRequest(
            f"{folder_of(out)} holds a run already", field="out", hint="--resume goes on with it; or give another --out"
        )
    if out.exists():
        raise InvalidRequest(f"{out} exists", field="out", hint="give another --out, or move it away")
