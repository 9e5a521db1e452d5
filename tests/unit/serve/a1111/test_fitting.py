"""What the web UI's clients always send, brought to models that are none of its own; and the reading of bodies."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner.config import Settings
from limner.errors import InvalidRequest, LimnerError, UnsupportedField
from limner.models.catalog import Catalog
from limner.prompts.expand import expand
from limner.serve.a1111.asking import _literal, draft
from limner.serve.a1111.bodies import Img2Img, Txt2Img
from limner.serve.a1111.fitting import Fitted, fitted
from limner.serve.a1111.settings import Kept
from limner.serve.a1111.state import Task
from limner.serve.jobs import Tiding
from limner.types import Request

EVERYTHING = {
    **{"negative": "dull", "steps": 4, "guidance": 7.0, "solver": "euler-a", "schedule": "exponential"},
    **{"compat": "a1111", "noise_source": "philox", "width": 512, "height": 512, "seed": 3, "clip_skip": 2},
}


def fit(home: Path, model: str, **fields: object) -> Fitted:
    session = SimpleNamespace(catalog=Catalog.load(), offline=True)
    own: Any = SimpleNamespace(settings=Settings.load(home, env={}), session=session)
    return fitted(own, Request.of(prompt="a fox", model=model, **{**EVERYTHING, **fields}), resample=True)


def test_a_model_of_the_web_uis_own_draws_all_of_it(tmp_path: Path) -> None:
    for model in ("sd15", "sdxl"):
        found = fit(tmp_path, model)
        assert found.notices == ()
        assert found.answered is None
        assert found.request.schedule == "exponential"


def test_another_draws_what_it_can_and_says_the_rest(tmp_path: Path) -> None:
    found = fit(tmp_path, "flux-schnell")
    assert found.request.model_fields_set == {"prompt", "model", "steps", "guidance", "width", "height", "seed"}
    told = " ".join(each.message for each in found.notices)
    for each in ("'solver'", "'negative'", "'clip_skip'", "its own rules"):
        assert each in told


def test_a_model_of_one_size_is_resampled(tmp_path: Path) -> None:
    found = fit(tmp_path, "dalle-mini")
    assert (found.request.width, found.answered) == (None, (512, 512))
    assert "drawn at 256x256 and resampled" in found.notices[-1].message
    assert fit(tmp_path, "dalle-mini", width=256, height=256).answered is None


def test_a_size_up_to_four_times_the_models_is_drawn_as_it_is(tmp_path: Path) -> None:
    assert fit(tmp_path, "sd15", width=1024, height=1024).answered is None
    far = fit(tmp_path, "sd15", width=2048, height=1024, hires=1.5)
    assert far.answered == (3072, 1536)
    assert (far.request.width, far.request.height, far.request.hires) == (704, 384, 1.5)


def test_nobody_asks_for_a_picture_that_fills_the_memory(tmp_path: Path) -> None:
    for fields in ({"width": 8192, "height": 8192}, {"width": 1024, "height": 1024, "hires": 8.0}, {"n": 900}):
        with pytest.raises(InvalidRequest, match="too large"):
            fit(tmp_path, "pocket", **fields)


def test_a_start_picture_is_never_left_out(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedField, match="init"):
        fit(tmp_path, "dalle-mini", init=f"sha256:{'0' * 64}")


@given(st.text(alphabet="a{}|_\\ ()[]:,0$", max_size=30))
def test_no_prompt_is_expanded(prompt: str) -> None:
    import random

    taken = expand(_literal(prompt), random.Random(0))
    for mark in "{}":  # a backslash before one is left out, as by the web UI
        assert taken.count(mark) == prompt.count(mark)
    assert taken.replace("\\", "") == prompt.replace("\\", "")


def test_progress_counts_pictures_and_steps() -> None:
    task = Task("txt2img", 2, "x")
    assert task.progress == 0.01
    task.heard(Tiding(1, "j", "step", {"index": 0, "step": 5, "steps": 10}, b"preview"))
    assert (task.progress, task.current, task.preview) == (0.25, (5, 10), b"preview")
    task.heard(Tiding(2, "j", "made", {"index": 0, "picture": "p"}))
    assert (task.progress, task.current, task.preview) == (0.5, (0, 0), None)
    task.heard(Tiding(3, "j", "restarted", {"reason": "died"}))
    assert task.progress == 0.5


NASTY = st.sampled_from(
    ["", "0", "-1", "1e999", "nan", "x", "5", "0.5", "0x0", "99999x99999", "1024x1024", "512x", "Euler a", "Karras",
     "NV", "../../etc/passwd", "name [0123456789]", '"a, b"', "sha256:" + "0" * 64]
)  # fmt: skip
KEYS = st.sampled_from(
    ["Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model", "Model hash", "VAE", "VAE hash",
     "Denoising strength", "Hires upscale", "Hires resize", "Hires steps", "Hires upscaler", "Clip skip", "ENSD", "RNG",
     "Mask blur", "Lora hashes", "TI hashes", "Variation seed", "Variation seed strength", "Version", "width", "height",
     "init", "mask", "loras", "compat", "model", "hires", "prompt", "n"]
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, NASTY, max_size=8), st.booleans())
def test_no_infotext_breaks_it(tmp_path: Path, said: dict[str, str], over: bool) -> None:
    text = "a fox\n" + ", ".join(
        f"{key}: {value}" for key, value in {"Steps": "4", "Seed": "1", "ENSD": "0", **said}.items()
    )
    session = SimpleNamespace(catalog=Catalog.load(), offline=True)
    own: Any = SimpleNamespace(settings=Settings.load(tmp_path, env={}), session=session)
    body = Img2Img(infotext=text) if over else Txt2Img(infotext=text)
    with contextlib.suppress(LimnerError):
        drafted = draft(own, body, Kept(), {"init": f"sha256:{'1' * 64}"} if over else {})
        assert drafted.request.init in (None, f"sha256:{'1' * 64}")
        assert drafted.request.mask is None
