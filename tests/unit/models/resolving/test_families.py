"""Families recognise what is theirs by evidence; custom code is refused before any is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar

import pytest

from limner import registry
from limner.errors import CorruptFile, ModelError, UnsafeFile
from limner.models.resolving import families
from limner.models.resolving.layout import SD, Layout, Part
from tests.unit.models.tiny import INDEX

XL = INDEX | {
    "_class_name": "StableDiffusionXLPipeline",
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
}


def test_the_surest_family_takes_it() -> None:
    assert families.recognise(INDEX, "tiny") == ("sd", SD)
    name, layout = families.recognise(XL, "tiny")
    assert name == "sdxl"
    assert layout.part("text_encoder_2") is not None
    refiner = XL | {"_class_name": "StableDiffusionXLImg2ImgPipeline", "text_encoder": [None, None]}
    name, layout = families.recognise(refiner, "tiny")
    assert name == "sdxl"
    assert layout.part("text_encoder") is None


class Special:
    """A family of another package: surer of some checkpoints than the built-in ones."""

    name: ClassVar[str] = "special"

    def recognise(self, index: Mapping[str, object]) -> float:
        return 2.0 if "special" in index else 0.0

    def layout(self, index: Mapping[str, object]) -> Layout:
        return Layout((Part("unet", "weights", "weights", "UNet2DConditionModel"),))

    def course(self) -> None: ...


def test_a_new_family_is_one_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN["families"], "special", f"{__name__}:Special")
    assert families.recognise(INDEX, "tiny")[0] == "sd"
    name, layout = families.recognise({**INDEX, "special": True}, "tiny")
    assert (name, [part.name for part in layout.parts]) == ("special", ["unet"])


@pytest.mark.parametrize(
    "change",
    [
        {"unet": ["my_unet", "MyUNet"]},
        {"unet": ["diffusers_modules.local", "UNet2DConditionModel"]},
        {"safety_checker": ["stable_diffusion", "Other"]},
        {"extra": ["os", "system"]},
        {"extra": ["diffusers", "a.b"]},
        {"_class_name": ["pipeline", "Mine"]},
        {"custom_pipeline": "someone/code"},
    ],
)
def test_custom_code_is_never_accepted(change: dict[str, object]) -> None:
    with pytest.raises(UnsafeFile):
        families.recognise({**INDEX, **change}, "tiny")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"_class_name": None}, CorruptFile),
        ({"_class_name": 7}, CorruptFile),
        ({"vae": ["diffusers"]}, CorruptFile),
        ({"vae": [1, 2]}, CorruptFile),
        ({"_class_name": "FromNowhere"}, ModelError),
    ],
)
def test_other_architectures_are_told_apart_from_harm(change: dict[str, object], error: type[ModelError]) -> None:
    with pytest.raises(error) as caught:
        families.recognise(json.loads(json.dumps({**INDEX, **change})), "tiny")
    assert type(caught.value) is error


def test_a_part_of_a_class_no_family_takes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for other in set(registry.BUILT_IN["families"]) - {"sd", "sdxl"}:
        monkeypatch.delitem(registry.BUILT_IN["families"], other)
    with pytest.raises(ModelError, match="its vae is a AsymmetricAutoencoderKL"):
        families.recognise({**INDEX, "vae": ["diffusers", "AsymmetricAutoencoderKL"]}, "tiny")
