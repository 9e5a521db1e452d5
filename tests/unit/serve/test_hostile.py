"""What leads out of the library, and what would run in a browser."""

from __future__ import annotations

import http.client
import io
from collections.abc import Iterator

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.errors import InvalidRequest
from limner.serve.names import refuse_path
from tests.serving import Served, live, png
from tests.unit.serve.hostile import MARKUP, PATHS, traversals
from tests.unit.serve.routes import routes, templates

SECRETS = (b"root:", b"SQLite format", b"BEGIN ", b"[fonts]")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        server.picture()
        yield server


def test_no_string_in_a_path_leads_out_of_the_library(server: Served) -> None:
    strings = list(traversals())
    assert len(strings) > 480
    found = [(method, path) for method, path in templates(server.app) if "{" in path and method != "HEAD"]
    assert found
    host = server.url.removeprefix("http://")
    for method, path in found:
        connection = http.client.HTTPConnection(host, timeout=30)
        before, _, rest = path.partition("{")
        after = rest.partition("}")[2].replace("{", "").replace("}", "")
        chosen = strings if method == "GET" else strings[:: len(strings) // 60]
        for each in chosen:
            connection.putrequest(method, f"{before}{each}{after}", skip_host=True)
            connection.putheader("Host", host)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
            assert 400 <= answer.status < 500, (method, path, each, answer.status)
            assert not any(secret in body for secret in SECRETS), (path, each)
        connection.close()


@pytest.mark.parametrize("name", [*PATHS, "../x", "a/../b", "./a", "tests", "src/limner", "a\\b", "org/name/more"])
def test_no_name_of_a_request_is_a_path(server: Served, name: str) -> None:
    with pytest.raises(InvalidRequest):
        refuse_path(name, "model")
    for field, value in (("model", name), ("vae", name), ("loras", [name]), ("upscale", name)):
        for body in (
            {"prompt": "a fox", field: value},
            {"kind": "refine", "request": {"prompt": "a fox", field: value}},
        ):
            answer = server.client.post("/api/v1/jobs", json=body)
            assert answer.status_code == 422, (field, answer.text)


@pytest.mark.parametrize("name", ["pocket", "sd15", "stabilityai/sd-turbo", "org/name@main", "my model v1.5", "a+b"])
def test_names_of_models_are_names(name: str) -> None:
    refuse_path(name, "model")


def test_markup_in_words_stays_words(server: Served) -> None:
    pages = [path for method, path in routes(server.app) if method == "GET" and "events" not in path]
    for payload in MARKUP:
        job = server.client.post("/api/v1/jobs", json={"prompt": payload, "seed": 1})
        assert job.status_code in (202, 422), job.text
        if job.status_code == 202:
            server.wait(job.json()["id"])
    for path in pages:
        answer = server.client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        kind = answer.headers.get("content-type", "")
        if kind.startswith(("text/html", "image/svg", "application/xhtml")):
            assert not any(payload in answer.text for payload in MARKUP if "<" in payload), path


@pytest.mark.parametrize("payload", MARKUP)
def test_markup_in_a_file_and_its_name_is_lost(server: Served, payload: str) -> None:
    info = PngInfo()
    info.add_text("parameters", f"{payload}\nSteps: 20, Sampler: Euler a, Seed: 1, CFG scale: 7")
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=info)
    name = payload.replace('"', "'")
    answer = server.client.post("/api/v1/inputs", files={"file": (f"{name}.png", out.getvalue(), "text/html")})
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/json"
    kept = server.service.session.library.inputs.open_input(answer.json()["id"])
    assert payload.encode() not in kept.read_bytes()


def test_a_picture_with_a_page_behind_it_is_a_picture(server: Served) -> None:
    data = png() + b"<script>alert(1)</script>"
    answer = server.client.post("/api/v1/inputs", content=data, headers={"content-type": "image/png"})
    assert b"script" not in server.service.session.library.inputs.open_input(answer.json()["id"]).read_bytes()
    picture = server.client.get(f"/api/v1/pictures/{server.picture()}/file")
    assert picture.headers["content-type"] == "image/png"
    assert "sandbox" in picture.headers["content-security-policy"]
