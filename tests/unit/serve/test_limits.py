"""How much may be sent and how slowly: refused before it is read, and the server goes on."""

from __future__ import annotations

import io
import resource
import socket
import zlib
from collections.abc import Iterator
from struct import pack

import pytest
from PIL import Image

from limner.errors import InvalidRequest, UnreadablePicture
from limner.serve import listening
from limner.serve.limits import ELSE, MOST, Limits, most_of
from limner.serve.uploads import decoded, of_base64
from tests.serving import Served, live, png


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    patch = pytest.MonkeyPatch()
    patch.setattr(listening.Patient, "headers_in", 0.3)
    patch.setattr(Limits, "__init__", _hasty(Limits.__init__))
    with live(tmp_path_factory.mktemp("home"), ready=False) as server:
        yield server
    patch.undo()


def _hasty(init: object) -> object:
    """Limits with little patience."""

    def hasty(self: Limits, *args: object, **more: object) -> None:
        init(self, *args, **{"pause": 0.3, "whole": 1.0, **more})  # type: ignore[operator]

    return hasty


def spoken(server: Served, *parts: bytes, wait: float = 20.0) -> bytes:
    """What the server says to bytes, until it hangs up."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        for part in parts:
            connection.sendall(part)
        found = b""
        while part := connection.recv(65536):
            found += part
    return found


def head(server: Served, path: str, *lines: str) -> bytes:
    host = server.url.removeprefix("http://")
    more = "".join(f"{line}\r\n" for line in ("Content-Type: application/json", *lines))
    return f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/lint", "/nothing", "/api/v1/inputs"])
def test_a_body_too_large_is_refused_before_it_is_sent(server: Served, path: str) -> None:
    found = spoken(server, head(server, path, f"Content-Length: {most_of(path) + 1}"))
    assert b" 413 " in found.splitlines()[0]
    assert b'"code":"too_large"' in found


def test_a_body_that_does_not_say_its_size_is_counted(server: Served) -> None:
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    found = spoken(server, head(server, "/api/v1/lint", "Transfer-Encoding: chunked"), *[chunk] * (ELSE // 65536 + 1))
    assert b" 413 " in found.splitlines()[0]


@pytest.mark.parametrize("size", ["-1", "1e3", "0x10", "9" * 30, "1, 2"])
def test_a_size_that_is_none(server: Served, size: str) -> None:
    assert spoken(server, head(server, "/api/v1/lint", f"Content-Length: {size}")).split()[1] in (b"400", b"413")


def test_headers_that_never_end_are_hung_up_on(server: Served) -> None:
    assert spoken(server) == b""
    assert spoken(server, b"GET /livez HTTP/1.1\r\nHost: 127") == b""


def test_a_body_that_never_comes_is_hung_up_on(server: Served) -> None:
    found = spoken(server, head(server, "/api/v1/lint", "Content-Length: 100"), b'{"prompt"')
    assert b" 408 " in found.splitlines()[0]
    assert b'"code":"timeout"' in found


def test_headers_too_many(server: Served) -> None:
    assert b" 400 " in spoken(server, b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000)[:20]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 30_000,
        b'{"prompt": ' + b"9" * 10_000 + b"}",
        b'{"prompt": "x", "steps": 1e999}',
        b'{"prompt": "x", "guidance": NaN}',
        b'{"prompt": "x", "guidance": Infinity}',
        b"\xff\xfe",
        b'"\\ud800"',
        b'{"prompt": "\\ud800"}',
        b'{"prompt": "\\u0000"}',
        b"null",
        b"",
        b"{}",
        b"[]",
        b"7",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_json_that_is_none_or_built_to_hurt(server: Served, body: bytes) -> None:
    for path in ("/api/v1/jobs", "/api/v1/plan", "/api/v1/lint"):
        answer = server.client.post(path, content=body, headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert answer.json()["error"]["message"]


def bomb(width: int, height: int, chunks: bytes = b"") -> bytes:
    """A small PNG of many pixels, all black."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + name + data + pack(">I", zlib.crc32(name + data))

    packer = zlib.compressobj(9)
    row = b"\0" * min(width * 3 + 1, 100_000)
    rows = b"".join(packer.compress(row) for _ in range(min(height, 400))) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunks
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


def animation() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (64, 64), (k, k, k)) for k in range(50)]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


def gif() -> bytes:
    out = io.BytesIO()
    Image.new("P", (8, 8)).save(out, "GIF")
    return out.getvalue()


HURTFUL = {
    "too many pixels": lambda: bomb(20_000, 20_000),
    "a long strip": lambda: bomb(2**31 - 1, 1),
    "no width": lambda: bomb(0, 10),
    "text that unpacks": lambda: bomb(8, 8, _ztxt(zlib.compress(b"a" * 100_000_000, 9))),
    "animation": animation,
    "gif": gif,
    "nothing": lambda: b"",
    "text": lambda: b"<svg onload=alert(1)>",
    "cut": lambda: png(300, 300)[:200],
    "a pickle": lambda: b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.",
}


def _ztxt(data: bytes) -> bytes:
    body = b"Comment\0\0" + data
    return pack(">I", len(body)) + b"zTXt" + body + pack(">I", zlib.crc32(b"zTXt" + body))


@pytest.mark.parametrize("name", HURTFUL)
def test_pictures_built_to_hurt_are_refused_and_cost_little(server: Served, name: str) -> None:
    data = HURTFUL[name]()
    assert len(data) < 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = server.client.post("/api/v1/inputs", content=data, headers={"content-type": "image/png"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "unreadable_picture"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # kilobytes


@pytest.mark.parametrize("sides", [(20_000, 20_000), (8_000, 8_000)])
def test_a_picture_with_too_many_pixels_is_not_called_damaged(server: Served, sides: tuple[int, int]) -> None:
    data = bomb(*sides)
    answer = server.client.post("/api/v1/inputs", content=data, headers={"content-type": "image/png"})
    assert "pixels; 32 million may be sent" in answer.json()["error"]["message"]


def test_an_upload_is_written_anew_and_says_what_it_knew(server: Served) -> None:
    out = io.BytesIO()
    picture = Image.new("RGBA", (40, 30), (1, 2, 3, 4))
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", "a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x512")
    info.add_text("secret", "<script>")
    picture.save(out, "PNG", pnginfo=info)
    answer = server.client.post("/api/v1/inputs", files={"file": ("../../x.png", out.getvalue(), "text/html")})
    said = answer.json()
    assert answer.status_code == 201
    assert (said["width"], said["height"], said["source"]) == (40, 30, "a1111")
    assert said["fields"]["seed"] == 42
    kept = server.service.session.library.inputs.open_input(said["id"])
    assert b"script" not in kept.read_bytes()
    with Image.open(kept) as image:
        assert image.getpixel((0, 0)) == (1, 2, 3, 4)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_png_becomes_plain(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (9, 7)).save(out, "PNG")
    assert decoded(out.getvalue()).image.mode in ("L", "RGB", "RGBA")


def test_a_turned_photo_is_upright() -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(out, "JPEG", exif=exif)
    assert decoded(out.getvalue()).image.size == (20, 40)


def test_a_form_with_more_than_a_picture(server: Served) -> None:
    many = [("file", ("a.png", png(), "image/png"))] * 3
    assert server.client.post("/api/v1/inputs", files=many).status_code == 400
    assert server.client.post("/api/v1/inputs", files={"other": png()}).status_code == 422
    fields = {f"f{k}": "x" for k in range(50)}
    assert server.client.post("/api/v1/inputs", files={"file": png()}, data=fields).status_code == 400
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert server.client.post("/api/v1/inputs", content=b"--y\r\n", headers=broken).status_code in (400, 422)
    without = {"content-type": "multipart/form-data"}
    assert server.client.post("/api/v1/inputs", content=b"--y\r\n", headers=without).status_code == 400


URLS = (
    "http://169.254.169.254/latest/meta-data",
    "https://example.com/x.png",
    "file:///etc/passwd",
    "ftp://x/y",
    "gopher://127.0.0.1:6379/_x",
    "//evil.example/x.png",
    "data:text/html;base64,PHNjcmlwdD4=",
    "data:image/svg+xml,<svg>",
    "http://[::1]/",
    "http://0x7f000001/",
    "jar:file:///x!/y",
    "\\\\evil\\share",
)


@pytest.mark.parametrize("url", URLS)
def test_no_url_is_fetched_wherever_it_is_given(server: Served, url: str) -> None:
    with pytest.raises(InvalidRequest):
        of_base64(url)
    for field in ("init", "mask", "model", "vae", "upscale", "hires_upscaler"):
        answer = server.client.post("/api/v1/jobs", json={"prompt": "a fox", field: url})
        assert answer.status_code == 422, (field, answer.text)


def test_base64_is_read_bare_and_as_a_data_url() -> None:
    assert of_base64("aGk=") == of_base64("data:image/png;base64,aGk=") == of_base64(" aG\nk= ") == b"hi"


def test_larger_bodies_are_for_pictures_alone() -> None:
    assert most_of("/api/v1/inputs") > most_of("/api/v1/jobs") > most_of("/api/v1/lint") == ELSE
    assert all(path.startswith("/") for path in MOST)
    with pytest.raises(UnreadablePicture):
        decoded(b"\0" * (32 * 2**20 + 1))
