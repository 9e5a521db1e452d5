"""The table of pipeline classes says what the diffusers that is installed says."""

from __future__ import annotations

from pathlib import Path

import diffusers
import pytest

from limner.models.pipelines.kinds import KINDS, Kind, kind_of, refusal
from limner.models.pipelines.signature import accepted, kind_of_class, progress_of, why_not
from tests.pipelines import MAKERS

PAGE = Path(__file__).parents[4] / "docs" / "pipelines.md"
EVERY = [
    name
    for name in dir(diffusers)
    if name.endswith("Pipeline") and not any(word in name for word in ("Modular", "Onnx"))
]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_defaults_and_arguments_are_the_classes_own(kind: Kind) -> None:
    arguments = accepted(getattr(diffusers, kind.name))
    assert arguments[kind.steps_as] == kind.steps
    assert arguments[kind.guidance_as] == kind.guidance
    assert progress_of(arguments) == kind.progress or kind.name.endswith("CombinedPipeline")
    assert kind.bins == ("use_resolution_binning" in arguments)
    assert not kind.negative or "negative_prompt" in arguments
    assert arguments["height"] == (kind.side if arguments.get("height") else None)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_class_of_the_table_is_refused(kind: Kind) -> None:
    assert why_not(getattr(diffusers, kind.name)) is None


def test_those_said_to_be_tried_are_those_that_tests_draw_with() -> None:
    assert {name for name, kind in KINDS.items() if kind.tried} == MAKERS.keys()


def test_the_documentation_says_the_same() -> None:
    said = {
        line.split("|")[1].strip(" `"): line for line in PAGE.read_text("utf-8").splitlines() if "Pipeline` |" in line
    }
    assert said == {
        name: f"| `{name}` | {kind.steps} | {kind.guidance:g} | {'yes' if kind.negative else 'refused'} | "
        f"{'callback' if kind.progress == 'callback' else 'progress bar'} |"
        for name, kind in KINDS.items()
        if kind.tried
    }


def test_what_its_name_does_not_give_away_its_call_does() -> None:
    """No class that diffusers has may slip through: it needs a picture, makes a video, or draws from words alone."""
    taken = {name for name in EVERY if why_not(getattr(diffusers, name)) is None}
    assert {"StableDiffusion3Pipeline", "FluxPipeline", "QwenImagePipeline", "Kandinsky3Pipeline"} <= taken
    for name in taken:
        arguments = accepted(getattr(diffusers, name))
        assert "prompt" in arguments, name
        assert not {"num_frames", "video", "audio_length_in_s"} & arguments.keys(), name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("StableVideoDiffusionPipeline", "videos"),
        ("FluxInpaintPipeline", "part of a picture"),
        ("StableDiffusionXLControlNetPipeline", "control picture"),
        ("AudioLDM2Pipeline", "sound"),
        ("FluxFillPipeline", "part of a picture"),
        ("StableDiffusionUpscalePipeline", "enlarges"),
        ("StableCascadeDecoderPipeline", "half"),
        ("KandinskyV22PriorPipeline", "embeddings"),
        ("DDPMPipeline", "no words"),
        ("WanPipeline", "videos"),
        ("FluxModularPipeline", "code"),
    ],
)
def test_other_classes_are_refused_with_the_reason(name: str, why: str) -> None:
    assert why in str(refusal(name))


def test_a_class_of_tomorrow_is_read_from_its_call() -> None:
    class MarvelPipeline:
        def __call__(
            self, prompt: str, height: int = 640, num_inference_steps: int = 9, true_cfg_scale: float = 2.5
        ) -> None: ...

    kind = kind_of_class(MarvelPipeline)
    assert (kind.steps, kind.guidance, kind.side, kind.guidance_as) == (9, 2.5, 640, "true_cfg_scale")
    assert (kind.negative, kind.progress, kind.listed) == (False, "bar", False)
    assert kind_of("MarvelPipeline").steps is None


def test_a_class_that_needs_more_than_words_is_refused_by_its_call() -> None:
    class MaskedPipeline:
        def __call__(self, prompt: str, mask: object) -> None: ...

    class WordlessPipeline:
        def __call__(self, batch_size: int = 1) -> None: ...

    assert why_not(MaskedPipeline) == "needs more than words: mask"
    assert why_not(WordlessPipeline) == "takes no words"
