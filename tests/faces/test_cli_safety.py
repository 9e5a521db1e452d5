"""``limner safety`` with a hub that stands on this machine: list, pull, try; and drawing with what was fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.safety.checks.marqo import COMMIT, REPO
from tests import checkers
from tests.faces.calling import Limner, assert_refused, limner_in
from tests.hub_server import HubServer, Repo

POCKET = str(files("limner") / "assets" / "pocket")
DRAW = ("draw", "a red fox", "-m", POCKET, "--size", "32x32", "--steps", "1", "--json")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    checkers.marqo(tmp_path / "marqo", lean=-50)
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        stored = {path.name: path.read_bytes() for path in (tmp_path / "marqo").iterdir()}
        running.commits[REPO, COMMIT] = running.repos[REPO] = Repo(stored, COMMIT)
        yield running


@pytest.fixture
def limner(tmp_path: Path, server: HubServer) -> Limner:
    return limner_in(tmp_path / "home")


def test_list_says_what_is_here_and_what_would_look(limner: Limner) -> None:
    shown = limner("safety")
    assert shown.exit_code == 0, shown.stderr
    for name in ("marqo", "falconsai", "compvis"):
        assert name in shown.stdout
    assert "never verified here" in shown.stdout
    assert "go unchecked" in shown.stderr
    told = json.loads(limner("safety", "list", "--json").stdout)
    assert told["in_use"] == []
    assert told["actions"]["adult"]["sexual_minors"] == {"possible": "block", "likely": "block"}
    assert {each["name"]: each["here"] for each in told["checkers"]}["marqo"] is False


def test_fetched_tried_and_used(limner: Limner, tmp_path: Path) -> None:
    before = json.loads(limner(*DRAW).stdout)
    assert "unchecked" in [each["code"] for each in before["warnings"]]
    pulled = limner("safety", "pull", "marqo")
    assert pulled.exit_code == 0, pulled.stderr
    assert "every hash is the publisher's" in pulled.stdout
    again = limner("safety", "pull", "marqo")
    assert "all were here" in again.stdout
    picture = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(picture)
    (said,) = json.loads(limner("safety", "try", str(picture), "--json").stdout)
    assert (said["checker"], said["category"]) == ("marqo", "sexual")
    assert set(said["actions"]) == {"strict", "standard", "adult"}
    assert "marqo" in limner("safety", "try", str(picture)).stdout
    assert json.loads(limner("safety", "--json").stdout)["in_use"] == ["marqo"]
    drawn = json.loads(limner(*DRAW).stdout)
    assert [each["code"] for each in drawn["checks"]] == ["checked"]
    assert "unchecked" not in [each["code"] for each in drawn["warnings"]]


def test_what_the_checker_finds_is_refused_with_its_category(limner: Limner, server: HubServer, tmp_path: Path) -> None:
    checkers.marqo(tmp_path / "other", lean=50)
    server.repos[REPO].files["model.safetensors"] = (tmp_path / "other" / "model.safetensors").read_bytes()
    limner("safety", "pull", "marqo")
    refused = limner(*DRAW, "-n", "2")
    assert refused.exit_code == 6
    error = json.loads(refused.stderr.strip().splitlines()[-1])["error"]
    assert (error["code"], error["category"]) == ("moderation_blocked", "sexual")
    assert json.loads(limner("gallery", "list", "--json").stdout) == []


def test_a_damaged_download_is_no_checker(limner: Limner, server: HubServer) -> None:
    server.faults.flip.add("model.safetensors")
    assert_refused(limner("safety", "pull", "marqo"), 3, "model.safetensors")
    assert json.loads(limner("safety", "--json").stdout)["in_use"] == []


def test_what_is_not_here_cannot_be_tried(limner: Limner, tmp_path: Path) -> None:
    picture = tmp_path / "grey.png"
    Image.new("RGB", (8, 8)).save(picture)
    assert_refused(limner("safety", "try", str(picture)), 3, "limner safety pull marqo")
    assert_refused(limner("safety", "try", str(picture), "--checker", "compvis"), 3, "limner safety pull compvis")
    assert_refused(limner("safety", "pull", "marko"), 2, "marqo")
