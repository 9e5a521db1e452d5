"""``limner refine``: what it says before and after, JSON, resume, votes, and what it refuses. Painted pictures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import limner.session
from limner import registry
from limner.session import Session
from limner.types import Pixels
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.unit.refine import painting
from tests.unit.refine.painting import Painter
from tests.unit.refine.refine_world import JUDGE, SEARCHER, SISTER, register

RealSession = limner.session.Session
WORDS = ("a", "fox", "in", "the", "snow")
BY = ("--strategy", "redder", "--scorer", SEARCHER, "--judge", JUDGE, "--budget", "20images")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    register(monkeypatch)
    backend = Painter()
    made: Callable[..., Session] = lambda **words: RealSession(backend=backend, **words)  # noqa: E731
    monkeypatch.setattr(limner.session, "Session", made)
    return backend


@pytest.fixture
def limner_(own_home: Path, painter: Painter) -> Limner:
    return limner_in(own_home)


def test_the_sentence_comes_first_then_the_evidence_the_lineage_and_the_pictures(limner_: Limner) -> None:
    result = limner_("refine", *WORDS, *BY)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"The rewrite is better than your prompt by {JUDGE}")
    assert "prompt: a fox in the snow -> red a fox in the snow" in result.stdout
    assert any(line.startswith("your words: a fox in the snow") for line in lines)
    assert any("(redder)" in line and "judged: better" in line for line in lines)
    assert "Draw with it: limner 'red a fox in the snow'" in result.stdout
    assert sum(line.endswith(".png") for line in lines) == 4
    assert "7 fresh seeds" in result.stderr
    assert "6 pictures to search, 14 for the verdict" in result.stderr


def test_what_is_fixed_is_said_before_the_first_picture(limner_: Limner, painter: Painter) -> None:
    painter.stop_after = 0
    result = limner_("refine", *WORDS, *BY)
    said_first = result.stderr.splitlines()
    assert said_first[0].startswith("search: 2 at 2 seeds (6 pictures), chosen by reds against your words")
    assert said_first[1].startswith("verdict: the best one on 7 fresh seeds (14 pictures), judged by warmth")


def test_json_holds_everything(limner_: Limner) -> None:
    found = said(limner_("refine", *WORDS, *BY, "--json"))
    assert isinstance(found, dict)
    assert found["outcome"] == "better"
    assert found["verified"] is True
    assert found["design"]["judges"] == [JUDGE]
    assert found["design"]["request"] == {"prompt": "a fox in the snow", "n": 1}
    assert len(found["shots"]) == 20
    assert all(Path(path).is_file() for path in found["pictures"])


def test_stopped_it_gives_the_best_so_far_not_verified_and_resumes(limner_: Limner, painter: Painter) -> None:
    painter.stop_after = 10
    stopped = limner_("refine", *WORDS, *BY)
    assert stopped.exit_code == 130
    assert stopped.stdout.startswith("Stopped, not verified: so far the best rewrite is")
    assert "limner refine --resume" in stopped.stdout
    painter.stop_after = None
    resumed = limner_("refine", "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.stdout.startswith("The rewrite is better")
    assert len(painter.painted) == 20
    assert_refused(limner_("refine", "--resume"), 2, "no refinement to go on with")
    assert_refused(limner_("refine", *WORDS, "--resume", "x"), 2, "both --resume and words")


def test_ctrl_c_with_the_last_picture_of_a_rewrite_stops_too(
    limner_: Limner, painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pictures of one rewrite are all made when it is heard, and the next ones are not begun."""
    paint = painting.paint

    def pressed(prompt: str, seed: int, guidance: float) -> Pixels:
        if len(painter.painted) == 4:
            signal.raise_signal(signal.SIGINT)
        return paint(prompt, seed, guidance)

    monkeypatch.setattr(painting, "paint", pressed)
    stopped = limner_("refine", *WORDS, *BY)
    assert stopped.exit_code == 130
    assert stopped.stdout.startswith("Stopped, not verified")
    assert len(painter.painted) == 4


def test_votes(limner_: Limner) -> None:
    """The numbers of the rewrites first, then a side for each of seven pairs."""
    words = [arg for arg in BY if arg not in ("--judge", JUDGE)]
    result = limner_("refine", *WORDS, *words, "--interactive", input="9\n2\n" + "l\nr\n\nx\nl\nr\nl\nr\n")
    assert result.exit_code == 0, result.stderr
    assert "numbers from 1 to 2" in result.stderr
    assert "pair 7 of 7" in result.stderr
    assert "your-votes" in result.stdout
    stopped = limner_("refine", *WORDS, *words, "--interactive", "--steps", "3", input="\nl\n")
    assert stopped.exit_code == 130
    assert "not verified" in stopped.stdout


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ((*WORDS, *BY, "--budget", "12"), 2, ("too small for a verdict", "--budget 20images")),
        ((*WORDS, *BY, "--budget", "lots"), 2, ("no budget",)),
        ((*WORDS, *BY, "--judge", SISTER), 8, ("share left eye",)),
        ((*WORDS, *BY, "--judge", "nobody"), 2, ("nobody",)),
        ((*WORDS, *BY, "--strategy", "weakest"), 2, ("weakest-atom",)),
        ((*WORDS, *BY, "--llm", "http://localhost:1/v1"), 2, ("no strategy asks",)),
        ((*WORDS, *BY, "--strategy", "opt2i"), 2, ("language model",)),
        ((), 2, ("prompt is empty",)),
        (("--resume", "nope"), 2, ("no refinement",)),
    ],
)
def test_refused_before_the_first_picture(
    args: tuple[str, ...], code: int, words: tuple[str, ...], limner_: Limner, painter: Painter
) -> None:
    assert_refused(limner_("refine", *args), code, *words)
    assert not painter.painted


def test_strategies_are_listed(limner_: Limner) -> None:
    listed = said(limner_("refine", "--strategies", "--json"))
    assert isinstance(listed, list)
    assert {each["name"] for each in listed} == set(registry.names("strategies"))


SLOW = """
import sys, time
import limner.session
from limner import registry
from limner.cli.main import cli
from tests.unit.refine import painting

world, real = "tests.unit.refine.refine_world", limner.session.Session
registry.BUILT_IN["metrics"] |= {"reds": f"{world}:Reds", "warmth": f"{world}:Warmth"}
registry.BUILT_IN["strategies"]["redder"] = f"{world}:Redder"
paint = painting.paint
painting.paint = lambda *how: time.sleep(0.1) or paint(*how)
limner.session.Session = lambda **words: real(backend=painting.Painter(), **words)
cli.main(sys.argv[1:])
"""


def test_killed_it_is_gone_on_with_and_nothing_is_drawn_twice(own_home: Path) -> None:
    """A real process, ended by SIGKILL in its middle."""
    env = {**os.environ, "LIMNER_HOME": str(own_home)}
    call = [sys.executable, "-c", SLOW, "refine"]
    running = subprocess.Popen(
        [*call, *WORDS, *BY], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    images = own_home / "library" / "images"
    while len(list(images.rglob("*.png"))) < 9 and running.poll() is None:
        time.sleep(0.02)
    running.kill()
    running.communicate()
    before = {path: path.stat().st_mtime_ns for path in images.rglob("*.png")}
    assert 9 <= len(before) < 20
    done = subprocess.run([*call, "--resume", "--json"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    after = {path: path.stat().st_mtime_ns for path in images.rglob("*.png")}
    assert before.items() <= after.items()
    assert len(after) == found["spent"]["search"] + found["spent"]["verdict"] == 20
