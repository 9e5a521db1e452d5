"""A server as a process: it says where it is, is the only one of its home, and finishes what runs when it is ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from limner.errors import ConfigError
from limner.serve.dispatch import Dispatch
from limner.serve.home import AlreadyServed, noted, owned
from limner.serve.listening import NotListening, listen, url_of
from limner.serve.queue import Queue
from limner.serve.tokens import token_of
from tests.serving import WORKER

GRACE = 3
PROGRAM = """
import json, sys
from limner.config import Settings
from limner.serve.run import Serving, run
run(Settings.load(), Serving(**json.loads(sys.argv[1])), lambda text: print(text, flush=True))
"""


@contextmanager
def process(home: Path, program: str = PROGRAM, **serving: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process of ``home``, and the line it says first."""
    said = {"port": 0, "command": WORKER, "offline": True, **serving}
    env = {**os.environ, "LIMNER_HOME": str(home)}
    command = [sys.executable, "-c", program, json.dumps(said)]
    with subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            yield running, running.stdout.readline()
        finally:
            running.kill()


@contextmanager
def ready(url: str) -> Iterator[httpx.Client]:
    """A client of a server whose worker is ready."""
    with httpx.Client(base_url=url, timeout=30) as client:
        while client.get("/readyz").status_code != 200:
            time.sleep(0.02)
        yield client


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_runs_leaves_the_rest_in_the_queue_and_exits_0(tmp_path: Path, name: signal.Signals) -> None:
    with process(tmp_path) as (running, line):
        url = line.split()[3]
        with ready(url) as client:
            slow = client.post("/api/v1/jobs", json={"prompt": "a fox zzslow", "steps": 5}).json()["id"]
            while client.get(f"/api/v1/jobs/{slow}").json()["state"] != "running":
                time.sleep(0.02)
            with client.stream("GET", "/api/v1/events") as events:
                lines = events.iter_lines()
                assert next(lines).startswith("retry")
                running.send_signal(name)
                assert [line for line in lines if line.startswith("event")]  # the stream ends
        _, errors = running.communicate(timeout=30)
        assert running.returncode == 0, errors
        assert "Traceback" not in errors
    queue = Queue(tmp_path)
    job = queue.get(slow)
    assert job is not None
    assert job.state == "done"
    queue.close()


def test_the_grace_is_fixed_by_the_first_who_asks() -> None:
    inside = object.__new__(Dispatch)
    inside._until = None
    assert inside.drain(5.0) == inside.drain(500.0)
    assert inside.draining


def test_who_waits_longer_than_the_grace_is_told_so_and_the_job_stays_in_the_queue(tmp_path: Path) -> None:
    """No client is cut off, and the grace is spent once, also where the worker never comes to the end of its step."""
    slow, hung = {"prompt": "a fox zzslow", "steps": 150}, {"prompt": "a fox zzhang"}  # 15 s; for ever
    with process(tmp_path, grace=GRACE) as (running, line), ThreadPoolExecutor(2) as clients:
        with ready(line.split()[3]) as client:
            openai = clients.submit(client.post, "/v1/images/generations", json=slow)
            a1111 = clients.submit(client.post, "/sdapi/v1/txt2img", json=hung)
            while sum(job["state"] == "running" for job in client.get("/api/v1/jobs").json()["jobs"]) < 2:
                time.sleep(0.02)
            running.send_signal(signal.SIGTERM)
            said, errors = running.communicate(timeout=30)  # the hung job would keep it for ever
        assert (running.returncode, "Traceback" in errors) == (0, False), errors
        assert said == f"finishing 2 jobs, up to {GRACE} s; 0 wait in the queue\n"
        answer = openai.result()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")
        assert "stays in its queue" in answer.json()["error"]["message"]
        answer = a1111.result()
        assert (answer.status_code, answer.json()["error"]) == (503, "draining")
    queue = Queue(tmp_path)
    assert [(job.state, job.attempts) for job in queue.listed()] == [("queued", 0)] * 2
    queue.close()


def test_the_server_process_never_imports_torch(tmp_path: Path) -> None:
    program = PROGRAM + "\nprint('torch' in sys.modules, 'diffusers' in sys.modules, flush=True)"
    with process(tmp_path, program) as (running, line):
        url = line.split()[3]
        with ready(url) as client:
            job = client.post("/api/v1/jobs", json={"prompt": "a fox"}).json()["id"]
            for path in ("models", "solvers", "styles", "metrics", "pictures", "jobs"):
                assert client.get(f"/api/v1/{path}").status_code == 200
            assert client.post("/api/v1/plan", json={"prompt": "a fox"}).status_code == 200
            assert client.post("/api/v1/lint", json={"prompt": "a fox"}).status_code == 200
            assert client.get(f"/api/v1/jobs/{job}/events").status_code == 200
            picture = client.get(f"/api/v1/jobs/{job}").json()["pictures"][0]
            assert client.get(f"/api/v1/pictures/{picture}/thumbnail").status_code == 200
        running.send_signal(signal.SIGTERM)
        assert running.stdout is not None
        assert running.stdout.read().split() == ["False", "False"]


def test_one_server_a_home_and_it_says_where(tmp_path: Path) -> None:
    with process(tmp_path) as (_, line):
        url = line.split()[3]
        assert noted(tmp_path) == url
        with pytest.raises(AlreadyServed, match=url), owned(tmp_path):
            pass
    with owned(tmp_path):  # the lock of a killed server is nobody's
        assert noted(tmp_path) == url


def test_a_port_in_use_is_said() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NotListening, match=f"port {port} of 127.0.0.1 is in use"):
            listen("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_said() -> None:
    with pytest.raises(NotListening, match=r"203\.0\.113\.1"):
        listen("203.0.113.1", 0)
    with pytest.raises(NotListening):
        listen("no such host", 0)


def test_where_a_browser_finds_it() -> None:
    with listen("127.0.0.1", 0) as bound:
        assert url_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert bound.proto == socket.IPPROTO_TCP  # else asyncio leaves Nagle's algorithm on: 40 ms an answer


def test_a_token_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("correct-horse-battery\n")
    assert token_of(None, file) == "correct-horse-battery"
    with pytest.raises(ConfigError):
        token_of("correct-horse-battery", file)
    with pytest.raises(ConfigError):
        token_of(None, tmp_path / "none")


@pytest.mark.parametrize(("marks", "lacks"), [("none", "signed manifest"), ("metadata", "the watermark"), ("full", "")])
def test_a_server_that_leaves_marks_out_says_so(tmp_path: Path, marks: str, lacks: str) -> None:
    (tmp_path / "config.toml").write_text(f'[safety]\nmarks = "{marks}"\n')
    with process(tmp_path) as (running, line):
        assert "Limner serves at" in line
        with httpx.Client(base_url=line.split()[3]) as client:
            while client.get("/livez").status_code != 200:
                time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        assert running.stdout is not None
        said = running.stdout.read()  # what came with the first line is in its buffer
    about = [each for each in said.splitlines() if each.startswith("[safety] marks")]
    assert len(about) == (marks != "full")
    assert all(f'"{marks}"' in each and lacks in each for each in about)


def test_every_line_of_a_json_log_is_json(tmp_path: Path) -> None:
    with process(tmp_path, json_logs=True) as (running, line):
        with httpx.Client(base_url=line.split()[3]) as client:
            headers = {"content-type": "multipart/form-data; boundary=x"}
            client.post("/api/v1/inputs", content=b"no form", headers=headers)
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=30)
    lines = [json.loads(line) for line in errors.splitlines()]
    assert "python_multipart.multipart" in [each["logger"] for each in lines]


def test_logs_hold_no_words_of_a_request(tmp_path: Path) -> None:
    with process(tmp_path, json_logs=True) as (running, line):
        with ready(line.split()[3]) as client:
            job = client.post("/api/v1/jobs", json={"prompt": "a secret fox zzbug"}).json()["id"]
            assert client.get(f"/api/v1/jobs/{job}/events").status_code == 200
            client.get("/api/v1/pictures", params={"text": "secret"})
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=30)
    lines = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    assert {"event", "status", "path", "ms", "id"} <= next(each for each in lines if each["event"] == "answered").keys()
    assert "secret" not in "".join(map(str, lines))
