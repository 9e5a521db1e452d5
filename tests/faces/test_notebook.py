"""The notebook runs from top to bottom, offline on a CPU, and is kept without outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.faces.reading import FAST, ROOT

nbformat = pytest.importorskip("nbformat")

NOTEBOOK = ROOT / "notebooks" / "limner.ipynb"
STATIONS = ("Prompts", "Environment", "Model", "Generate", "Evaluate", "Refine")


@pytest.fixture
def cells() -> list[dict[str, object]]:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    nbformat.validate(nbformat.from_dict(notebook))
    found: list[dict[str, object]] = notebook["cells"]
    return found


def source(cell: dict[str, object]) -> str:
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)  # type: ignore[arg-type]  # a list of lines


def test_kept_without_outputs(cells: list[dict[str, object]]) -> None:
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


def test_six_stations_in_order_each_with_a_cell(cells: list[dict[str, object]]) -> None:
    stations: dict[str, int] = {}
    here = None
    for cell in cells:
        if cell["cell_type"] == "markdown" and (match := re.search(r"^## (?:\d (\w+))?", source(cell), re.MULTILINE)):
            here = match[1]
        elif cell["cell_type"] == "code" and here is not None:
            stations[here] = stations.get(here, 0) + 1
    assert tuple(stations) == STATIONS


def test_repository_is_named_once_and_torch_is_kept(cells: list[dict[str, object]]) -> None:
    text = "\n".join(map(source, cells))
    assert len(re.findall(r"https?://", text)) == 1
    assert "--constraint" in text
    assert "--upgrade" not in text


def test_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("peft")
    for name, value in FAST.items():
        monkeypatch.setenv(name, value)
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = {cell["id"]: cell.get("outputs", []) for cell in notebook.cells if cell.cell_type == "code"}
    for name in ("generate", "generate-steps", "generate-walk", "evaluate", "refine", "adapt-pictures", "adapt-show"):
        assert any("image/png" in output.get("data", {}) for output in shown[name]), f"{name} shows no picture"
    assert "cannot" in text_of(shown["prompts"]) or "does not know" in text_of(shown["prompts"])
    assert "subject" in text_of(shown["prompts-lint"])
    assert "identical" in text_of(shown["evaluate-replay"])
    assert re.search(r"^pocket-clip 0\.\d+ ", text_of(shown["evaluate-score"]))
    assert "over 8 seeds" in text_of(shown["evaluate"])
    assert "your words" in text_of(shown["refine"])
    assert "fidelity" in text_of(shown["adapt-show"])
    assert "report.html" in text_of(shown["adapt-show"])
    refusal, marks = text_of(shown["ethics-refusal"]), text_of(shown["ethics-inspect"])
    assert [line[:8] for line in refusal.splitlines() if line[0] != " "] == ["refused:", "passes: ", "passes: "]
    assert "category: sexual | rule: sexual.nudity | because of: nude" in refusal
    assert "what would pass: clothed people" in refusal
    assert all(mark in marks for mark in ("marks", "intact", "watermark", "trainedAlgorithmicMedia"))
    for name in ("evaluate-report", "refine-report"):
        assert any("<iframe" in output.get("data", {}).get("text/html", "") for output in shown[name]), name
    assert re.search(r"^\d+ pictures in ", text_of(shown["end"]))


def text_of(outputs: list[dict[str, str]]) -> str:
    return "".join(output.get("text", "") for output in outputs)
