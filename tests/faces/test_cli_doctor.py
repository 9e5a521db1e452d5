from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from limner.cli import doctor, doctor_checks
from limner.errors import StorageError
from limner.models.machine import Gpu, Machine
from tests.faces import pictures
from tests.faces.calling import Limner, limner_in, said
from tests.faces.test_cli_models import machine

T4 = Gpu(index=0, name="Tesla T4", memory=16 * 10**9, capability=(7, 5), driver="550", free=15 * 10**9)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def limner(home: Path) -> Limner:
    return limner_in(home)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    return lambda faked: monkeypatch.setattr(doctor, "probe", lambda: faked)


def checkup(limner: Limner) -> Mapping[str, object]:
    found = said(limner("doctor", "--json"))
    assert isinstance(found, dict)
    return found


def test_a_sound_machine_exits_zero_and_makes_nothing(limner: Limner, home: Path) -> None:
    result = limner("doctor")
    assert result.exit_code == 0, result.output
    for words in ("machine", "what will run", "libraries", "torch", "folders", "pocket", str(home), "no pictures yet"):
        assert words in result.stdout, words
    assert "everything Limner needs is there" in result.stdout
    assert not home.exists()


def test_the_choice_of_numbers_is_explained(limner: Limner, on: Callable[[Machine], None]) -> None:
    on(machine(gpus=(T4,), torch_cuda="12.8"))
    found = checkup(limner)
    assert (found["device"], found["dtype"]) == ("cuda:0", "float16")
    assert "only emulates bfloat16" in str(found["dtype_reason"])
    assert "Tesla T4, 15 GB free of 16 GB, compute capability 7.5, driver 550" in limner("doctor").stdout
    on(machine(flags=frozenset({"avx512_bf16"})))
    assert checkup(limner)["dtype"] == "bfloat16"


def test_a_gpu_that_torch_cannot_use_is_a_note_with_a_remedy(limner: Limner, on: Callable[[Machine], None]) -> None:
    on(machine(gpus=(T4,)))
    result = limner("doctor")
    assert result.exit_code == 0
    assert "note: Tesla T4 is not used" in result.stdout
    assert "install a CUDA build" in result.stdout
    assert checkup(limner)["device"] == "cpu"


@pytest.mark.parametrize(("more", "word"), [({"mps": True, "os": "Darwin"}, "mps"), ({"os": "Windows"}, "Windows")])
def test_what_nobody_has_run_is_marked(
    limner: Limner, on: Callable[[Machine], None], more: dict[str, object], word: str
) -> None:
    on(replace(machine(), **more))  # type: ignore[arg-type]
    text = limner("doctor").stdout
    assert any("untested" in line and word in line for line in text.splitlines()), text


def test_what_does_not_fit_is_said_with_figures(limner: Limner, on: Callable[[Machine], None]) -> None:
    on(machine(ram=10**9))
    line = next(line for line in limner("doctor").stdout.splitlines() if line.strip().startswith("sd15"))
    assert "does not fit" in line
    assert "usable of 1.0 GB" in line


def test_pictures_are_counted(limner: Limner, home: Path) -> None:
    pictures.fill(home / "library")
    assert "3 pictures" in limner("doctor").stdout
    assert checkup(limner)["pictures"] == 3


def broken(limner: Limner, *words: str) -> None:
    """Exit 1, the fault and what to do on stdout, and the rest of the checkup all the same."""
    result = limner("doctor")
    assert result.exit_code == 1, result.output
    assert "BROKEN" in result.stdout
    assert "everything" not in result.stdout
    assert "what will run" in result.stdout
    for word in words:
        assert word in result.stdout, word


def test_a_damaged_library_is_broken(limner: Limner, home: Path) -> None:
    (home / "library").mkdir(parents=True)
    (home / "library" / "limner.db").write_bytes(b"no database at all " * 300)
    broken(limner, "damaged")


def test_wrong_settings_are_broken(limner: Limner, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[default]\n")
    broken(limner, "config.toml", "did you mean defaults")


def test_a_library_nobody_can_write_is_broken(limner: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise StorageError(f"{folder} cannot be written: read-only file system")

    monkeypatch.setattr(doctor_checks, "check_writable", refuse)
    broken(limner, "NOT WRITABLE", "read-only file system", "set LIMNER_HOME")


def test_a_library_folder_in_a_files_way_is_broken(home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file where the home should be")
    broken(limner_in(home), "is not a folder", "LIMNER_HOME")


def test_a_missing_and_an_old_library_are_broken(limner: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "requirements", lambda: {"numpy": "9999.1", "no-such-package": "1.0"})
    broken(limner, 'install "numpy>=9999.1"', "no-such-package is not installed")


def test_a_missing_built_in_model_is_broken(limner: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.models.state.is_here", lambda card: False)
    broken(limner, "files of the built-in model pocket are missing", "install Limner again")


def test_little_disk_is_a_note_and_none_is_broken(limner: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk(free: int) -> None:
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr("limner.cli.doctor_checks.shutil.disk_usage", lambda _: usage)

    disk(10**9)
    result = limner("doctor")
    assert result.exit_code == 0
    assert "note: 1.0 GB are free for the hub's models" in result.stdout
    disk(10**6)
    broken(limner, "1.0 MB are free for the library", "make room")


def test_offline_and_why(home: Path) -> None:
    limner = limner_in(home, LIMNER_OFFLINE="1")
    assert "forbidden (environment LIMNER_OFFLINE)" in limner("doctor").stdout
    assert checkup(limner)["offline"] is True


def test_requirements_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["torch>=2.10", "pillow>=11", 'ray>=2.52; extra == "ray"', "click"]
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    assert doctor_checks.requirements() == {"torch": "2.10", "pillow": "11", "click": ""}


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("2.9.1", "2.10", True),
        ("2.10", "2.10", False),
        ("2.13.0+cpu", "2.10", False),
        ("3", "2.10", False),
        ("2.10.0rc1", "2.10", False),
        ("11.0", "11", False),
        ("11", "11.0", False),
        ("11", "11.0.1", True),
    ],
)
def test_versions_compare_as_numbers(version: str, wanted: str, expected: bool) -> None:
    assert doctor_checks.old(version, wanted) is expected


def test_full_measures_with_torch(limner: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    speed = pytest.importorskip("limner.models.speed")
    monkeypatch.setattr(speed.matmul, "__kwdefaults__", {"side": 32, "min_s": 0.01})
    found = said(limner("doctor", "--full", "--json"))
    assert isinstance(found, dict)
    measured = {each["dtype"]: each["tflops"] for each in found["measured"]}
    assert set(measured) == {"float32", found["dtype"]}
    assert all(tflops > 0 for tflops in measured.values())


def test_full_tells_of_a_torch_that_cannot_be_loaded(limner: Limner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "limner.models.speed", None)
    result = limner("doctor", "--full")
    assert result.exit_code == 1
    assert "BROKEN: torch cannot be loaded" in result.stdout


def test_full_tells_of_a_device_that_does_not_compute(limner: Limner, on: Callable[[Machine], None]) -> None:
    on(machine(gpus=(Gpu(index=99, name="Ghost", memory=10**9, capability=(9, 0)),), torch_cuda="12.8"))
    result = limner("doctor", "--full")
    assert result.exit_code == 1
    assert "torch cannot compute on cuda:99" in result.stdout


def test_each_library_is_listed_once() -> None:
    names = [library.name for library in doctor_checks.libraries()]
    assert len(names) == len(set(names))
    assert "textual-image" in names
