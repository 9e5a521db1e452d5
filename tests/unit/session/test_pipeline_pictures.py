"""Whole pictures of foreign pipelines: through Session, engine and library, from folders as they are published."""

from __future__ import annotations

import inspect
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from limner import Request, Session
from limner.config import Settings
from limner.errors import (
    CorruptFile,
    GenerationError,
    LimnerError,
    MismatchedWeights,
    MissingExtra,
    ModelError,
    NonFinite,
    UnsafeFile,
    UnsupportedField,
)
from limner.types import Cancelled, Done, Loading, Made, Pixels, Step, Warned
from tests.hub_server import HubServer
from tests.pipelines import MAKERS, copy, make, write

PROMPT = "a red fox in the snow"
SIZE: dict[str, int] = {"Kandinsky3Pipeline": 64}
BREAKABLE = "FluxPipeline"
FOREIGN = [kind for kind in MAKERS if kind not in ("StableDiffusionPipeline", "StableDiffusionXLPipeline")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("pipelines")
    return {kind: write(root / kind, kind) for kind in FOREIGN}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    settings = Settings.load(tmp_path_factory.mktemp("home"), {})
    with Session(settings=settings, offline=True) as made:
        yield made


def asked(folder: Path, **fields: object) -> Request:
    side = SIZE.get(folder.name, 32)
    base: dict[str, object] = {"prompt": PROMPT, "model": str(folder), "seed": 5, "dtype": "float32", "steps": 3}
    return Request.of(**(base | {"width": side, "height": 2 * side} | fields))


def alone(folder: Path, *, seed: int = 5, **arguments: object) -> Pixels:
    """What the pipeline gives when it is called by hand."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    side = SIZE.get(folder.name, 32)
    takes = inspect.signature(type(pipeline).__call__).parameters
    fixed = {name: False for name in ("use_resolution_binning", "clean_caption") if name in takes}
    called = {"num_inference_steps": 3, "width": side, "height": 2 * side, **fixed, **arguments}
    (image,) = pipeline(PROMPT, generator=torch.Generator("cpu").manual_seed(seed), **called).images
    pixels: Pixels = np.asarray(image)
    return pixels


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_picture_is_the_one_that_the_pipeline_gives(session: Session, folders: dict[str, Path], kind: str) -> None:
    events = list(session.generate(asked(folders[kind], n=2)))
    assert isinstance(events[-1], Done), events[-1]
    made = [event.image for event in events if isinstance(event, Made)]
    for k, image in enumerate(made):
        assert np.array_equal(image.pixels, alone(folders[kind], seed=5 + k))
        assert image.record.seed.seed == 5 + k
        steps = [(e.step, e.steps) for e in events if isinstance(e, Step) and e.index == k]
        assert steps == [(1, 3), (2, 3), (3, 3)]
    assert not np.array_equal(made[0].pixels, made[1].pixels)
    record = made[0].record
    assert record.recipe.options["class"] == kind
    assert record.versions["diffusers"] == diffusers.__version__
    assert "transformers" in record.versions
    assert {name.partition("/")[0] for name in record.model.files} >= {"scheduler", "tokenizer", "model_index.json"}


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        ("StableDiffusion3Pipeline", "guidance_scale"),
        ("PixArtSigmaPipeline", "guidance_scale"),
        ("ZImagePipeline", "guidance_scale"),
        ("QwenImagePipeline", "true_cfg_scale"),
    ],
)
def test_negative_prompt_and_guidance_arrive(
    session: Session, folders: dict[str, Path], kind: str, called: str
) -> None:
    (image,) = session.generate(asked(folders[kind], negative="rain", guidance=3)).result()
    assert np.array_equal(image.pixels, alone(folders[kind], negative_prompt="rain", **{called: 3.0}))
    assert not np.array_equal(image.pixels, alone(folders[kind], **{called: 3.0}))


def test_what_is_left_open_is_the_pipelines_own_default(session: Session, folders: dict[str, Path]) -> None:
    folder = folders["StableDiffusion3Pipeline"]
    (image,) = session.generate(asked(folder, steps=None, guidance=None)).result()
    assert np.array_equal(image.pixels, alone(folder, num_inference_steps=28, guidance_scale=7.0))


def test_a_picture_is_drawn_again(session: Session, folders: dict[str, Path]) -> None:
    image = session.generate(asked(folders["FluxPipeline"], styles=("night",))).result()[0]
    assert image.path is not None
    assert session.replay(image.path).verdict == "identical"


def test_it_says_what_it_is_doing(session: Session, folders: dict[str, Path], tmp_path: Path) -> None:
    events = list(session.generate(asked(write(tmp_path / "fresh", "SanaPipeline", seed=9))))
    kinds = [type(event) for event in events]
    assert kinds.index(Loading) < kinds.index(Step)
    assert "foreign-pipeline" in [event.notice.code for event in events if isinstance(event, Warned)]


@pytest.mark.parametrize("kind", ["StableDiffusion3Pipeline", "PixArtSigmaPipeline"])
def test_cancel_takes_effect_at_the_next_step(session: Session, folders: dict[str, Path], kind: str) -> None:
    """By the callback of the one, by the progress bar of the other."""
    generation = session.generate(asked(folders[kind], n=3, steps=400))
    seen = []
    for event in generation:
        if isinstance(event, Step):
            seen.append(event)
            generation.cancel()
        ended = event
    assert isinstance(ended, Cancelled)
    assert max(event.step for event in seen) < 400
    assert {event.index for event in seen} == {0}
    assert len(session.generate(asked(folders[kind])).result()) == 1, "the next request works"


def test_closing_the_session_ends_a_picture_under_way(folders: dict[str, Path], tmp_path: Path) -> None:
    made = Session(settings=Settings.load(tmp_path, {}), keep=False, offline=True)
    events = iter(made.generate(asked(folders["StableDiffusion3Pipeline"], steps=1000)))
    assert any(isinstance(event, Step) for event in events)
    made.close()
    rest = list(events)
    assert isinstance(rest[-1], Cancelled)
    assert sum(isinstance(event, Step) for event in rest) < 900


@pytest.mark.parametrize("field", [{"solver": "euler"}, {"schedule": "karras"}, {"variation": 0.2}, {"clip_skip": 2}])
def test_what_it_cannot_honour_is_refused_by_name(
    session: Session, folders: dict[str, Path], field: dict[str, object]
) -> None:
    with pytest.raises(UnsupportedField) as caught:
        session.plan(asked(folders["FluxPipeline"], **field))
    assert caught.value.field in field


def test_text_that_is_cut_off_is_told_and_recorded(session: Session, folders: dict[str, Path]) -> None:
    long = "a red fox in the snow and a blue whale in the sea and a green tree on the hill under the moon at night"
    (image,) = session.generate(asked(folders["FluxPipeline"], prompt=long)).result()
    (notice,) = [notice for notice in image.record.notices if notice.code == "text-truncated"]
    assert "truncated" in notice.message


def test_nothing_touches_the_network_and_the_terminal(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    with Session(settings=Settings.load(tmp_path, {}), keep=False, offline=True) as made:
        for kind in ("ZImagePipeline", "PixArtSigmaPipeline"):
            assert len(made.generate(asked(folders[kind])).result()) == 1
    assert capfd.readouterr() == ("", "")


def test_weights_that_make_nan_fail_their_own_request(
    session: Session, tmp_path: Path, folders: dict[str, Path]
) -> None:
    import safetensors.torch

    folder = copy(folders[BREAKABLE], tmp_path / "nan")
    place = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(place)
    tensors["decoder.conv_out.bias"] = torch.full_like(tensors["decoder.conv_out.bias"], torch.nan)
    safetensors.torch.save_file(tensors, place)
    with pytest.raises(NonFinite) as caught:
        session.generate(asked(folder)).result()
    assert "float32" in caught.value.hint
    assert len(session.generate(asked(folders[BREAKABLE])).result()) == 1


def test_a_black_picture_is_no_picture(session: Session, tmp_path: Path, folders: dict[str, Path]) -> None:
    import safetensors.torch

    folder = copy(folders[BREAKABLE], tmp_path / "black")
    place = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(place)
    tensors["decoder.conv_out.bias"] = torch.full_like(tensors["decoder.conv_out.bias"], -1e6)
    safetensors.torch.save_file(tensors, place)
    with pytest.raises(NonFinite, match="black"):
        session.generate(asked(folder)).result()


def test_weights_that_are_not_all_there_are_refused_not_made_up(
    session: Session, tmp_path: Path, folders: dict[str, Path]
) -> None:
    """The libraries fill what is missing with random numbers, and only log it."""
    import safetensors.torch

    folder = copy(folders[BREAKABLE], tmp_path / "partial")
    place = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(place)
    gone = sorted(tensors)[0]
    del tensors[gone]
    safetensors.torch.save_file(tensors, place)
    with pytest.raises(MismatchedWeights, match=f"transformer.*1 missing: {gone}"):
        session.generate(asked(folder)).result()


def test_a_config_that_disagrees_with_its_weights(session: Session, tmp_path: Path, folders: dict[str, Path]) -> None:
    folder = copy(folders[BREAKABLE], tmp_path / "config")
    place = folder / "transformer" / "config.json"
    config = json.loads(place.read_text("utf-8")) | {"joint_attention_dim": 64}
    place.write_text(json.dumps(config), "utf-8")
    with pytest.raises(MismatchedWeights) as caught:
        session.generate(asked(folder)).result()
    assert caught.value.hint


def test_tensors_that_nobody_uses_are_told(session: Session, tmp_path: Path, folders: dict[str, Path]) -> None:
    import safetensors.torch

    folder = copy(folders[BREAKABLE], tmp_path / "more")
    place = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(place)
    safetensors.torch.save_file(tensors | {"left.over": torch.zeros(1)}, place)
    (image,) = session.generate(asked(folder)).result()
    assert any("left.over" in notice.message for notice in image.record.notices if notice.code == "unused-weights")


def test_truncated_weights(session: Session, tmp_path: Path, folders: dict[str, Path]) -> None:
    folder = copy(folders[BREAKABLE], tmp_path / "cut")
    place = folder / "text_encoder_2" / "model.safetensors"
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(CorruptFile, match=r"model\.safetensors"):
        session.generate(asked(folder)).result()


def test_code_beside_the_weights_is_never_run(session: Session, tmp_path: Path, folders: dict[str, Path]) -> None:
    folder = copy(folders[BREAKABLE], tmp_path / "code")
    canary = tmp_path / "canary"
    evil = f"open({str(canary)!r}, 'w').close()\n"
    for place in (folder / "pipeline.py", folder / "transformer" / "modeling.py", folder / "transformer" / "evil.py"):
        place.write_text(evil, "utf-8")
    config = json.loads((folder / "text_encoder" / "config.json").read_text("utf-8"))
    config["auto_map"] = {"AutoModel": "evil.Evil", "CLIPTextModel": "evil.Evil"}
    (folder / "text_encoder" / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "text_encoder" / "evil.py").write_text(evil, "utf-8")
    assert len(session.generate(asked(folder)).result()) == 1
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    index["transformer"] = ["evil", "Evil"]
    (folder / "model_index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(UnsafeFile):
        session.generate(asked(folder)).result()
    assert not canary.exists()


def test_pickles_beside_safetensors_are_not_read(session: Session, tmp_path: Path, folders: dict[str, Path]) -> None:
    folder = copy(folders[BREAKABLE], tmp_path / "pickle")
    (folder / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert len(session.generate(asked(folder)).result()) == 1


def test_reduced_precision_files_are_read_where_there_are_no_others(
    session: Session, tmp_path: Path, folders: dict[str, Path]
) -> None:
    folder = copy(folders[BREAKABLE], tmp_path / "half")
    place = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    place.rename(place.with_name("diffusion_pytorch_model.fp16.safetensors"))
    (image,) = session.generate(asked(folder)).result()
    assert np.array_equal(image.pixels, alone(folders[BREAKABLE]))
    assert "reduced-weights" in [notice.code for notice in image.record.notices]


def test_shards_of_reduced_precision(session: Session, tmp_path: Path, folders: dict[str, Path]) -> None:
    """As large text encoders are published: the index has the mark in its name, and names shards that have it too."""
    pipeline = make(BREAKABLE)
    pipeline.save_pretrained(tmp_path / "shards", variant="fp16", max_shard_size="20KB")
    names = [path.name for path in (tmp_path / "shards" / "transformer").iterdir()]
    assert sum("fp16" in name and "-of-" in name for name in names) > 1
    (image,) = session.generate(asked(tmp_path / "shards")).result()
    assert np.array_equal(image.pixels, alone(folders[BREAKABLE]))


def test_a_tokenizer_that_needs_a_library_that_is_not_there(
    session: Session, tmp_path: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def refuses(*args: object, **kwargs: object) -> None:
        raise ValueError("`tiktoken` is required to read a `tiktoken` file. Install it with `pip install tiktoken`.")

    folder = copy(folders[BREAKABLE], tmp_path / "words")
    (folder / "scheduler" / "note").write_text("another folder, so that it is read again", "utf-8")
    monkeypatch.setattr(transformers.PreTrainedTokenizerFast, "from_pretrained", refuses)
    place = folder / "vae" / "config.json"
    place.write_text(place.read_text("utf-8").replace('"sample_size": 32', '"sample_size": 64'), "utf-8")
    with pytest.raises(MissingExtra, match="sentencepiece") as caught:
        session.generate(asked(folder)).result()
    assert "[models]" in caught.value.hint


def test_a_repo_of_the_hub_is_fetched_whole_and_no_more(
    tmp_path: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    folder = folders["ZImagePipeline"]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    extra = {"README.md": b"words", "transformer/old.bin": b"\x80\x04.", "pipeline.py": b"raise SystemExit"}
    with HubServer() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        hub.add("org/z-image", files | extra)
        with Session(settings=Settings.load(tmp_path / "home", {}), keep=False) as session:
            (plan,) = session.foresee(asked(folder, model="org/z-image"))
            assert not [path for path in hub.fetched() if path.endswith(".safetensors")], "planned from configs alone"
            (image,) = session.generate(asked(folder, model="org/z-image")).result()
        fetched = hub.fetched()
    assert np.array_equal(image.pixels, alone(folder))
    assert set(image.record.model.files) == set(files)
    assert not [path for path in fetched if path.endswith((".md", ".bin", ".py"))]
    assert image.record.model.commit
    assert image.record.identity == plan.identity
    assert plan.estimate.download_bytes > sum(len(files[name]) for name in files if name.endswith(".safetensors")) * 0.9


def test_a_safety_checker_is_left_out_and_that_is_told(
    session: Session, tmp_path: Path, folders: dict[str, Path]
) -> None:
    folder = copy(folders[BREAKABLE], tmp_path / "checked")
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (folder / "model_index.json").write_text(json.dumps(index), "utf-8")
    (image,) = session.generate(asked(folder)).result()
    assert "safety-checker-left-out" in [notice.code for notice in image.record.notices]


@pytest.mark.parametrize(
    ("name", "why"),
    [("FluxFillPipeline", "part of a picture"), ("WanPipeline", "videos"), ("NoSuchPipeline", "knows no")],
)
def test_other_pipelines_are_refused_with_the_reason(
    session: Session, tmp_path: Path, folders: dict[str, Path], name: str, why: str
) -> None:
    folder = copy(folders[BREAKABLE], tmp_path / "other")
    index = json.loads((folder / "model_index.json").read_text("utf-8")) | {"_class_name": name}
    (folder / "model_index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(ModelError, match=why) as caught:
        session.generate(asked(folder)).result()
    assert caught.value.hint


def test_what_a_pipeline_complains_of_is_its_own_words(session: Session, folders: dict[str, Path]) -> None:
    """A class whose limits Limner does not know: the request fails, and the next one works."""
    folder = folders["StableDiffusion3Pipeline"]
    with pytest.raises(LimnerError) as caught:  # beyond the table of positions of this checkpoint
        session.generate(asked(folder, width=1024, height=32)).result()
    assert isinstance(caught.value, GenerationError)
    assert "StableDiffusion3Pipeline" in caught.value.message
    assert len(session.generate(asked(folder)).result()) == 1
