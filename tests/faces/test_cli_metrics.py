"""``limner metrics`` with a hub that stands on this machine: list, show, pull (pickles converted), selftest."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limner.canonical import tagged
from limner.config import Settings
from limner.errors import CorruptFile
from limner.evaluate import aesthetic, selftest
from limner.evaluate.cache import ScoreCache
from limner.evaluate.clip_score import B32, L14, ClipB32
from limner.evaluate.pick_score import PickScore
from limner.evaluate.selftest import Anchor
from tests import scorers
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.hub_server import HubServer

HEAD_REPO = "birder-project/aesthetic-predictor"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scorers.aesthetic(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def server(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        pickle = pickled(scorers.load_file(folder / "model.safetensors"))
        at(running, *B32, {"config.json": files["config.json"], "pytorch_model.bin": pickle})
        kept = ("config.json", "model.safetensors", "vocab.json", "merges.txt")
        at(running, *L14, {name: files[name] for name in kept})
        head = pickled(scorers.load_file(folder / "head.safetensors"))
        running.add(HEAD_REPO, {"openai-clip_aesthetic-predictor.pt": head})
        yield running


@pytest.fixture
def limner(tmp_path: Path, server: HubServer) -> Limner:
    return limner_in(tmp_path / "home")


def at(hub: HubServer, repo: str, commit: str, files: dict[str, bytes]) -> None:
    """A repo whose commit is the one that a card names."""
    made = hub.add(repo, files)
    made.commit = commit
    hub.commits[repo, commit] = made


def pickled(state: object) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def test_a_pickle_is_fetched_converted_and_scores_as_the_safetensors(
    limner: Limner, folder: Path, tmp_path: Path
) -> None:
    assert ClipB32().missing() == "limner metrics pull clip-b32"
    result = limner("metrics", "pull", "clip-b32")
    assert result.exit_code == 0, result.stderr
    assert "MIT" in result.stderr
    assert "a pickle, converted" in result.stderr
    assert ClipB32().missing() is None
    (ours,) = ClipB32().score(scorers.pictures(1), ["a fox"], ScoreCache(None))
    (theirs,) = ClipB32(folder).score(scorers.pictures(1), ["a fox"], ScoreCache(None))
    assert ours.value == theirs.value
    assert ours.revision == ClipB32.card.revision != theirs.revision
    Image.fromarray(scorers.pictures(1)[0]).save(tmp_path / "one.png")
    told = said(limner("score", str(tmp_path / "one.png"), "--metric", "clip-b32", "--text", "a fox", "--json"))
    assert isinstance(told, dict)
    assert told["pictures"][0]["scores"][0]["value"] == pytest.approx(ours.value)
    again = limner("metrics", "pull", "clip-b32")
    assert "all were here" in again.stdout
    state = said(limner("metrics", "show", "clip-b32", "--json"))
    assert isinstance(state, dict)
    assert state["here"] is True

    path = ClipB32.package.files[0].converted(Settings.load())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CorruptFile, match="hashes differ"):
        ClipB32().score(scorers.pictures(1), ["a fox"], ScoreCache(None))
    assert ClipB32().missing() is not None


def test_a_pickle_that_wants_code_is_refused_and_nothing_is_left(limner: Limner, server: HubServer) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("run",))

    server.repos[B32[0]].files["pytorch_model.bin"] = pickled({"x": Evil()})
    assert_refused(limner("metrics", "pull", "clip-b32"), 3, "pytorch_model.bin", "print")
    assert ClipB32().missing() is not None


def test_pull_is_refused_offline(limner: Limner, server: HubServer) -> None:
    offline = limner_in(Path(str(Settings.load().home)), LIMNER_OFFLINE="1")
    assert_refused(offline("metrics", "pull", "clip-b32"), 3, "forbidden")
    assert not server.requests


def test_a_head_that_is_not_the_published_one_is_refused(limner: Limner, folder: Path, tmp_path: Path) -> None:
    """Its repo is a copy: what it must be is pinned by the original's hash."""
    assert_refused(limner("metrics", "pull", "aesthetic"), 3, "not the file that was published", "--from")
    other = tmp_path / "other.pth"
    other.write_bytes(pickled({}))
    assert_refused(
        limner("metrics", "pull", "aesthetic", "--from", str(other)), 2, "none of the pickles", aesthetic.HEAD
    )


def test_a_downloaded_head_is_known_by_its_hash(
    limner: Limner, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "any name.pth"
    mine.write_bytes(pickled(scorers.load_file(folder / "head.safetensors")))
    package = aesthetic.Aesthetic.package
    head = package.files[-1]
    pinned = type(head)(head.repo, head.commit, head.name, head.saved, tagged(mine.read_bytes()).partition(":")[2])
    monkeypatch.setattr(
        aesthetic.Aesthetic, "package", type(package)("aesthetic", (*package.files[:-1], pinned), package.optional)
    )
    result = limner("metrics", "pull", "aesthetic", "--from", str(mine))
    assert result.exit_code == 0, result.stderr
    (score,) = aesthetic.Aesthetic().score(scorers.pictures(1), [""], ScoreCache(None))
    (same,) = aesthetic.Aesthetic(folder).score(scorers.pictures(1), [""], ScoreCache(None))
    assert score.value == pytest.approx(same.value)
    found = said(limner("metrics", "selftest", "aesthetic", "--json"))
    assert isinstance(found, list)
    assert [each["status"] for each in found] == ["passed"]
    assert "random weights only" in limner("metrics", "show", "aesthetic").stdout, "no score was compared"


def test_list_says_what_each_needs_and_who_is_kin(limner: Limner) -> None:
    text = limner("metrics").stdout
    rows = {line.split()[0]: line for line in text.splitlines() if line.split()}
    assert "607 MB to fetch" in rows["clip-b32"]
    assert "within one text" in rows["pickscore"]
    assert "Apache-2.0" in rows["imagereward"]
    assert "not independent of one another: hps, pickscore" in text
    assert "not independent of one another: atoms, vqascore" in text
    judges = said(limner("metrics", "list", "--may-judge", "pickscore", "--json"))
    assert isinstance(judges, list)
    names = {each["name"] for each in judges}
    assert {"imagereward", "vqascore", "clip-l14"} <= names
    assert not {"hps", "pickscore"} & names
    assert_refused(limner("metrics", "list", "--may-judge", "pikscore"), 2, "pickscore")


def test_show_says_what_is_shared(limner: Limner) -> None:
    text = limner("metrics", "show", "hps").stdout
    assert "pickscore: CLIP ViT-H/14 (LAION-2B), LAION-2B" in text
    assert "77 tokens" in text
    assert "limner metrics pull hps" in text
    assert_refused(limner("metrics", "show", "hpz"), 2, "hps")


def test_selftest_says_what_it_could_not_run(limner: Limner) -> None:
    result = limner("metrics", "selftest", "imagereward", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)[0]["said"] == "its weights are not here: limner metrics pull imagereward"
    assert_refused(limner("metrics", "selftest", "clap"), 2, "clip")


class Here(PickScore):
    """The metric with weights of a folder, as if they had been fetched."""

    def missing(self) -> None:
        return None


def outcome(folder: Path, pictures: Path | None, published: float, doubt: str = "") -> selftest.Outcome:
    anchor = Anchor("pickscore", "a/b", ("example/one.png", "two.png"), ("a fox", "a dog"), (published,), doubt)
    before, selftest.ANCHORS = selftest.ANCHORS, (anchor,)
    try:
        (found,) = selftest.run(Here(folder), pictures, Settings.load())
    finally:
        selftest.ANCHORS = before
    return found


def test_selftest_compares_means_within_one_percent(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "example").mkdir()
    one, two = scorers.pictures(2)
    Image.fromarray(one).save(tmp_path / "example" / "one.png")
    lacking = outcome(folder, tmp_path, 1.0)
    assert lacking.status == "not run"
    assert "clone github.com/a/b" in lacking.said
    Image.fromarray(two).save(tmp_path / "two.png")
    scores = PickScore(folder).score([one, two], ["a fox", "a dog"], ScoreCache(None))
    true = float(np.mean([score.value for score in scores]))
    assert outcome(folder, tmp_path, true * 1.009).status == "passed"
    assert outcome(folder, tmp_path, true * 1.02).status == "differs"
    assert outcome(folder, tmp_path, true * 1.02, "nobody knows").status == "not run"
    assert outcome(folder, None, true).status == "not run"


def test_a_metric_that_passed_is_verified_until_its_revision_changes(limner: Limner, folder: Path) -> None:
    settings, metric = Settings.load(), ClipB32()
    passed = selftest.Outcome("clip-b32", "passed", "", published=True)
    selftest.remember(metric, [passed], settings)
    assert "published numbers (20" in limner("metrics", "show", "clip-b32").stdout
    assert selftest.verified(ClipB32(folder).card, settings) == "weights of a folder"
    assert selftest.verified(metric.card.model_copy(update={"revision": "2"}), settings) == "random weights only"
    selftest.remember(metric, [passed, selftest.Outcome("clip-b32", "differs", "")], settings)
    assert "random weights only" in limner("metrics", "show", "clip-b32").stdout


def test_the_published_anchors_are_whole() -> None:
    for anchor in selftest.ANCHORS:
        assert len(anchor.published) in (1, len(anchor.texts))
        assert len(anchor.pictures) >= len(anchor.texts)
    assert {anchor.metric for anchor in selftest.ANCHORS} == {"clip-b32", "hps", "imagereward"}


def test_listing_loads_no_torch(tmp_path: Path) -> None:
    told = (
        "import sys; from limner.cli.main import cli\n"
        "try: cli.main(['metrics', 'list'])\n"
        "except SystemExit as end: assert not end.code\n"
        "sys.exit(', '.join({'torch', 'transformers', 'diffusers'} & set(sys.modules)) or 0)"
    )
    home = {"LIMNER_HOME": str(tmp_path), "PATH": "", "HF_HUB_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, env=home, check=False)
    assert done.returncode == 0, done.stderr
