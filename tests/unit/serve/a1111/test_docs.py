"""The examples of docs/a1111.md, and that it tells of every route."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from limner.serve.a1111 import router
from tests.serving import Served
from tests.unit.serve.routes import templates

PAGE = (Path(__file__).parents[4] / "docs" / "a1111.md").read_text("utf-8").partition("## Its HTTP API")[2]


def test_the_examples_run(
    server: Served,
    http: httpx.Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"^curl .*?/sdapi/v1(/\S+) .* -d '(.*)'$", PAGE, re.MULTILINE)
    assert http.post(command[0], json=json.loads(command[1])).status_code == 200
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code.replace("7860", str(httpx.URL(server.url).port)), {})
    assert (tmp_path / "fox.png").is_file()
    assert "resampled" in capsys.readouterr().out


def test_every_route_is_told_of(server: Served) -> None:
    own = {path for _, path in templates(server.app) if path.startswith("/sdapi/v1/")}
    assert len(own) > 30
    assert router.prefix == "/sdapi/v1"
    for path in own:
        assert f"`{path.removeprefix('/sdapi/v1/')}`" in PAGE, path
