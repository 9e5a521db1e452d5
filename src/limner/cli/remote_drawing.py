"""``limner draw --server URL``: a server draws, here it is told and copied."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from limner.cli.drawing import Follower, Telling
from limner.cli.options import FLAGS, SIZE
from limner.cli.remote_http import Json, Remote, error_from
from limner.cli.remote_job import RemoteJob
from limner.errors import InvalidRequest, PictureNotFound, StorageError
from limner.image import Image
from limner.types import (
    Cancelled,
    Done,
    Event,
    Failed,
    Loading,
    Made,
    Notice,
    Record,
    Request,
    Step,
    Warned,
    parse_size,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

    from limner.cli.targets import Target
    from limner.session import Generation
    from limner.types import Pixels

FORMATS: Mapping[str, str] = {".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
PICTURES = ("init", "mask")
KINDS: Mapping[str, str] = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True, eq=False)
class RemoteImage(Image):
    """A picture of a server's library: ``path`` is its URL. Its pixels are those of its file, which carry the marks.

    ``fetch`` gives the file in a format."""

    fetch: Callable[[str], bytes] = field(default=lambda _: b"", repr=False)

    def encode(self, suffix: str = ".png") -> bytes:
        """The file's bytes as the server writes them. Raises ``NoServer``, ``InvalidRequest``."""
        return self.fetch(suffix)


def draw(server: str, words: tuple[str, ...], values: Mapping[str, object], target: Target | None, how: Telling) -> int:
    """Draw a prompt on a server. Raises any ``LimnerError``, those of the server included."""
    remote = Remote.of(server)
    request = Request.of(prompt=" ".join(words), **fields_of(remote, values))
    body: dict[str, JsonValue] = {
        "kind": "draw",
        "request": request.model_dump(mode="json", exclude_defaults=True),
        "previews": how.preview,
    }
    job = RemoteJob(remote, body)
    total = int(str(job.said["n"]))
    follower = Follower(how, total=total, target=None if target is None else target.numbered(total > 1))
    with follower.watching():
        import PIL.Image  # noqa: F401  # what will be needed is imported while the server draws

        follower.follow(cast("Generation", RemoteGeneration(job, previews=how.preview)))
    return 0


def fields_of(remote: Remote, values: Mapping[str, object]) -> dict[str, object]:
    """The Request fields among a command's options, those that were said; pictures are sent to the server. Raises
    ``InvalidRequest``, ``StorageError``."""
    said = {flag.field: values.get(flag.field) for flag in FLAGS}
    # 0 is said, though it equals False
    fields = {name: value for name, value in said.items() if value is not None and value is not False and value != ()}
    if isinstance(size := values.get(SIZE), str):
        fields["width"], fields["height"] = parse_size(size)
    for name in PICTURES:
        if isinstance(given := fields.get(name), str):
            fields[name] = sent(remote, given)
    return fields


def sent(remote: Remote, given: str) -> str:
    """The server's name of a picture: a file of this machine, or one of the server's library by its id. Raises
    ``InvalidRequest``, ``StorageError``."""
    path = Path(given).expanduser()
    if path.is_file():
        kind = KINDS.get(path.suffix.lower())
        if kind is None:
            raise InvalidRequest(f"{path.name} does not end like a picture", field="init", hint="png, jpg or webp")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StorageError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error
        return str(remote.send("/api/v1/inputs", data, kind)["id"])
    if path.suffix or len(path.parts) > 1:
        raise PictureNotFound(f"there is no file {given}", hint="a picture of the server's library is named by its id")
    data = remote.read("GET", f"/api/v1/pictures/{_id(remote, given)}/file")
    return str(remote.send("/api/v1/inputs", data, "image/png")["id"])


def _id(remote: Remote, given: str) -> str:
    if given == "last":
        newest = remote.get("/api/v1/pictures?limit=1")["pictures"]
        assert isinstance(newest, list)
        if not newest:
            raise PictureNotFound("the server's library is empty", hint="draw something first")
        return str(cast(Json, newest[0])["id"])
    if not (given.isascii() and given.isalnum()):
        raise PictureNotFound(f"there is no picture {given!r}", hint="a file, or an id of the server's library")
    return given


class RemoteGeneration:
    """A job on a server as a ``Generation``: Events, of which the last is Done, Failed or Cancelled."""

    def __init__(self, job: RemoteJob, *, previews: bool = False) -> None:
        self._job, self._previews = job, previews
        self._made: dict[int, Image] = {}

    def cancel(self) -> None:
        """Stop at the next step. What is finished stays."""
        self._job.cancel()

    def __iter__(self) -> Iterator[Event]:
        for name, data in self._job.events(previews=self._previews):
            if name == "loading":
                yield Loading(str(data["model"]), str(data["part"]))
            elif name == "step":
                yield _step(data)
            elif name == "warned":
                yield Warned(Notice(code=str(data["code"]), message=str(data["message"])))
            elif name == "made":
                yield from self._new(int(str(data["index"])), str(data["picture"]))
            elif name == "restarted":
                message = f"the server's worker ended and the job begins again: {data.get('reason', '')}"
                yield Warned(Notice(code="restarted", message=message))
            elif name == "state":
                yield from self._state(data)

    def _state(self, data: Json) -> Iterator[Event]:
        for each in _list(data.get("notices")):
            yield Warned(Notice(code=str(each["code"]), message=str(each["message"])))
        pictures = data.get("pictures")
        for index, picture in enumerate(pictures if isinstance(pictures, list) else ()):
            if picture is not None:
                yield from self._new(index, str(picture))
        done = tuple(self._made.values())
        if data.get("state") == "done":
            yield Done(done)
        elif data.get("state") == "cancelled":
            yield Cancelled(done)
        elif data.get("state") == "failed":
            error = data.get("error")
            yield Failed(error_from(error if isinstance(error, dict) else {}, 500), done)

    def _new(self, index: int, picture: str) -> Iterator[Event]:
        if index not in self._made:
            self._made[index] = image_of(self._job.remote, picture)
            yield Made(index, self._made[index])


def image_of(remote: Remote, picture: str) -> RemoteImage:
    """A picture of the server's library. Raises ``NoServer``, ``PictureNotFound``."""
    where = f"/api/v1/pictures/{picture}"
    data = remote.read("GET", f"{where}/file")
    record = Record.model_validate(remote.get(where)["record"])

    def fetch(suffix: str) -> bytes:
        format = FORMATS.get(suffix)
        return data if format is None else remote.read("GET", f"/v1/images/files/{picture}?output_format={format}")

    return RemoteImage(_pixels(data), record, picture, f"{remote.url}{where}/file", fetch=fetch)


def _step(data: Json) -> Step:
    index, step, steps = (int(str(data[name])) for name in ("index", "step", "steps"))
    preview = data.get("preview")
    return Step(index, step, steps, None if preview is None else _pixels(base64.b64decode(str(preview))))


def _pixels(data: bytes) -> Pixels:
    import numpy as np
    from PIL import Image as Pillow

    return np.asarray(Pillow.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")).convert("RGB"))


def _list(found: JsonValue) -> list[Json]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
