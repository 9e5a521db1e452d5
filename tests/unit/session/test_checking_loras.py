"""What a LoRA's file says that it is called by is looked at, whatever the file is named. Nothing is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from limner import Request, Session
from limner.config import Settings
from limner.errors import Refused
from limner.models.adapters.called import called
from tests.builtin import WIDEST


@pytest.fixture
def loras(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "loras"
    folder.mkdir(parents=True)
    return folder


def write(path: Path, **metadata: str) -> Path:
    layer = "lora_unet_mid_block_resnets_0_conv1"
    down, up = torch.zeros(4, WIDEST, 3, 3), torch.zeros(WIDEST, 4, 1, 1)
    save_file({f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}, path, metadata=metadata or None)
    return path


def test_what_a_file_says(loras: Path) -> None:
    said = {
        "modelspec.title": "Ink",
        "ss_output_name": "ink_v2",
        "modelspec.trigger_phrase": " inkwash ",
        "ss_steps": "9",
    }
    assert called(write(loras / "a.safetensors", **said)) == ("inkwash", "Ink", "ink_v2")
    assert called(write(loras / "b.safetensors")) == ()
    assert called(write(loras / "c.safetensors", **{"modelspec.title": "None"})) == ()


@pytest.mark.parametrize("key", ["modelspec.trigger_phrase", "modelspec.title", "ss_output_name"])
def test_a_harmless_name_hides_nothing(tmp_path: Path, loras: Path, key: str) -> None:
    write(loras / "flowers.safetensors", **{key: "NudeWoman"})
    write(loras / "clouds.safetensors", **{key: "inkwash clouds"})
    with Session(settings=Settings.load(tmp_path, {}), keep=False, offline=True) as session:
        session.plan(Request.of(prompt="a garden", loras=("clouds",)))
        with pytest.raises(Refused) as caught:
            session.plan(Request.of(prompt="a garden", loras=("flowers",)))
    assert caught.value.category == "sexual"
    assert "names of adapters" in str(caught.value)
