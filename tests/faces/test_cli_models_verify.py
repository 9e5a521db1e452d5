"""``limner models verify`` from end to end: a small checkpoint with random weights, served by a hub of our own."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers")

from limner.cli.models_verify import write
from limner.models.verify import Difference, Finding, Report
from limner.session import verifying
from tests.checkpoints import SD1_LIKE
from tests.checkpoints import write as write_checkpoint
from tests.faces.calling import Limner, assert_refused, limner_in
from tests.hub_server import HubServer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny", SD1_LIKE)


@pytest.fixture(scope="module")
def files(checkpoint: Path) -> Mapping[str, bytes]:
    return {p.relative_to(checkpoint).as_posix(): p.read_bytes() for p in checkpoint.rglob("*") if p.is_file()}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, bytes]) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.add("org/tiny", dict(files))
        yield running


@pytest.fixture
def limner(own_home: Path) -> Limner:
    return limner_in(own_home)


def reports(folder: Path) -> tuple[str, dict[str, object]]:
    (markdown,), (record,) = folder.glob("*.md"), folder.glob("*.json")
    return markdown.read_text(), json.loads(record.read_text())


def test_verified_against_diffusers_with_a_report_to_share(hub: HubServer, limner: Limner, tmp_path: Path) -> None:
    result = limner("models", "verify", "org/tiny", "--steps", "2", "-o", str(tmp_path / "out"))
    markdown, record = reports(tmp_path / "out")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert record["outcome"] == "verified"
    assert str(record["claim"]).startswith("published weights (20")
    assert str(record["claim"]) in result.stdout
    assert record["commit"] == hub.repos["org/tiny"].commit
    differences = record["differences"]
    assert isinstance(differences, list)
    assert len(differences) == 3
    assert max(each["largest"] for each in differences) <= 2
    drawings = record["drawings"]
    assert isinstance(drawings, list)
    assert [each["program"] for each in drawings] == ["limner", "diffusers"]
    assert all(len(each["seconds"]) == 3 and each["peak_bytes"] > 1e8 for each in drawings)
    for text in (markdown, json.dumps(record)):
        for private in (str(tmp_path), str(Path.home()), "/tmp"):
            assert private not in text
        assert f" {getpass.getuser()} " not in text


def test_a_folder_is_compared_but_never_called_published(
    limner: Limner, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = limner("models", "verify", str(checkpoint), "--steps", "1", "-o", str(tmp_path / "out"))
    markdown, record = reports(tmp_path / "out")
    assert result.exit_code == 1
    assert record["outcome"] == "not verified"
    assert record["claim"] is None
    assert "published weights" not in markdown
    assert "no publisher's hash" in result.stderr
    assert str(checkpoint) not in markdown + json.dumps(record)


def test_other_pictures_fail(limner: Limner, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    black = np.zeros((16, 16, 3), dtype=np.uint8)
    monkeypatch.setattr(verifying.Verification, "_reference", lambda *given: [black] * 3)
    result = limner("models", "verify", "org/tiny", "--steps", "1", "-o", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert reports(tmp_path / "out")[1]["outcome"] == "failed"
    assert "differs" in result.stderr


def test_damaged_weights_fail_with_a_report(
    limner: Limner, hub: HubServer, files: Mapping[str, bytes], tmp_path: Path
) -> None:
    damaged = dict(files)
    name = "unet/diffusion_pytorch_model.safetensors"
    damaged[name] = damaged[name].replace(b"conv_in.weight", b"conv_un.weight")
    hub.add("org/damaged", damaged)
    result = limner("models", "verify", "org/damaged", "--steps", "1", "-o", str(tmp_path / "out"))
    assert result.exit_code == 1
    record = reports(tmp_path / "out")[1]
    assert record["outcome"] == "failed"
    assert "conv_in.weight" in result.stderr
    assert str(tmp_path) not in json.dumps(record)


def test_a_model_that_is_not_there_is_refused(hub: HubServer, limner: Limner, tmp_path: Path) -> None:
    result = limner("models", "verify", "org/none", "-o", str(tmp_path / "out"))
    assert_refused(result, 3, "org/none")
    assert not (tmp_path / "out").exists()


def report(*findings: Finding, differences: tuple[Difference, ...] = ()) -> Report:
    return Report(
        model="org/a|b",
        family="sd",
        repo="org/a",
        commit="c" * 40,
        weights="sha256:0",
        date="2026-01-02",
        machine={"processor": "A CPU"},
        device="cpu",
        dtype="float32",
        width=8,
        height=8,
        steps=1,
        guidance=1,
        solver="ddim",
        findings=findings,
        differences=differences,
    )


GOOD = Difference(prompt="a", seed=1, largest=1, mean=0.01, near=1.0)
FINE, UNKNOWN, BAD = (Finding(name="x", ok=ok, said="it") for ok in (True, None, False))


@pytest.mark.parametrize(
    ("findings", "differences", "outcome"),
    [
        ((FINE,), (GOOD,) * 3, "verified"),
        ((FINE,), (GOOD,) * 2, "not verified"),
        ((FINE, UNKNOWN), (GOOD,) * 3, "not verified"),
        ((FINE, BAD), (GOOD,) * 3, "failed"),
        ((FINE,), (GOOD, GOOD, GOOD.model_copy(update={"near": 0.9})), "failed"),
        ((FINE,), (GOOD, GOOD, GOOD.model_copy(update={"mean": 3.0})), "failed"),
        ((), (), "not verified"),
    ],
)
def test_no_more_is_claimed_than_was_done(
    findings: tuple[Finding, ...], differences: tuple[Difference, ...], outcome: str
) -> None:
    found = report(*findings, differences=differences)
    assert found.outcome == outcome
    assert (found.claim is not None) == (outcome == "verified")


def test_a_report_names_its_files_after_the_model(tmp_path: Path) -> None:
    found = report(FINE, differences=(GOOD,) * 3)
    markdown, record = write(found.to_markdown(), found.as_json(), found.model, found.date, tmp_path / "new")
    assert markdown.name == "limner-verify-org-a-b-2026-01-02.md"
    assert json.loads(record.read_text())["claim"] == "published weights (2026-01-02, A CPU, cpu)"
