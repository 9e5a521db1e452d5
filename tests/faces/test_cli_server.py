"""``--server URL``: the command line in front of a running server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from limner.cli.remote import address
from limner.cli.remote_http import error_from
from limner.errors import ConfigError, InvalidRequest, LimnerError, OutOfMemory, Refused, ResourceError, UnknownName
from tests.builtin import SIDE
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.serving import Served, live, png


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture
def limner(server: Served, own_home: Path) -> Limner:
    return limner_in(own_home, LIMNER_SERVER=server.url)


def test_a_picture_is_told_by_its_url_and_copied(
    limner: Limner, server: Served, own_home: Path, tmp_path: Path
) -> None:
    result = limner("a", "red", "fox", "--seed", "7")
    assert result.exit_code == 0, result.stderr
    url = result.stdout.strip()
    assert server.client.get(url).headers["content-type"] == "image/png"
    result = limner("a red fox", "-n", "2", "--steps", "3", "-o", str(tmp_path / "fox.png"))
    assert result.stdout.split() == [str(tmp_path / f"fox-{k}.png") for k in (1, 2)]
    assert not (own_home / "library").exists()


def test_the_copy_is_the_servers_file_or_the_same_in_another_format(
    limner: Limner, server: Served, tmp_path: Path
) -> None:
    found = said(limner("a red fox", "--seed", "3", "--json", "-o", str(tmp_path / "fox.png")))
    assert isinstance(found, dict)
    assert (found["seed"], found["width"], found["model"]) == (3, SIDE, "pocket")
    entry = server.service.session.library.get(found["id"])
    assert (tmp_path / "fox.png").read_bytes() == entry.path.read_bytes()
    assert limner("a red fox", "-o", str(tmp_path / "fox.webp")).exit_code == 0
    assert Image.open(tmp_path / "fox.webp").format == "WEBP"


def test_a_start_picture_is_sent(limner: Limner, server: Served, tmp_path: Path) -> None:
    (tmp_path / "start.png").write_bytes(png(128, 128))
    first = said(limner("a fox", "--init", str(tmp_path / "start.png"), "--guidance", "0", "--json"))
    assert isinstance(first, dict)
    record = server.service.session.library.get(first["id"]).record
    assert record is not None
    assert record.request.guidance == 0
    assert record.request.init is not None
    for name in (first["id"], "last"):
        assert limner("a fox", "--init", name).exit_code == 0
    assert_refused(limner("a fox", "--init", "no/such.png"), 7, "no file")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--marks", "none"], "--marks"),
        (["--offline"], "--offline"),
        (["--safety", "strict"], "--safety"),
        (["--rank", "auto"], "--rank"),
        (["--no-keep", "-o", "x.png"], "--no-keep"),
        (["--lora", "./my.safetensors"], "loras"),
        (["-m", "/models/mine"], "model"),
    ],
)
def test_what_is_of_this_machine_is_refused_by_name(limner: Limner, args: list[str], words: str) -> None:
    assert_refused(limner("a red fox", *args), 2, words)


@pytest.mark.parametrize(
    ("prompt", "code", "name"),
    [
        ("a zzfail fox", 5, "generation"),
        ("a zzoom fox", 4, "out_of_memory"),
        ("a zzrefuse fox", 6, "moderation_blocked"),
        ("a naked child", 6, "moderation_blocked"),
        (" ", 2, "invalid_request"),
    ],
)
def test_an_error_of_the_server_ends_as_here(limner: Limner, prompt: str, code: int, name: str) -> None:
    result = limner("draw", "--json", "--", prompt)
    assert (result.exit_code, json.loads(result.stderr)["error"]["code"]) == (code, name)
    assert_refused(limner("draw", "--", prompt), code)


def test_names_are_the_servers_to_know(limner: Limner) -> None:
    assert_refused(limner("a red fox", "-m", "nope"), 2, "no model called 'nope'")
    assert_refused(limner("a red fox", "--solver", "nope"), 2, "nope")


def test_warnings_are_told(limner: Limner) -> None:
    assert "a warning" in limner("a zzwarn fox").stderr


def test_a_worker_that_dies_is_told_and_the_picture_comes(limner: Limner) -> None:
    result = limner("a zzcrashonce fox")
    assert result.exit_code == 0
    assert "begins again" in result.stderr
    assert result.stdout.startswith("http://")


def test_nobody_answers_and_no_url(limner: Limner, server: Served) -> None:
    assert_refused(limner("a fox", "--server", "http://127.0.0.1:9"), 4, "no server answers")
    assert_refused(limner("a fox", "--server", "ftp://x"), 2, "no URL")
    assert_refused(limner("a fox", "--server", f"{server.url}/static"), 2)


def test_a_token(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> None:
    token = "a-long-token-of-mine"
    with live(tmp_path_factory.mktemp("home"), token=token) as server:
        assert_refused(limner_in(own_home, LIMNER_SERVER=server.url)("a fox"), 2, "token")
        assert limner_in(own_home, LIMNER_SERVER=server.url, LIMNER_TOKEN=token)("a fox").exit_code == 0
        assert limner_in(own_home)("a fox", "--server", f"{server.url}/login#token={token}").exit_code == 0


def test_ctrl_c_cancels_and_torch_is_never_imported(server: Served, own_home: Path) -> None:
    code = (
        "import sys; from limner.cli.main import cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "finally: print('torch' in sys.modules, 'httpx' in sys.modules, file=sys.stderr)"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code, "a zzslow and stopped fox", "--steps", "200", "--server", server.url],
        env={**os.environ, "LIMNER_HOME": str(own_home)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (jobs := [each for each in server.service.queue.listed("running") if "stopped" in each.title]):
        assert run.poll() is None
        time.sleep(0.05)
    time.sleep(0.3)  # until it follows
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=20)
    assert run.returncode == 130, told
    assert server.wait(jobs[0].id).state == "cancelled"
    assert "False False" in told


def test_a_plan_is_the_servers(limner: Limner, server: Served) -> None:
    told = limner("plan", "a red fox", "-n", "3", "--steps", "7")
    assert told.exit_code == 0
    assert f"pocket on {server.url}: 3 pictures of {SIDE}x{SIDE}, 7 steps" in told.stdout
    found = said(limner("plan", "a red fox", "--json"))
    assert isinstance(found, dict)
    assert found["plans"][0]["prompt"] == "a red fox"
    assert_refused(limner("plan", "a red fox", "--steps", "0"), 2, "steps")


def test_a_refinement_is_followed_to_its_end(limner: Limner, server: Served) -> None:
    result = limner("refine", "a red fox", "--budget", "2min", "--strategy", "paraphrase", "--seed", "3", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"stand_in": True}
    body = server.service.queue.listed("done", limit=1)[0].body
    assert (body["seconds"], body["strategies"], body["seed"]) == (120, ["paraphrase"], 3)
    # Slow enough that who follows is there before the second part.
    assert "part 2 of 3" in limner("refine", "a red fox zzslow").stderr


def test_a_refinement_is_refused_what_is_of_this_machine(limner: Limner) -> None:
    assert_refused(limner("refine", "a red fox", "--interactive"), 2, "--interactive")
    assert_refused(limner("refine", "--resume"), 2, "--resume")
    assert_refused(limner("refine", "a red fox", "--budget", "much"), 2, "budget")
    assert_refused(limner("refine", "a red fox", "--scorer", "nope"), 2, "nope")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("out_of_memory", 507, OutOfMemory),
        ("invalid_request", 422, InvalidRequest),
        ("queue_full", 429, ResourceError),
        ("unauthorized", 401, ConfigError),
        ("something_new", 500, LimnerError),
    ],
)
def test_errors_keep_their_class_code_and_words(code: str, status: int, kind: type[LimnerError]) -> None:
    error = error_from({"code": code, "message": "what", "hint": "then", "field": "steps"}, status)
    assert type(error) is kind
    assert (error.code, error.message, error.hint) == (code, "what", "then")


def test_a_refusal_and_a_name_keep_what_they_know() -> None:
    refused = error_from({"code": "moderation_blocked", "message": "no", "category": "hate", "rule": "r"})
    assert isinstance(refused, Refused)
    assert refused.details()["category"] == "hate"
    unknown = error_from({"code": "unknown_name", "message": "no", "field": "solver"})
    assert isinstance(unknown, UnknownName)
    assert unknown.field == "solver"


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIMNER_TOKEN", raising=False)
    assert address("localhost:7860") == ("http://localhost:7860", None)
    assert address("https://box/limner/") == ("https://box/limner", None)
    assert address("http://h:1/login#token=abc") == ("http://h:1", "abc")
    monkeypatch.setenv("LIMNER_TOKEN", "of-the-environment")
    assert address("http://h:1") == ("http://h:1", "of-the-environment")
