"""Every stage at toy size: it trains, resumes as if never stopped, and its pack draws in diffusers."""

import json
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from diffusers import LCMScheduler
from safetensors.torch import load_file
from training import (
    captions,
    diffusion,
    lora,
    pack,
    pack_turbo,
    pocket,
    train_autoencoder,
    train_classifier,
    train_turbo,
    train_unet,
)
from training.card import Facts
from training.evaluate import measure, prompts
from training.loop import Options
from training.scene import atoms
from training.sprites import Atlas

from limner.evaluate.nets.detector import DetectorConfig

_TINY = (8, 8, 8, 8, 16)


def _options(out: Path, samples: int) -> Options:
    return Options(out=out, samples=samples, batch=4, warmup=2, save_every=60.0)


def _autoencoder(atlas: Atlas, out: Path, samples: int) -> dict[str, torch.Tensor]:
    options = _options(out, samples)
    return train_autoencoder.train(atlas, options, variants=1, widths=_TINY).modules["vae"].state_dict()


@pytest.fixture(scope="module")
def run(atlas: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an autoencoder and a UNet of a few steps."""
    root = tmp_path_factory.mktemp("run")
    _autoencoder(atlas, root / "autoencoder", 8)
    vae = train_unet.load_vae(root)
    _unet(atlas, root / "unet", 8, vae)
    return root


def _unet(atlas: Atlas, out: Path, samples: int, vae: torch.nn.Module) -> dict[str, torch.Tensor]:
    trainer = train_unet.train(
        atlas, _options(out, samples), vae, room=16, reuse=2, variants=1, widths=(16, 32), hidden=32
    )  # fmt: skip
    return trainer.modules["unet"].state_dict()


def test_a_resumed_stage_ends_where_an_unbroken_one_does(atlas: Atlas, tmp_path: Path, run: Path) -> None:
    vae = train_unet.load_vae(run)
    whole = _unet(atlas, tmp_path / "whole", 16, vae)
    halves = _options(tmp_path / "halves", 16)
    train = partial(train_unet.train, room=16, reuse=2, variants=1, widths=(16, 32), hidden=32)
    first = train(atlas, replace(halves, stop_after=0.0), vae)
    assert first.step < 4
    second = train(atlas, halves, vae)
    assert second.step == 4
    for name, value in second.modules["unet"].state_dict().items():
        assert torch.equal(value, whole[name]), name


def test_the_pack_draws_in_diffusers_as_it_does_here(atlas: Atlas, run: Path, tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    pack.pack(pocket.load(run, "cpu"), tmp_path, Facts.of(run, atlas.things))
    pipe = StableDiffusionPipeline.from_pretrained(tmp_path, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    drawn = pocket.load_pack(tmp_path, "cpu")
    ids = pipe.tokenizer("A fox, underwater zyx", padding="max_length", max_length=pocket.LENGTH).input_ids
    assert ids == captions.encode("A fox, underwater zyx", drawn.vocab, pocket.LENGTH)
    noise = torch.randn((1, 16, 16, 16), generator=torch.Generator().manual_seed(3))
    theirs = pipe("a fox", num_inference_steps=3, guidance_scale=4.0, latents=noise, output_type="pt").images[0]
    with torch.autocast("cpu", enabled=False):
        ours = drawn.draw(["a fox"], [3], steps=3)[0]
    assert (theirs - (ours + 1) / 2).abs().mean() < 0.02  # bfloat16 here, float32 there


def test_the_evaluation_gives_every_figure(atlas: Atlas, run: Path, tmp_path: Path) -> None:
    options = _options(tmp_path, 8)
    shape = DetectorConfig((), (4, 8, 12), (0, 0, 1), 8)
    train_classifier.train(atlas, options, variants=1, shape=shape, checked=8)
    judge = train_classifier.load(tmp_path, "cpu")
    rows = prompts.prompts(atlas.things, {"place": 3, "colour": 2, "count": 1, "relation": 3})
    drawn = pocket.load(run, "cpu")
    figures = measure.measure(drawn, partial(drawn.draw, steps=2), judge, atlas, rows, variants=1, how="2 steps")
    single = {"single", "single in a named colour", "single in its own colours"}
    assert set(figures["drawn"]) - {"relation"} == single | {"place", "colour", "count", "both"}
    assert "single" in measure.markdown(json.loads(json.dumps(figures)))


def test_a_relation_is_asked_of_things_that_are_there(atlas: Atlas) -> None:
    names = [t.name for t in atlas.things]
    row: dict[str, object] = {"kind": "relation", "things": names[:2], "relation": "left"}

    def seen(*things: int) -> train_classifier.Answer:
        return train_classifier.Answer(things, ((0.7, 0.5), (0.3, 0.5)), ("red", "red"), 0, 2)

    assert measure.marks(row, seen(1, 0), names) == {"both": True, "relation": True}
    assert measure.marks(row, seen(0, 1), names) == {"both": True, "relation": False}
    assert measure.marks(row, seen(0, 2), names) == {"both": False}


def test_a_line_of_the_list_is_the_scene_it_was_written_from(atlas: Atlas) -> None:
    names = [t.name for t in atlas.things]
    for row in prompts.prompts(atlas.things, {"place": 10, "colour": 3, "count": 1, "relation": 5}):
        scene = measure.shown(row, names)
        assert {key: row[key] for key in atoms(scene, atlas.things)} == atoms(scene, atlas.things)


def test_a_classifier_numbers_its_things_as_asked(atlas: Atlas, tmp_path: Path) -> None:
    shape = DetectorConfig((), (4, 8, 12), (0, 0, 1), 8)
    train_classifier.train(atlas, _options(tmp_path, 8), variants=1, shape=shape, checked=8)
    names = [t.name for t in atlas.things]
    pictures = torch.rand(2, 3, 128, 128)
    usual = train_classifier.load(tmp_path, "cpu")(pictures).things
    turned = train_classifier.load(tmp_path, "cpu", names[::-1])(pictures).things
    assert torch.allclose(turned, usual.flip(-1), atol=1e-5)
    with pytest.raises(KeyError, match="wombat"):
        train_classifier.load(tmp_path, "cpu", ["wombat"])


def test_an_encoder_over_more_words_says_of_the_old_ones_what_it_said() -> None:
    old, new = {"<pad>": 0, "fox": 1, "cat": 2, "dog": 3}, {"<pad>": 0, "cat": 1, "dog": 2, "fox": 3, "owl": 4}
    text = pocket.build_text(len(old), 16, 1).eval()
    before = text(torch.tensor([[3, 1, 2]])).last_hidden_state
    after = pocket.reworded(text, old, new)(torch.tensor([[2, 3, 1]])).last_hidden_state
    assert torch.equal(before, after)
    assert text.config.vocab_size == len(new)


def test_the_schedule_ends_in_pure_noise() -> None:
    table = diffusion.alphas()
    assert table[-1] == 0
    assert bool((table.diff() < 0).all())


def test_ddim_with_a_perfect_predictor_finds_the_clean_latent() -> None:
    clean, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    table = diffusion.alphas().float()

    def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a = table[t].view(-1, 1, 1, 1)
        eps = (x - a.sqrt() * clean) / (1 - a).sqrt()
        return a.sqrt() * eps - (1 - a).sqrt() * clean

    assert torch.allclose(diffusion.ddim(predict, noise, 20), clean, atol=1e-3)


@pytest.mark.parametrize(
    ("relation", "first", "second", "holds"),
    [
        ("left", (0.2, 0.5), (0.8, 0.5), True),
        ("left", (0.8, 0.5), (0.2, 0.5), False),
        ("above", (0.5, 0.2), (0.5, 0.8), True),
        ("on", (0.5, 0.35), (0.5, 0.68), True),
        ("on", (0.5, 0.1), (0.5, 0.9), False),
        ("beside", (0.8, 0.5), (0.2, 0.5), True),
    ],
)
def test_relations_are_read_off_centres(
    relation: str, first: tuple[float, float], second: tuple[float, float], holds: bool
) -> None:
    assert measure.relation_holds(relation, first, second) is holds


def test_kid_of_a_sample_with_itself_is_small_and_grows_with_a_shift() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(200, 8, generator=generator), torch.randn(200, 8, generator=generator)
    assert abs(measure.kid(a, b)) < measure.kid(a, b + 1)


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_turbo_is_examined_at_the_steps_that_diffusers_takes(steps: int) -> None:
    scheduler = LCMScheduler(num_train_timesteps=diffusion.STEPS)
    scheduler.set_timesteps(steps)
    assert train_turbo.times_of(steps) == scheduler.timesteps.tolist()
    stride = diffusion.STEPS // train_turbo.GRID
    assert all((t + 1) % stride == 0 for t in train_turbo.times_of(steps))  # none that was never taught


def test_turbo_trains_adapters_that_start_as_nothing(atlas: Atlas, run: Path, tmp_path: Path) -> None:
    drawn = pocket.load(run, "cpu")
    before = drawn.draw(["a fox"], [1], steps=2)
    adapters = lora.adapt(drawn.unet, 2)
    assert torch.allclose(drawn.draw(["a fox"], [1], steps=2), before, atol=1e-5)
    assert len(adapters) > 10
    teacher = pocket.load(run, "cpu")
    trainer = train_turbo.train(atlas, _options(tmp_path, 8), teacher, room=16, reuse=2, variants=1, rank=2)
    assert trainer.step == 2
    saved = load_file(tmp_path / "pytorch_lora_weights.safetensors")
    assert len(saved) == 2 * len(adapters)
    assert any(v.abs().max() > 0 for k, v in saved.items() if "lora_B" in k)
    lora.load(adapters, tmp_path / "pytorch_lora_weights.safetensors")
    assert not torch.allclose(drawn.draw(["a fox"], [1], steps=2), before, atol=1e-5)
    pack_turbo.pack(tmp_path, tmp_path / "pack", "| single | 80 % |\n", "- **Comes out well:** frogs\n")
    told = (tmp_path / "pack" / "README.md").read_text()
    for part in ("8 samples", "four steps without guidance", "| single | 80 % |", "frogs"):
        assert part in told.replace("\n", " "), part
    assert load_file(tmp_path / "pack" / pack_turbo.WEIGHTS).keys() == saved.keys()
    assert (tmp_path / "pack" / "NOTICE").read_text().startswith("pocket-turbo, a LoRA built into Limner")


@pytest.mark.parametrize("t", [999, 759, 499, 259, 139, 19])
def test_the_teachers_course_begins_at_the_noise_and_ends_clean(t: int) -> None:
    course = train_turbo.course(t)
    assert (course[0], course[-1]) == (t, -1)
    assert course == sorted(course, reverse=True)
    strides = [a - b for a, b in pairwise(course)]
    assert max(strides) - min(strides) <= 1
    assert 2 <= len(strides) <= train_turbo.SOLVER
