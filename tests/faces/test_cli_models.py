from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from limner.cli import models, models_show
from limner.models import state as models_state
from limner.models.catalog import Card, Catalog
from limner.models.machine import Machine
from tests.faces.calling import Limner, assert_refused, limner_in, said

POCKET = Catalog.load().get("pocket")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def machine(ram: int = 16 * 10**9, **more: object) -> Machine:
    """A plain machine without GPU or native bfloat16, changed as told."""
    plain = Machine(
        os="Linux",
        arch="x86_64",
        cpu="Test CPU",
        cores=4,
        flags=frozenset({"avx2"}),
        ram_total=ram,
        ram_available=ram,
        torch_version="2.13.0",
        torch_cuda="",
        python="3.11.7",
        platform="Linux-test",
    )
    return replace(plain, **more)  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def limner(home: Path) -> Limner:
    return limner_in(home)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    """Let the commands believe they run on another machine."""

    def believe(faked: Machine) -> None:
        for module in (models, models_show):
            monkeypatch.setattr(module, "probe", lambda: faked)

    return believe


def in_cache(home: Path, repo: str, *, without: str = "") -> Path:
    """The built-in model's files as the hub's cache holds a repo."""
    root = home / "hub" / ("models--" + repo.replace("/", "--"))
    folder = root / "snapshots" / COMMIT
    shutil.copytree(POCKET.asset_path(), folder, ignore=shutil.ignore_patterns(without) if without else None)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    return folder


def by_name(limner: Limner, *args: str) -> dict[str, dict[str, object]]:
    found = said(limner("models", "list", "--json", *args))
    assert isinstance(found, list)
    return {each["name"]: each for each in found}


def test_models_alone_lists_every_card_with_its_terms(limner: Limner) -> None:
    result = limner("models")
    assert result.exit_code == 0
    for card in Catalog.load().cards:
        assert card.name in result.stdout
        assert card.licence in result.stdout
        assert card.restrictions in result.stdout
    assert "built in" in result.stdout
    assert "default: pocket" in result.stderr
    assert limner("models", "list").stdout == result.stdout


def test_list_says_what_is_to_be_fetched(limner: Limner) -> None:
    found = by_name(limner)
    assert (found["pocket"]["here"], found["pocket"]["fetch_bytes"]) == (True, 0)
    assert (found["sd15"]["here"], found["sd15"]["fetch_bytes"]) == (False, Catalog.load().get("sd15").size_bytes)
    assert "4.3 GB" in limner("models").stdout


def test_fits_leaves_out_what_this_machine_cannot_hold(limner: Limner, on: Callable[[Machine], None]) -> None:
    on(machine(ram=2 * 10**9))
    assert list(by_name(limner, "--fits")) == ["pocket", "pocket-turbo", "pocket-dalle"]
    result = limner("models", "list", "--fits")
    assert "sd15" not in result.stdout
    others = len(Catalog.load().cards) - 3
    assert f"{others} more do not fit" in result.stderr
    sd15 = by_name(limner)["sd15"]["fit"]
    assert isinstance(sd15, dict)
    assert sd15["ok"] is False
    assert "usable of 2.0 GB" in sd15["reason"]


def test_half_precision_needs_half_the_memory() -> None:
    sd15 = Catalog.load().get("sd15")
    in_float32 = models_state.memory_needed(sd15, "float32")
    in_half = models_state.memory_needed(sd15, "float16")
    assert in_float32 is not None
    assert in_half is not None
    assert sd15.size_bytes is not None
    assert in_float32 > sd15.size_bytes
    assert in_half * 2 - in_float32 == pytest.approx(models_state.RUNTIME, abs=1)


def test_a_cards_own_figure_of_memory_wins_and_nothing_is_guessed() -> None:
    measured = Card(name="x", title="x", family="sd", repo="a/b", size_bytes=10**9, memory_bytes=3 * 10**9)
    assert models_state.memory_needed(measured, "float16") == 3 * 10**9
    unknown = Card(name="x", title="x", family="sd", repo="a/b")
    assert models_state.memory_needed(unknown, "float16") is None
    found = models_state.state(unknown, machine())
    assert (found.fit, found.fetch) == (None, None)


def test_a_model_in_the_hubs_cache_is_here(limner: Limner, home: Path) -> None:
    in_cache(home, "stable-diffusion-v1-5/stable-diffusion-v1-5")
    found = by_name(limner)
    assert found["sd15"]["here"] is True
    assert found["sd21"]["here"] is False
    assert "fetched" in limner("models", "show", "sd1.5").stdout


def test_a_download_that_was_cut_is_not_here_and_counts_what_it_left(limner: Limner, home: Path) -> None:
    in_cache(home, "stable-diffusion-v1-5/stable-diffusion-v1-5", without="vae")
    sd15 = by_name(limner)["sd15"]
    assert sd15["here"] is False
    size = Catalog.load().get("sd15").size_bytes
    assert size is not None
    assert isinstance(sd15["fetch_bytes"], int)
    assert 0 < size - sd15["fetch_bytes"] < 50_000_000


def test_a_folder_without_its_index_is_not_here(limner: Limner, home: Path) -> None:
    in_cache(home, "stable-diffusion-v1-5/stable-diffusion-v1-5", without="model_index.json")
    assert by_name(limner)["sd15"]["here"] is False


def test_show_tells_the_card_and_the_machine(limner: Limner, on: Callable[[Machine], None]) -> None:
    on(machine())
    text = limner("models", "show", "SD-1.5").stdout
    card = Catalog.load().get("sd15")
    for words in (
        card.title,
        card.licence,
        card.restrictions,
        "512x512",
        "7.5",
        "random weights only",
        "4.3 GB to fetch",
    ):
        assert words in text, words
    assert "float32: this CPU has no native bfloat16" in text
    assert "usable of 16.0 GB" in text


def test_show_takes_a_folder_and_a_cached_repo(limner: Limner, home: Path) -> None:
    text = limner("models", "show", str(POCKET.asset_path())).stdout
    assert f"{POCKET.width}x{POCKET.height}" in text
    assert "never checked" in text
    in_cache(home, "someone/their-model")
    found = said(limner("models", "show", "someone/their-model", "--json"))
    assert isinstance(found, dict)
    assert (found["here"], found["repo"], found["licence"]) == (True, "someone/their-model", "not known")


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("sd16", 2, "did you mean sd"),
        ("nobody/has-this", 3, "not on this machine"),
        ("./nowhere", 3, "nowhere"),
        ("", 2, "no model"),
        ("a b", 2, "'a b'"),
    ],
)
def test_unknown_models(limner: Limner, name: str, code: int, word: str) -> None:
    assert_refused(limner("models", "show", name), code, word)


def test_a_pickle_is_refused(limner: Limner, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(b"PK\x03\x04 whatever")
    assert_refused(limner("models", "show", str(path)), 3, "model.ckpt")


def test_the_users_default_is_named(limner: Limner, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text('[defaults]\nmodel = "sd15"\n')
    assert "default: sd15" in limner("models").stderr
