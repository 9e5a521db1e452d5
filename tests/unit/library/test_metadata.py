"""What files say about themselves: our Record losslessly, other programs' words as they meant them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.library import embed
from limner.library.files import Format, encode
from limner.library.metadata import Found, read
from limner.types import Record
from tests.unit.library.making import SAMPLERS, pixels, record

FORMATS: tuple[Format, ...] = ("png", "jpeg", "webp")
SMALL = pixels(0, 8, 8)


def _through(file_format: Format, what: Record) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{file_format}"
        path.write_bytes(encode(SMALL, what, file_format, sampler_names=SAMPLERS))
        return read(path)


_WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=200) | st.sampled_from(
    [
        "Negative prompt: not this\nSteps: 1, Seed: 2, Size: 3x3",
        '</limner:Record>]]>&amp;"quotes" \\ back',
        "a\r\nb\tc\n\n",
        "雪の中の狐 🦊 \u202e \ufffe\uffff\U0010ffff",
        "é" * 20_000,
    ]
)


@settings(max_examples=100, deadline=None)
@given(_WORDS, _WORDS, st.sampled_from(FORMATS))
def test_the_record_comes_back_equal(prompt: str, negative: str, file_format: Format) -> None:
    what = record(prompt, negative)
    found = _through(file_format, what)
    assert found.source == "limner"
    assert found.record == what


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_longest_prompts_and_most_steps_survive(file_format: Format) -> None:
    what = record("狐" * 20_000, "x" * 20_000, steps=1_000)
    assert _through(file_format, what).record == what


@pytest.mark.parametrize("file_format", FORMATS)
def test_fields_are_the_main_facts(file_format: Format) -> None:
    fields = _through(file_format, record("a fox", "blur")).fields
    expected = {
        "prompt": "a fox",
        "negative": "blur",
        "seed": 42,
        "steps": 20,
        "guidance": 7.5,
        "solver": "euler_a",
        "width": 48,
        "height": 32,
        "model": "pocket",
    }
    assert fields == expected


@pytest.mark.parametrize("file_format", FORMATS)
def test_marked_as_made_by_a_trained_model_unless_marks_are_off(file_format: Format) -> None:
    assert embed.DIGITAL_SOURCE.encode() in encode(SMALL, record(), file_format)
    assert embed.DIGITAL_SOURCE.encode() not in encode(SMALL, record(marks="none"), file_format)
    long = record("狐" * 20_000)
    assert embed.DIGITAL_SOURCE.encode() in encode(SMALL, long, file_format)


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_xmp_packet_is_xml_that_other_readers_take(file_format: Format, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(encode(SMALL, record("<a> & 'b' \x7f\u0001?"), file_format))
    with Image.open(path) as image:
        description = ElementTree.fromstring(image.info["xmp"])[0][0]
    assert embed.DIGITAL_SOURCE in description.attrib.values()
    if file_format != "png":
        assert json.loads(str(description[0].text))["prompt"] == "<a> & 'b' \x7f\u0001?"


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("prompt", ["a red fox", "naïve café", "雪の中の狐\nsecond line"])
def test_sd_parsers_reads_our_files(file_format: Format, prompt: str, tmp_path: Path) -> None:
    sd_parsers = pytest.importorskip("sd_parsers")
    path = tmp_path / f"a.{file_format}"
    path.write_bytes(encode(SMALL, record(prompt, "blurry, dark", seed=77), file_format, sampler_names=SAMPLERS))
    info = sd_parsers.ParserManager().parse(path)
    sampler = next(iter(info.samplers))
    assert info.full_prompt == prompt
    assert info.full_negative_prompt == "blurry, dark"
    assert sampler.name == "Euler a"
    assert sampler.parameters["seed"] == "77"
    assert info.metadata["Steps"] == "20" if "Steps" in info.metadata else sampler.parameters["steps"] == "20"


def test_a_damaged_record_falls_back_to_infotext_and_says_so(tmp_path: Path) -> None:
    found = _png(tmp_path, parameters="a fox\nSteps: 1, Seed: 2, Size: 8x8", limner='{"schema": 99}')
    assert found.record is None
    assert found.source == "a1111"
    assert found.fields["seed"] == 2
    assert found.notices[0].code == "record_unreadable"


def _png(folder: Path, **texts: str) -> Found:
    chunks = PngInfo()
    for name, text in texts.items():
        chunks.add_text(name.replace("__", "-"), text)
    Image.fromarray(SMALL).save(folder / "a.png", pnginfo=chunks)
    return read(folder / "a.png")


def test_a1111_and_its_dialects(tmp_path: Path) -> None:
    text = "a fox\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x768, Model: m"
    found = _png(tmp_path, parameters=text)
    assert found.source == "a1111"
    assert found.fields["negative"] == "dog"
    assert found.raw["parameters"] == text
    assert _png(tmp_path, parameters=text + ", App: SD.Next").source == "sdnext"
    assert _png(tmp_path, parameters=text + ", Version: Fooocus v2.5.5").source == "fooocus"
    assert _png(tmp_path, parameters=text + ", Version: limner 0.1.0").source == "limner"


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "ascii"])
def test_a1111_in_exif(tmp_path: Path, suffix: str, encoding: str) -> None:
    text = "a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x768"
    head = b"ASCII\x00\x00\x00" if encoding == "ascii" else b"UNICODE\x00"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = head + text.encode(encoding)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(SMALL).save(path, exif=exif)
    found = read(path)
    assert (found.source, found.fields["seed"], found.fields["prompt"]) == ("a1111", 42, "a fox")


COMFY = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 156680208700286,
            "steps": 20,
            "cfg": 8.0,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1.0,
            "model": ["10", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5.safetensors"}},
    "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "x", "model": ["4", 0], "clip": ["4", 1]}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a bottle", "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": ["11", 0], "clip": ["4", 1]}},
    "11": {"class_type": "PrimitiveString", "inputs": {"value": "text, watermark"}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "a"}},
}


def test_comfyui_graph(tmp_path: Path) -> None:
    found = _png(tmp_path, prompt=json.dumps(COMFY), workflow="{}")
    assert found.source == "comfyui"
    assert found.fields == {
        "seed": 156680208700286,
        "steps": 20,
        "guidance": 8,
        "solver": "euler",
        "schedule": "normal",
        "prompt": "a bottle",
        "negative": "text, watermark",
        "model": "v1-5.safetensors",
        "width": 512,
        "height": 768,
    }


def test_comfyui_custom_sampler_with_guider(tmp_path: Path) -> None:
    graph = {
        "1": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {
                "noise": ["2", 0],
                "guider": ["3", 0],
                "sampler": ["4", 0],
                "sigmas": ["5", 0],
                "latent_image": ["6", 0],
            },
        },
        "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 9}},
        "3": {"class_type": "BasicGuider", "inputs": {"model": ["7", 0], "conditioning": ["8", 0]}},
        "4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "5": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 4, "model": ["7", 0]}},
        "6": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 1024}},
        "7": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux.safetensors"}},
        "8": {"class_type": "CLIPTextEncodeFlux", "inputs": {"clip_l": "a cat", "t5xxl": "a cat", "guidance": 3.5}},
    }
    fields = _png(tmp_path, prompt=json.dumps(graph)).fields
    assert {k: fields[k] for k in ("seed", "prompt", "steps", "solver", "model", "width")} == {
        "seed": 9,
        "prompt": "a cat",
        "steps": 4,
        "solver": "euler",
        "model": "flux.safetensors",
        "width": 1024,
    }


def test_comfyui_graph_with_a_circle_ends(tmp_path: Path) -> None:
    graph = json.loads(json.dumps(COMFY))
    graph["6"]["inputs"]["clip"] = ["3", 0]
    assert _png(tmp_path, prompt=json.dumps(graph)).source == "comfyui"


def test_invokeai_three_generations(tmp_path: Path) -> None:
    new = {
        "generation_mode": "txt2img",
        "positive_prompt": "a fox",
        "negative_prompt": "dog",
        "width": 512,
        "height": 768,
        "seed": 5,
        "cfg_scale": 7.5,
        "steps": 30,
        "scheduler": "euler",
        "model": {"key": "k", "hash": "blake3:1", "name": "sdxl", "base": "sdxl", "type": "main"},
    }
    found = _png(tmp_path, invokeai_metadata=json.dumps(new))
    assert found.source == "invokeai"
    assert (found.fields["model"], found.fields["guidance"], found.fields["negative"]) == ("sdxl", 7.5, "dog")
    old = {
        "model_weights": "sd-1.5",
        "image": {
            "prompt": [{"prompt": "a fox [dog]", "weight": 1.0}],
            "steps": 50,
            "cfg_scale": 7.5,
            "seed": 6,
            "sampler": "k_lms",
        },
    }
    fields = _png(tmp_path, sd__metadata=json.dumps(old)).fields
    assert (fields["prompt"], fields["negative"], fields["seed"], fields["model"]) == ("a fox", "dog", 6, "sd-1.5")
    fields = _png(tmp_path, Dream='"a fox [dog]" -s 50 -S 7 -W 512 -H 640 -C 7.5 -A k_lms').fields
    assert (fields["prompt"], fields["seed"], fields["height"], fields["solver"]) == ("a fox", 7, 640, "k_lms")


def test_fooocus_json(tmp_path: Path) -> None:
    data = {
        "prompt": "a fox",
        "negative_prompt": "",
        "base_model": "juggernaut",
        "guidance_scale": 4.0,
        "resolution": "(1152, 896)",
        "sampler": "dpmpp_2m_sde_gpu",
        "seed": "8",
        "steps": 30,
        "version": "Fooocus v2.5.5",
    }
    found = _png(tmp_path, parameters=json.dumps(data), fooocus_scheme="fooocus")
    assert found.source == "fooocus"
    assert (found.fields["seed"], found.fields["width"], found.fields["model"]) == (8, 1152, "juggernaut")
    assert "negative" not in found.fields


def test_unknown_text_no_text_and_text_after_the_pixels(tmp_path: Path) -> None:
    assert _png(tmp_path, Comment="hello").source == "unknown"
    assert _png(tmp_path).source == "none"
    data = (tmp_path / "a.png").read_bytes()
    _png(tmp_path, parameters="a fox\nSteps: 1, Seed: 2, Size: 8x8")
    other = (tmp_path / "a.png").read_bytes()
    start = other.index(b"tEXt") - 4
    chunk = other[start : start + 12 + int.from_bytes(other[start : start + 4], "big")]
    (tmp_path / "late.png").write_bytes(data[:-12] + chunk + data[-12:])
    assert read(tmp_path / "late.png").fields["seed"] == 2


HOSTILE = [
    {"prompt": '{"3": []}'},
    {"prompt": "[" * 100_000},
    {"prompt": '{"1": {"class_type": 5, "inputs": {"latent_image": [1], "positive": [[], {}]}}}'},
    {"prompt": '{"1": {"class_type": "K", "inputs": {"latent_image": [[], 0], "positive": [{}, 0], "seed": 1e999}}}'},
    {"invokeai_metadata": '{"seed": NaN, "positive_prompt": ["x"], "model": [1]}'},
    {"invokeai_metadata": '{"seed": 99999999999999999999999999, "positive_prompt": "\\ud800 \\u0000"}'},
    {"sd__metadata": '{"image": {"prompt": [5, null]}}'},
    {"sd__metadata": '{"image": 5}'},
    {"parameters": '{"base_model": {}, "resolution": 1e999, "seed": true}'},
    {"Dream": '"' * 5_000},
    {"parameters": "a" * 300_000},
    {"parameters": "a" + " " * 300_000 + "b"},
    {"sd__metadata": json.dumps({"image": {"prompt": "a" + " " * 300_000 + "b"}})},
    {"parameters": "x\n" + 'Steps: "' + "\\" * 30_000 + ", Seed: 1, Size: 5x5"},
    {"parameters": "x\nSteps: " + "9" * 5_000 + ", Seed: " + "1" * 5_000 + ", Size: 9999999999x" + "9" * 5_000},
]


@pytest.mark.parametrize("texts", HOSTILE)
def test_hostile_text_is_only_text(tmp_path: Path, texts: dict[str, str]) -> None:
    found = _png(tmp_path, **texts)
    assert found.record is None
    assert len(found.raw) == 1
    assert json.loads(json.dumps(dict(found.fields), allow_nan=False)) == dict(found.fields)
    for name, value in found.fields.items():
        assert isinstance(value, str | int | float), name
        assert "\ud800" not in str(value)
        assert len(str(value)) <= 300_000
