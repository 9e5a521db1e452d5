"""``limner serve`` from the command line: what it refuses, before anything is loaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from limner.cli import serve
from limner.serve.home import owned
from limner.serve.listening import listen
from tests.faces.calling import assert_refused, limner_in


def test_other_machines_need_a_token(tmp_path: Path) -> None:
    assert_refused(limner_in(tmp_path)("serve", "--host", "0.0.0.0", "--port", "0"), 2, "token", "--token new")


@pytest.mark.parametrize(
    "more", [("--host", "0.0.0.0", "--token", "a token of some length"), ("--allow-host", "box.example")]
)
def test_adult_is_for_this_machine_alone(tmp_path: Path, more: tuple[str, ...]) -> None:
    assert_refused(limner_in(tmp_path)("serve", "--port", "0", "--safety", "adult", *more), 2, "adult", "this machine")


def test_a_token_is_long(tmp_path: Path) -> None:
    assert_refused(limner_in(tmp_path)("serve", "--token", "1234"), 2, "12 characters")


def test_a_port_in_use(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert_refused(limner_in(tmp_path)("serve", "--port", port), 4, f"port {port}", "--port 7861")


def test_a_home_has_one_server(tmp_path: Path) -> None:
    with owned(tmp_path):
        assert_refused(limner_in(tmp_path)("serve", "--port", "0"), 4, "runs already")


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_without_its_libraries_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    real = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> object:
        return None if name == missing else real(name, package)

    monkeypatch.setattr(serve.importlib.util, "find_spec", found)
    assert_refused(limner_in(tmp_path)("serve"), 3, missing, "[serve]")
