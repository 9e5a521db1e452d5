"""``docs/clients.md`` runs: its Python, its commands and its curl lines, against a server with a stand-in worker."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.faces.calling import limner_in
from tests.faces.reading import ROOT
from tests.faces.test_docs import Block, blocks, commands
from tests.serving import Served, live, png

PAGE = ROOT / "docs" / "clients.md"
THERE = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(kind: str, server: Served) -> list[Block]:
    chosen = [each for each in blocks(PAGE) if each.kind == kind and (each.needs is not None or kind == "console")]
    assert chosen
    return [Block(each.page, each.line, each.kind, each.text.replace(THERE, server.url)) for each in chosen]


def test_the_python_runs(server: Served, work: Path) -> None:
    names: dict[str, object] = {"__name__": "docs"}
    for block in found("python", server):
        exec(compile(block.text, str(block), "exec"), names)
    assert {"fox-7.png", "fox-8.png", "ghost.png", "mask.png"} <= {each.name for each in work.iterdir()}


def test_the_commands_run(server: Served, work: Path, own_home: Path) -> None:
    limner = limner_in(own_home)
    for block in found("sh", server):
        for args, code in commands(block):
            if "--report" in args:  # a stand-in writes none
                args = args[: args.index("--report")]
            result = limner(*args)
            assert result.exit_code == code, (args, result.stderr)
    assert {each.name for each in work.iterdir()} == {"ghost-1.webp", "ghost-2.webp"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_curl_lines_run(server: Served, work: Path) -> None:
    (work / "fox-7.png").write_bytes(png(128, 128))
    lines = [line for block in found("console", server) for line in block.text.splitlines() if line.startswith("curl")]
    assert len(lines) == 3
    for line in lines:
        run = subprocess.run([*shlex.split(line), "-sS", "--fail"], capture_output=True, text=True, timeout=30)
        assert run.returncode == 0, (line, run.stdout, run.stderr)
        assert re.search(r'"(data|url)"', run.stdout)


OPEN_WEBUI: list[dict[str, Any]] = [
    {"model": "pocket", "prompt": "a fox", "n": 1, "size": "512x512", "response_format": "b64_json"},
    {"model": "gpt-image-1", "prompt": "a fox", "n": 1, "size": "auto"},
    {"model": "dall-e-2", "prompt": "a fox", "n": 2, "response_format": "b64_json", "steps": 3},
]


@pytest.mark.parametrize("body", OPEN_WEBUI, ids=[each["model"] for each in OPEN_WEBUI])
def test_requests_of_open_webuis_form(server: Served, body: dict[str, Any]) -> None:
    answer = httpx.post(f"{server.url}/v1/images/generations?api-version=1", json=body)
    assert [set(each) for each in answer.json()["data"]] == [{"b64_json", "id", "seed"}] * body["n"]


@pytest.mark.parametrize("name", ["image", "image[]"])
def test_edits_of_open_webuis_form(server: Served, name: str) -> None:
    answer = httpx.post(
        f"{server.url}/v1/images/edits",
        data={"model": "", "prompt": "a fox", "n": "1", "size": "512x512", "response_format": "b64_json"},
        files={name: ("5f0c.png", png(64, 64), "image/png")},
    )
    assert answer.status_code == 200
    assert answer.json()["size"] == "512x512"


def test_requests_of_langchains_form(server: Served) -> None:
    with OpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
        answer = client.images.generate(
            prompt="a fox", n=1, size="1024x1024", model="dall-e-3", quality="standard", style="vivid"
        )
    assert answer.data is not None
    assert httpx.get(answer.data[0].url or "").headers["content-type"] == "image/png"
