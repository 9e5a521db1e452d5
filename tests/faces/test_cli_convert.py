from __future__ import annotations

from pathlib import Path

from tests.dalle import FIXTURES
from tests.faces.calling import assert_refused, limner_in


def test_convert_then_draw(tmp_path: Path) -> None:
    limner, out = limner_in(tmp_path / "home"), tmp_path / "converted"
    done = limner("models", "convert", str(FIXTURES), str(out))
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(out)
    drawn = limner("draw", "a red fox", "-m", str(out), "--seed", "3", "--top-k", "5", "--temperature", "0.7")
    assert drawn.exit_code == 0, drawn.stderr
    assert Path(drawn.stdout.strip()).is_file()
    assert_refused(limner("models", "convert", str(FIXTURES), str(out)), 2, "exists")


def test_what_cannot_be_honoured_is_an_error_with_a_hint(tmp_path: Path) -> None:
    limner = limner_in(tmp_path / "home")
    assert_refused(limner("draw", "a red fox", "-m", str(FIXTURES), "--steps", "5"), 2, "steps")
    assert_refused(limner("draw", "a red fox", "--top-p", "0.5"), 2, "top_p")
