"""Whole pictures under ``--compat a1111`` against the web UI's rules written anew over diffusers' networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")

from diffusers import StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from limner import Request, Session
from limner.config import Settings
from limner.errors import UnsupportedField
from limner.sampling.brownian import Brownian
from limner.sampling.noise import Noise, Source, slerp_columns
from limner.sampling.philox import Philox
from limner.types import Pixels
from tests import checkpoints
from tests.unit.sampling import webui

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers", "ignore::FutureWarning")

BOUND = 1  # of 255: it cuts to whole numbers, so a difference in the last bit may cost one
BOS, EOS, PAD, LENGTH = 2, 3, 0, checkpoints.LENGTH

Spans = Sequence[tuple[str, float]]  # of one chunk
Stage = tuple[int, Sequence[Spans]]  # up to this evaluation, counted from 0: its chunks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return listening(tmp_path_factory.mktemp("checkpoints"))


def listening(root: Path) -> Path:
    """A checkpoint with a final norm that gives the text a mean, as trained ones do (of random weights it is 0), and a
    network that listens to it."""
    made = checkpoints.write(root / "sd", checkpoints.SD1_LIKE)
    changed(made / "text_encoder", "final_layer_norm.bias", lambda tensor: torch.full_like(tensor, 0.3))
    changed(made / "unet", "attn2.to_out.0.weight", lambda tensor: tensor * 12)
    return made


def changed(part: Path, ends: str, change: Callable[[Tensor], Tensor]) -> None:
    path = next(part.glob("*.safetensors"))
    tensors = load_file(path)
    names = [name for name in tensors if name.endswith(ends)]
    assert names
    save_file(tensors | {name: change(tensors[name]) for name in names}, path, {"format": "pt"})


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(settings=Settings.load(tmp_path_factory.mktemp("home"), {}), keep=False, offline=True) as made:
        yield made


class WebUi:
    """The web UI's text2img over a checkpoint."""

    def __init__(self, folder: Path, *, skip: int = 1) -> None:
        self.pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
        self.skip = skip

    def condition(self, stages: Sequence[Stage]) -> list[tuple[int, Tensor]]:
        most = max(len(chunks) for _, chunks in stages)
        full = [[*chunks, *[[]] * (most - len(chunks))] for _, chunks in stages]
        framed = [[self.framed(chunk) for chunk in chunks] for chunks in full]
        encoded, multipliers = [], []
        for k in range(most):
            encoded.append(self.encoded(torch.tensor([chunks[k][0] for chunks in framed])))
            multipliers.append(torch.tensor([chunks[k][1] for chunks in framed]))
        joined = webui.emphasised(encoded, multipliers)
        return [(until, states) for (until, _), states in zip(stages, joined, strict=True)]

    def framed(self, spans: Spans) -> tuple[list[int], list[float]]:
        ids, weights = [BOS], [1.0]
        for text, weight in spans:
            found = self.pipe.tokenizer(text, add_special_tokens=False).input_ids
            ids += found
            weights += [weight] * len(found)
        rest = LENGTH - len(ids) - 1
        return [*ids, EOS, *[PAD] * rest], [*weights, 1.0, *[1.0] * rest]

    def encoded(self, ids: Tensor) -> Tensor:
        encoder = self.pipe.text_encoder
        text = getattr(encoder, "text_model", encoder)
        states = encoder(ids, output_hidden_states=True).hidden_states[-self.skip]
        last: Tensor = encoder(ids).last_hidden_state if self.skip == 1 else text.final_layer_norm(states)
        return last

    @torch.no_grad()
    def draw(
        self,
        positive: Sequence[Stage],
        negative: Sequence[Stage],
        noise: Callable[[], Tensor],
        *,
        scale: float,
        sampler: str,
        schedule: str,
        steps: int,
        over: Tensor | None = None,
        run: int | None = None,
        between: Callable[[float, float], Tensor] | None = None,
    ) -> Pixels:
        """``over`` is the latent drawn over, in the last ``run`` of the steps; ``between`` the noise of steps."""
        latent = self.sampled(
            positive,
            negative,
            noise,
            scale=scale,
            sampler=sampler,
            schedule=schedule,
            steps=steps,
            over=over,
            run=run,
            between=between,
        )
        return self.decoded(latent)

    def decoded(self, latent: Tensor) -> Pixels:
        pixels = self.pipe.vae.decode(latent[None] / self.pipe.vae.config.scaling_factor).sample[0]
        return (((pixels + 1) / 2).clamp(0, 1) * 255).numpy().astype(np.uint8).transpose(1, 2, 0)

    @torch.no_grad()
    def mean(self, pixels: Pixels) -> Tensor:
        picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 127.5 - 1
        mean: Tensor = self.pipe.vae.encode(picture).latent_dist.mean[0] * self.pipe.vae.config.scaling_factor
        return mean

    @torch.no_grad()
    def sampled(
        self,
        positive: Sequence[Stage],
        negative: Sequence[Stage],
        noise: Callable[[], Tensor],
        *,
        scale: float,
        sampler: str,
        schedule: str,
        steps: int,
        over: Tensor | None = None,
        run: int | None = None,
        between: Callable[[float, float], Tensor] | None = None,
    ) -> Tensor:
        cond, uncond = self.condition(positive), self.condition(negative)
        calls = 0

        def network(x: Tensor, t: float) -> Tensor:
            nonlocal calls
            answers = [
                self.pipe.unet(x[None], t, next(states for until, states in each if calls <= until)[None]).sample[0]
                for each in (cond, uncond)
            ]
            calls += 1
            return answers[1] + scale * (answers[0] - answers[1])

        model = webui.Wrapped(network)
        sigmas = webui.SCHEDULES[schedule](model, steps)[-1 - (run or steps) :]
        begun = noise() * sigmas[0] + (0 if over is None else over)
        if between is not None:
            return webui.dpmpp_2m_sde(model, begun, sigmas, between)
        return webui.SAMPLERS[sampler](model, begun, sigmas, noise)


def drawn(session: Session, folder: Path, prompt: str, **fields: object) -> Pixels:
    asked = {"negative": "a blue house", "seed": 11, "steps": 6, "guidance": 4.0, "width": 24, "height": 16}
    request = Request.of(prompt=prompt, model=str(folder), dtype="float32", compat="a1111", **asked | fields)
    return session.generate(request).result()[0].pixels


def philox(seed: int = 11, shape: tuple[int, int, int] = (4, 8, 12)) -> Callable[[], Tensor]:
    generator = Philox(seed)
    return lambda: torch.from_numpy(generator.randn(shape))


def apart(a: Pixels, b: Pixels) -> int:
    assert a.shape == b.shape
    assert b.std() > 5
    return int(np.abs(a.astype(int) - b.astype(int)).max())


NEGATIVE: list[Stage] = [(99, [[("a blue house", 1.0)]])]
ASKED = {"scale": 4.0, "sampler": "dpmpp-2m", "schedule": "karras", "steps": 6}


def test_emphasis_and_chunks(session: Session, folder: Path) -> None:
    """Two chunks against one, each with its own mean; noise as a GPU draws it and Karras' levels, unasked."""
    found = drawn(session, folder, "a (red:3) fox BREAK in [the snow]")
    positive = [(99, [[("a", 1.0), ("red", 3.0), ("fox", 1.0)], [("in", 1.0), ("the snow", 1 / 1.1)]])]
    wanted = WebUi(folder).draw(positive, NEGATIVE, philox(), **ASKED)  # type: ignore[arg-type]
    assert apart(found, wanted) <= BOUND
    plain = drawn(session, folder, "a red fox BREAK in the snow")
    assert apart(plain, wanted) > 3 * BOUND, "emphasis would make no difference"


@pytest.mark.parametrize(
    ("sampler", "prompt", "first"),
    [
        ("dpmpp-2m", "a [fox:(cat:1.4) in the snow:0.5]", 3),
        ("dpmpp-2m", "a [fox:(cat:1.4) in the snow:2]", 2),
        ("heun", "a [fox:(cat:1.4) in the snow:0.25]", 3),  # of twelve evaluations
        ("heun", "a [fox:(cat:1.4) in the snow:4]", 4),
    ],
)
def test_prompt_editing(session: Session, folder: Path, sampler: str, prompt: str, first: int) -> None:
    """Times count evaluations, from 0; the mean is that of all that the prompt says in turn."""
    found = drawn(session, folder, prompt, solver=sampler, schedule="karras")
    positive = [(first, [[("a fox", 1.0)]]), (99, [[("a", 1.0), ("cat", 1.4), ("in the snow", 1.0)]])]
    wanted = WebUi(folder).draw(positive, NEGATIVE, philox(), **ASKED | {"sampler": sampler})  # type: ignore[arg-type]
    assert apart(found, wanted) <= BOUND
    sooner = [(first - 1, positive[0][1]), positive[1]]
    other = WebUi(folder).draw(sooner, NEGATIVE, philox(), **ASKED | {"sampler": sampler})  # type: ignore[arg-type]
    assert apart(found, other) > BOUND


@pytest.mark.parametrize("skip", [1, 2])
def test_clip_skip_of_both_prompts(session: Session, folder: Path, skip: int) -> None:
    found = drawn(session, folder, "a red fox", clip_skip=skip)
    positive = [(99, [[("a red fox", 1.0)]])]
    wanted = WebUi(folder, skip=skip).draw(positive, NEGATIVE, philox(), **ASKED)  # type: ignore[arg-type]
    assert apart(found, wanted) <= BOUND
    other = WebUi(folder, skip=3 - skip).draw(positive, NEGATIVE, philox(), **ASKED)  # type: ignore[arg-type]
    assert apart(found, other) > BOUND


def test_cpu_noise_with_ensd(session: Session, folder: Path) -> None:
    found = drawn(session, folder, "a red fox", solver="euler-a", noise_source="cpu", noise_delta=31337)
    drawing = webui.draws(11, (4, 8, 12), 31337)
    asked = ASKED | {"sampler": "euler-a", "schedule": "model"}
    positive = [(99, [[("a red fox", 1.0)]])]
    wanted = WebUi(folder).draw(positive, NEGATIVE, lambda: next(drawing), **asked)  # type: ignore[arg-type]
    assert apart(found, wanted) <= BOUND


@pytest.mark.parametrize("source", ["cpu", "philox"])
def test_the_sde_samplers_noise_is_one_path(session: Session, folder: Path, source: Source) -> None:
    found = drawn(session, folder, "a red fox", solver="dpmpp-2m-sde", noise_source=source)
    there = WebUi(folder)
    sigmas = webui.exponential(webui.Wrapped(lambda x, t: x), 6)
    path = Brownian(11, (4, 8, 12), sigmas[-2], sigmas[0], source)
    asked = ASKED | {"sampler": "dpmpp-2m-sde", "schedule": "exponential"}
    first = Noise(11, (4, 8, 12), source=source)
    positive = [(99, [[("a red fox", 1.0)]])]
    wanted = there.draw(positive, NEGATIVE, first.first, between=path.noise, **asked)  # type: ignore[arg-type]
    assert apart(found, wanted) <= BOUND


def test_a_variation_mixes_column_by_column(session: Session, folder: Path) -> None:
    """All pictures of a batch have the first seed; the second counts on."""
    request = Request.of(
        prompt="a red fox",
        negative="a blue house",
        model=str(folder),
        compat="a1111",
        seed=11,
        variation_seed=5,
        variation=0.3,
        n=2,
        steps=6,
        guidance=4,
        width=24,
        height=16,
        dtype="float32",
    )
    last = session.generate(request).result()[1].pixels
    first = slerp_columns(philox()(), philox(6)(), 0.3)
    wanted = WebUi(folder).draw([(99, [[("a red fox", 1.0)]])], NEGATIVE, lambda: first, **ASKED)  # type: ignore[arg-type]
    assert apart(last, wanted) <= BOUND


@pytest.mark.parametrize(("strength", "run"), [(0.5, 4), (0.9, 6), (1.0, 6), (0.0, 1)])
def test_drawing_over_a_picture(session: Session, folder: Path, tmp_path: Path, strength: float, run: int) -> None:
    """One step more than the share; the noise is the seed's first draw; times still count from the first evaluation."""
    start = np.random.default_rng(1).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(start).save(tmp_path / "start.png")
    name = session.take_in(tmp_path / "start.png")
    found = drawn(session, folder, "a [fox:(cat:1.4):2]", init=name, strength=strength)
    positive = [(2, [[("a fox", 1.0)]]), (99, [[("a", 1.0), ("cat", 1.4)]])]
    there = WebUi(folder)
    wanted = there.draw(positive, NEGATIVE, philox(), over=there.mean(start), run=run, **ASKED)  # type: ignore[arg-type]
    assert apart(found, wanted) <= BOUND


def test_a_second_pass_over_the_enlarged_latent(session: Session, folder: Path) -> None:
    more = {"hires": 1.5, "hires_upscaler": "latent", "hires_strength": 0.6, "hires_steps": 3}
    found = drawn(session, folder, "a [fox:(cat:1.4):1.4]", solver="euler-a", **more)
    there, asked = WebUi(folder), ASKED | {"sampler": "euler-a", "schedule": "model"}
    with torch.no_grad():
        first = there.sampled([(99, [[("a fox", 1.0)]])], NEGATIVE, philox(), **asked)  # type: ignore[arg-type]
        large = torch.nn.functional.interpolate(first[None], (12, 18), mode="bilinear")[0]
        # 1.4: up to four tenths of the three evaluations, so the first two, counted from 0
        second = [(1, [[("a fox", 1.0)]]), (99, [[("a", 1.0), ("cat", 1.4)]])]
        noise = philox(shape=(4, 12, 18))
        wanted = there.draw(second, NEGATIVE, noise, over=large, run=3, **asked | {"steps": 5})  # type: ignore[arg-type]
    assert apart(found, wanted) <= BOUND


def test_a_second_pass_begins_the_seed_anew_and_runs_all_its_steps(session: Session, folder: Path) -> None:
    request = Request.of(
        prompt="a [fox:cat:0.5] [x:y:1.5]",
        model=str(folder),
        compat="a1111",
        seed=1,
        steps=4,
        hires=1.5,
        hires_steps=5,
        hires_strength=0.5,
        hires_upscaler="latent",
        width=16,
        height=16,
    )
    (plan,) = session.plan(request)
    second = plan.recipe.second
    assert second is not None
    assert (len(second.levels) - 1, second.begin) == (10, 5)
    assert [stage.until for stage in second.prompts["positive"]] == [3, 5]
    assert session.run([plan]).result()[0].pixels.shape == (24, 24, 3)


def test_it_is_part_of_a_plans_identity(session: Session) -> None:
    base = Request(prompt="a fox", seed=1, steps=3, solver="euler-a")  # it draws noise, so noise_delta counts
    changes: list[dict[str, object]] = [
        {},
        {"compat": "a1111"},
        {"noise_source": "philox"},
        {"noise_delta": 5},
        {"clip_skip": 2},
        {"compat": "a1111", "noise_source": "cpu"},
    ]
    found = [session.plan(base.but(**change))[0].identity for change in changes]
    assert len(set(found)) == len(changes)
    assert session.plan(base.but(noise_source="cpu"))[0].identity == found[0]


def test_what_is_not_exact_is_said_and_what_is_not_there_refused(session: Session) -> None:
    def codes(**fields: object) -> set[str]:
        (plan,) = session.plan(Request.of(prompt="a fox AND a cat", compat="a1111", **fields))
        return {notice.code for notice in plan.notices}

    assert codes(solver="dpmpp-2m-sde") == {"compat-and"}
    for solver in ("lcm", "unipc"):
        assert codes(solver=solver) == {"compat-and", "compat-approximate"}
    with pytest.raises(UnsupportedField, match="web UI's schedules"):
        session.plan(Request(prompt="a fox", schedule="exponential"))
