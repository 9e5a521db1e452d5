"""``limner plan``: figures before any download, the same identity as the drawing's, nothing heavy imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("diffusers")

from limner import Session
from limner.models import machine
from limner.types import Request
from tests.checkpoints import SD1_LIKE, write
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.hub_server import HubServer

GIGA = 10**9


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    folder = write(tmp_path_factory.mktemp("tiny") / "tiny", SD1_LIKE)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Mapping[str, bytes]) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.add("org/tiny", dict(checkpoint))
        yield running


@pytest.fixture
def limner(own_home: Path) -> Limner:
    return limner_in(own_home)


def figures(result: object) -> dict[str, object]:
    assert isinstance(result, dict)
    (plan,) = result["plans"]
    assert isinstance(plan, dict)
    return plan


def test_only_small_files_are_fetched_and_the_rest_is_counted(
    hub: HubServer, limner: Limner, checkpoint: Mapping[str, bytes]
) -> None:
    plan = figures(said(limner("plan", "a red fox", "-m", "org/tiny", "--seed", "3", "--json")))
    assert not [name for name in hub.fetched() if name.endswith(".safetensors")]
    wanted = ("text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors")
    weights = sum(len(checkpoint[name]) for name in (*wanted, "vae/diffusion_pytorch_model.safetensors"))
    estimate = plan["estimate"]
    assert isinstance(estimate, dict)
    assert estimate["download_bytes"] == plan["disk_needed_bytes"] == weights
    assert [part["name"] for part in estimate["parts"]] == ["text_encoder", "unet", "vae"]
    assert plan["fits"] is True
    assert estimate["seconds_low"] < estimate["seconds_per_image"] < estimate["seconds_high"]


def test_the_plan_is_of_the_picture_that_is_drawn(hub: HubServer, limner: Limner) -> None:
    before = figures(said(limner("plan", "a red fox", "-m", "org/tiny", "--seed", "3", "--steps", "2", "--json")))
    drawn = said(limner("a red fox", "-m", "org/tiny", "--seed", "3", "--steps", "2", "--json"))
    assert isinstance(drawn, dict)
    assert drawn["identity"] == before["identity"]
    after = figures(said(limner("plan", "a red fox", "-m", "org/tiny", "--seed", "3", "--steps", "2", "--json")))
    estimate = after["estimate"]
    assert isinstance(estimate, dict)
    assert estimate["download_bytes"] == 0
    assert "earlier picture" in estimate["basis"]
    shown = limner("gallery", "show", "last").stdout
    assert "planned and actual" in shown
    assert "peak memory  planned" in shown


def test_the_library_says_it_too(hub: HubServer, own_home: Path) -> None:
    with Session() as session:
        (plan,) = session.foresee(Request(prompt="a red fox", model="org/tiny", seed=3))
        assert plan.estimate.download_bytes > 0
        assert session.plan(Request(prompt="a red fox", model="org/tiny", seed=3))[0].identity == plan.identity


def test_by_the_card_where_the_network_is_forbidden(hub: HubServer, limner: Limner) -> None:
    result = limner("plan", "a red fox", "-m", "sd15", "--offline")
    assert result.exit_code == 0, result.stderr
    assert "by its card alone" in result.stdout
    assert "4.3 GB to fetch" in result.stdout
    assert "network is forbidden" in result.stderr
    assert hub.requests == []
    found = said(limner("plan", "-m", "sd15", "--offline", "--json"))
    assert isinstance(found, dict)
    assert found["plans"] == []
    assert found["by_card"]["download_bytes"] > GIGA


def test_the_cards_figures_are_of_the_size_and_numbers_asked_for(hub: HubServer, limner: Limner) -> None:
    def peak(*asked: str) -> int:
        found = said(limner("plan", "-m", "sdxl", "--offline", "--json", *asked))
        assert isinstance(found, dict)
        return int(found["by_card"]["peak_bytes"])

    native = peak("--dtype", "float32")
    assert peak("--dtype", "float32", "--size", "2048") > native + 10 * 1024**2 * 1000
    assert peak("--dtype", "float32", "--size", "512") < native


def test_the_cards_figures_are_of_the_dtype(hub: HubServer, limner: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    able = replace(machine.probe(), gpus=(), mps=False, flags=frozenset({"avx512_bf16"}))
    monkeypatch.setattr("limner.cli.plan_card.probe", lambda: able)
    whole, half = (
        said(limner("plan", "-m", "sdxl", "--offline", "--json", "--device", "cpu", "--dtype", dtype))
        for dtype in ("float32", "bfloat16")
    )
    assert isinstance(whole, dict)
    assert isinstance(half, dict)
    assert (whole["by_card"]["dtype"], half["by_card"]["dtype"]) == ("float32", "bfloat16")
    assert whole["by_card"]["peak_bytes"] > 1.8 * half["by_card"]["peak_bytes"]


def test_offline_without_a_card_is_refused(hub: HubServer, limner: Limner) -> None:
    assert_refused(limner("plan", "a fox", "-m", "org/tiny", "--offline"), 3, "not on this machine")
    assert hub.requests == []


def test_where_it_does_not_fit_it_says_what_would(
    hub: HubServer, limner: Limner, monkeypatch: pytest.MonkeyPatch
) -> None:
    smaller, asked = (
        figures(said(limner("plan", "-m", "org/tiny", "--size", size, "--dtype", "float32", "--json")))["estimate"]
        for size in ("256", "512")
    )
    assert isinstance(smaller, dict)
    assert isinstance(asked, dict)
    room = (smaller["peak_bytes"] + asked["peak_bytes"]) // 2
    small = replace(machine.probe(), ram_available=int(room / machine.HEADROOM), gpus=(), flags=frozenset({"avx2"}))
    for module in ("limner.session.composer", "limner.cli.plan_sheet"):
        monkeypatch.setattr(f"{module}.probe", lambda: small)
    command = ("plan", "a red fox", "-m", "org/tiny", "--size", "512")
    result = limner(*command)
    assert result.exit_code == 0, result.stderr
    assert "NO: " in result.stdout
    assert "what would fit" in result.stdout
    found = figures(said(limner(*command, "--json")))
    assert found["fits"] is False
    offers = found["offers"]
    assert isinstance(offers, list)
    assert offers
    for offer in offers:
        assert offer["fits"]
        words = offer["option"].split()
        tried = figures(
            said(limner(*command[:-2], *(("--size", "512") if words[0] != "--size" else ()), *words, "--json"))
        )
        assert tried["fits"], "an offer that is taken fits"


def test_nothing_heavy_is_imported(own_home: Path) -> None:
    code = (
        "import sys\n"
        "from limner.cli.main import cli\n"
        "try:\n    cli.main(['plan', 'a', 'red', 'fox', '--json'])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'diffusers', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    env = {**os.environ, "LIMNER_HOME": str(own_home)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["plans"][0]["model"]["name"] == "pocket"
