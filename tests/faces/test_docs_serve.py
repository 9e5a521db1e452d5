"""``docs/serve.md`` is true: its Python runs in order against a server with a stand-in worker, and what its tables name
is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faces.reading import ROOT
from tests.faces.test_docs import blocks
from tests.serving import Served, live

PAGE = ROOT / "docs" / "serve.md"
THERE = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        yield server


def test_the_python_runs(server: Served, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "docs"}
    found = [each for each in blocks(PAGE) if each.kind == "python"]
    assert len(found) == 5
    for block in found:
        exec(compile(block.text.replace(THERE, server.url), str(block), "exec"), names)
    said = capsys.readouterr().out
    assert len(re.findall(r"image/png \d+", said)) == 2
    assert "event: made" in said
    assert re.search(r"^422 .*steps", said, re.MULTILINE)


def test_all_metrics_that_are_named_are_there(server: Served) -> None:
    server.picture()
    text = server.client.get("/metrics").text
    named = set(re.findall(r"`(limner_[a-z_]+)`", PAGE.read_text("utf-8")))
    assert len(named) >= 8
    for name in named:
        assert re.search(rf"^# (HELP|TYPE) {name}", text, re.MULTILINE) or f"\n{name}" in text, name


def test_all_paths_that_are_named_are_there(server: Served) -> None:
    known = server.client.get("/api/v1/openapi.json").json()["paths"]
    table = PAGE.read_text("utf-8").split("| ask | for |")[1].split("\n\n")[0]
    named = re.findall(r"(GET|POST|DELETE) (/[a-zA-Z/]+)", table)
    assert len(named) >= 12
    for method, path in named:
        shape = f"/api/v1{path}".replace("/ID", "/{id}")
        assert method.lower() in known[shape], (method, path)


def test_it_is_in_the_site() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in ("serve.md", "studio.md", "clients.md"):
        assert page in text
        assert (Path(ROOT) / "docs" / page).exists()
