"""The lock: written, read, kept to."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.config import Settings
from limner.errors import ConfigError, MismatchedWeights
from limner.models.catalog import Catalog
from limner.models.links.lock import Lock, in_force, refuse_other
from limner.models.resolving.resolve import resolve
from limner.types import Adapter, ModelRef
from tests.unit.models import tiny

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
COMMIT, OTHER = "1" * 40, "2" * 40
SDXL = ModelRef(name="sdxl", family="sdxl", repo="org/xl", commit=COMMIT, files={"unet/w.safetensors": A, "v.json": B})
FILE = ModelRef(name="~/models/mine.safetensors", family="sd", files={"mine.safetensors": A})

names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
refs = st.builds(
    ModelRef,
    name=names,
    family=st.sampled_from(["sd", "sdxl"]),
    repo=st.none() | st.just("org/name"),
    commit=st.none() | st.just(COMMIT),
    files=st.dictionaries(names, st.sampled_from([A, B]), max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(found=st.lists(refs, max_size=4, unique_by=lambda ref: ref.name.casefold()))
def test_what_is_written_is_read_again(found: list[ModelRef], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("lock") / "limner.lock"
    Lock(tuple(found)).write(path)
    assert Lock.read(path).models == tuple(found)


def test_names_and_repos_are_pinned_to_the_locked_commit() -> None:
    lock = Lock((SDXL, FILE))
    assert lock.pin("sdxl") == lock.pin(" SDXL ").lower() == f"sdxl@{COMMIT}"
    assert lock.pin("org/xl") == f"org/xl@{COMMIT}"
    assert lock.pin("sd-xl", "org/xl") == f"sd-xl@{COMMIT}"  # an alias, whose repo the caller knows
    assert lock.pin("sdxl@main") == "sdxl@main"
    assert lock.pin("sd15") == "sd15"
    assert lock.pin(FILE.name) == FILE.name  # no commit: its bytes are checked all the same


def test_other_weights_are_refused_and_the_difference_is_said() -> None:
    lock = Lock((SDXL,))
    lock.check(SDXL)
    lock.check(FILE)
    lock.check(SDXL.model_copy(update={"name": "org/xl", "files": dict(SDXL.files)}))
    other = SDXL.model_copy(update={"commit": OTHER, "files": {"unet/w.safetensors": B, "new.json": "sha256:c"}})
    with pytest.raises(MismatchedWeights) as caught:
        lock.check(other)
    for word in ("limner.lock", COMMIT[:10], OTHER[:10], "unet/w.safetensors", "missing v.json", "besides new.json"):
        assert word in caught.value.message
    assert "limner models lock sdxl" in caught.value.hint


def test_the_same_bytes_under_other_names_are_the_same_weights() -> None:
    moved = SDXL.model_copy(update={"files": {"x": A, "y": B}})
    refuse_other(SDXL, moved, what="the picture", hint="")


def test_locking_again_replaces_and_keeps_the_rest() -> None:
    new = SDXL.model_copy(update={"commit": OTHER})
    assert Lock((SDXL, FILE)).having([new]).models == (new, FILE)
    assert Lock((FILE,)).having([new]).models == (FILE, new)


@pytest.mark.parametrize(
    "text",
    ["", "version = 2", "[", "version = 1\n[[model]]\nname = 3", "version = 1\nmodel = 5", "version = 1\nmodel = [4]"],
)
def test_what_is_no_lock_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "limner.lock"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"limner\.lock"):
        Lock.read(path)
    with pytest.raises(ConfigError, match="there is no lock"):
        Lock.read(tmp_path / "other.lock")


def locked(tmp_path: Path, **more: str) -> Settings:
    folder = tmp_path / "home"
    return Settings.load(folder, {"LIMNER_HOME": str(folder), **more})


def test_which_lock_is_in_force(tmp_path: Path) -> None:
    settings = locked(tmp_path)
    assert in_force(settings) is None
    Lock((SDXL,)).write(settings.home / "limner.lock")
    found = in_force(settings)
    assert found is not None
    assert found.models == (SDXL,)
    Lock((FILE,)).write(tmp_path / "mine.lock")
    by_variable = in_force(locked(tmp_path, LIMNER_LOCK=str(tmp_path / "mine.lock")))
    by_option = in_force(settings.locked_by(tmp_path / "mine.lock"))
    assert by_variable is not None
    assert by_option is not None
    assert by_variable.models == by_option.models == (FILE,)
    with pytest.raises(ConfigError, match="there is no lock"):
        in_force(settings.locked_by(tmp_path / "none.lock"))


def test_resolving_keeps_to_the_lock(tmp_path: Path) -> None:
    settings, catalog = locked(tmp_path), Catalog.load()
    pocket = resolve("pocket", settings, catalog).ref
    folder = tiny.write(tmp_path / "mine", tiny.files())
    mine = resolve(str(folder), settings, catalog).ref
    Lock((pocket, mine)).write(settings.home / "limner.lock")
    assert resolve("pocket", settings, catalog).ref == pocket
    (folder / "unet/diffusion_pytorch_model.safetensors").write_bytes(tiny.safetensors(77))
    with pytest.raises(MismatchedWeights, match="other bytes in unet"):
        resolve(str(folder), settings, catalog)
    again = resolve(str(folder), settings, catalog, lock=Lock()).ref
    Lock.read(settings.home / "limner.lock").having([again]).write(settings.home / "limner.lock")
    assert resolve(str(folder), settings, catalog).ref == again


def test_a_lora_is_locked_by_its_bytes_under_any_way_to_write_its_name() -> None:
    lora = ModelRef(name="Detail Tweaker", family="lora", files={"Detail Tweaker.safetensors": A})
    lock = Lock((SDXL, lora))
    for name in ("detail tweaker", "sub/Detail Tweaker.safetensors", "Detail Tweaker [0a1b2c3d4e]"):
        lock.check_adapters([Adapter(kind="lora", name=name, hash=A)])
        with pytest.raises(MismatchedWeights, match=r"not the lora of limner\.lock"):
            lock.check_adapters([Adapter(kind="lora", name=name, hash=B)])
    lock.check_adapters([Adapter(kind="vae", name="detail tweaker", hash=B), Adapter(kind="lora", name="x", hash=B)])
    assert lock.find("Detail Tweaker") is None
    twin = lora.model_copy(update={"family": "embedding"})
    assert len(lock.having([twin]).models) == 3
