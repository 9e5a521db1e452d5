"""``limner refine --server URL``: a server searches and judges, here it is told."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from limner.cli.console import clean, out, told
from limner.cli.faults import INTERRUPTED
from limner.cli.progress import Progress, progress
from limner.cli.remote_http import Json, Remote, error_from
from limner.cli.remote_job import RemoteJob
from limner.errors import Cancelled, GenerationError, InvalidRequest
from limner.types import Step

if TYPE_CHECKING:
    from pydantic import JsonValue

    from limner.cli.drawing import Telling

WHATEVER = {"prompt": "as it was"}
"""The Request of a refinement that is gone on with: the server knows the real one."""


def refine(remote: Remote, body: Mapping[str, JsonValue], how: Telling, report: Path | None) -> int:
    """Refine on a server: ``body`` is a ``RefineJob`` without its kind. The exit code. Raises any ``LimnerError``."""
    job = RemoteJob(remote, {"kind": "refine", **body})
    study = ""
    try:
        study = _follow(job, how)
    except KeyboardInterrupt:
        how.say("stopping at the next step; Ctrl-C again leaves at once")
        job.cancel()
        study = _follow(job, how)
    if job.said["state"] == "failed":
        error = job.said.get("error")
        raise error_from(error if isinstance(error, dict) else {}, 500)
    if job.said["state"] == "cancelled":
        onward = f"limner refine --server {remote.url} --resume {study}" if study else ""
        raise Cancelled("stopped; what was drawn is kept, not judged", hint=onward)
    result = job.said.get("result")
    if not isinstance(result, dict):
        raise GenerationError("the server says nothing of what it found", hint="look in its studio")
    _tell(remote, result, how, report)
    return INTERRUPTED if result.get("outcome") == "stopped" else 0


def body_of(
    request: Mapping[str, JsonValue], budget: tuple[int | None, float | None], said: Mapping[str, object]
) -> dict[str, JsonValue]:
    """A ``RefineJob``'s fields: ``budget`` in pictures or seconds, ``said`` are the command's options by their names
    there; those that were not said are the server's to choose."""
    images, seconds = budget
    found: dict[str, JsonValue] = {"request": dict(request), "images": images, "seconds": seconds}
    for name, value in said.items():
        if value is not None and value != ():
            assert isinstance(value, str | int | float | bool | tuple)
            found[name] = [str(each) for each in value] if isinstance(value, tuple) else value
    return found


def study_of(given: str) -> str:
    """The id of the refinement to be gone on with. Raises ``InvalidRequest``."""
    if given == "last":
        raise InvalidRequest("--resume: of which refinement?", field="resume", hint="with --server: --resume ID")
    return given


def _follow(job: RemoteJob, how: Telling) -> str:
    """Tell what happens, to the end; the id of the refinement."""
    study, said = "", set[str]()
    with ExitStack() as stack:
        shown = Progress()
        for name, data in job.events():
            study = str(data.get("study") or study)
            text = clean(str(data.get("text" if name == "note" else "message", "")))
            done, total = (int(str(data.get(each) or 0)) for each in ("done", "total"))
            if total and type(shown) is Progress:
                shown = stack.enter_context(progress(total, quiet=not how.to_people))
            if name == "note" and text.endswith(f"{done} of {total} pictures"):
                shown.step(Step(done, 1, 1))
            elif name == "note":
                with shown.aside():
                    how.say(text)
            elif name == "warned" and text not in said:
                said.add(text)
                with shown.aside():
                    how.warn(text)
            elif name == "restarted":
                with shown.aside():
                    how.warn("the server's worker ended, and the job goes on from where it was")
    return study


def _tell(remote: Remote, result: Json, how: Telling, report: Path | None) -> None:
    written = None if report is None else _report(remote, result, report)
    if how.json:
        import json

        out(json.dumps({**result, **({} if written is None else {"report": str(written)})}, ensure_ascii=False))
        return
    told(str(result.get("sentence", "")))
    if result.get("winner") is not None:
        out(clean(str(result.get("prompt", ""))))
    if written is not None:
        how.say(f"the report: {written}")


def _report(remote: Remote, result: Json, path: Path) -> Path:
    from limner.disk import write_atomic

    write_atomic(path, remote.read("GET", str(result.get("report"))))
    return path
