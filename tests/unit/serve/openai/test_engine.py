"""Once with the real worker and the built-in model."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from openai import OpenAI
from PIL import Image

from limner.serve.crew import COMMAND
from tests.builtin import SIDE
from tests.serving import live


def test_pocket_draws_for_openais_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.serving.WORKER", COMMAND)
    with (
        live(tmp_path) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client,
    ):
        answer = client.images.generate(prompt="a red fox", n=2, extra_body={"seed": 7, "steps": 4})
        assert answer.data is not None
        first, second = (Image.open(io.BytesIO(base64.b64decode(each.b64_json or ""))) for each in answer.data)
        assert first.size == (SIDE, SIDE)
        assert first.tobytes() != second.tobytes()
        size = f"{2 * SIDE}x{2 * SIDE}"
        again = client.images.generate(prompt="a red fox", size=size, extra_body={"seed": 7, "steps": 4})
        assert again.size == size
        events = list(
            client.images.generate(prompt="a red fox", stream=True, partial_images=1, extra_body={"steps": 12})
        )
        assert events[-1].type == "image_generation.completed"
