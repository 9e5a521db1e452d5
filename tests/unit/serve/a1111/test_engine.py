"""Once with the real worker and the built-in model: the web UI's API and the command draw the same pixels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import webuiapi

from limner.library.metadata import of_image, read
from limner.serve.crew import COMMAND
from tests.builtin import SIDE
from tests.serving import live


def test_the_same_settings_give_the_same_pixels_as_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.serving.WORKER", COMMAND)
    out = tmp_path / "out.png"
    words = ("a (red:1.3) fox in [summer:winter:0.5]", "--negative", "blurry", "--compat", "a1111", "--seed", "1234")
    rest = ("--solver", "Euler a", "--schedule", "karras", "--steps", "4", "--guidance", "6", "--clip-skip", "2")
    subprocess.run(
        [sys.executable, "-m", "limner", *words, *rest, "-o", str(out)],
        env={**os.environ, "LIMNER_HOME": str(tmp_path / "cli"), "HF_HUB_OFFLINE": "1"},
        check=True,
        capture_output=True,
    )
    with live(tmp_path / "home") as server:
        api = webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1")
        answer = api.txt2img(
            prompt=words[0], negative_prompt="blurry", seed=1234, sampler_name="Euler a", scheduler="Karras", steps=4,
            cfg_scale=6, width=SIDE, height=SIDE, override_settings={"CLIP_stop_at_last_layers": 2},
        )  # fmt: skip
        api.session.close()
    theirs, ours = of_image(answer.image).record, read(out).record
    assert theirs is not None
    assert ours is not None
    assert theirs.pixel_hash == ours.pixel_hash
    assert theirs.recipe == ours.recipe
