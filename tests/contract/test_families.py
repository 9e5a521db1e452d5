"""What every family promises, over the registry: a new family is one file, and this suite picks it up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from limner import Request, Session, registry
from limner.config import Settings
from limner.errors import LimnerError
from limner.session.planning import load_family
from limner.types import Done, Made, Step
from limner.types import Request as RequestType
from tests.checkpoints import POCKET, XL_BASE, write_xl
from tests.dalle import FIXTURES
from tests.pipelines import write as write_pipeline

FAMILIES = registry.names("families")
PROMPT = "a red fox in the snow"


WEIGHTS = (".safetensors", ".msgpack")
Place = Path | Callable[[Path], Path]
CHECKPOINTS: dict[str, tuple[Place, dict[str, object]]] = {
    "sd": (POCKET, {}),
    "sdxl": (lambda folder: write_xl(folder, XL_BASE), {"dtype": "float32", "width": 32, "height": 24}),
    # Float32: the fixture's logits are so close to each other that half precision hides the words.
    "dalle-mini": (FIXTURES, {"dtype": "float32"}),
    "pipeline": (
        lambda folder: write_pipeline(folder, "StableDiffusion3Pipeline"),
        {"dtype": "float32", "width": 32, "height": 48, "steps": 4},
    ),
}
"""A checkpoint of each family that needs no network, or what writes one, and what to ask of it. A new family adds a
line."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    settings = Settings.load(tmp_path_factory.mktemp("home"), {})
    with Session(settings=settings, keep=False, offline=True) as made:
        yield made


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints as they are first asked for."""
    root = tmp_path_factory.mktemp("checkpoints")
    return WrittenOnce({name: place for name, (place, _) in CHECKPOINTS.items()}, root)


class WrittenOnce(dict[str, Path]):
    def __init__(self, places: dict[str, Place], root: Path) -> None:
        super().__init__()
        self.places, self.root = places, root

    def __missing__(self, name: str) -> Path:
        place = self.places[name]
        self[name] = place if isinstance(place, Path) else place(self.root / name)
        return self[name]


@pytest.fixture(params=FAMILIES)
def request_(request: pytest.FixtureRequest, written: dict[str, Path]) -> Request:
    folder, more = written[request.param], CHECKPOINTS[request.param][1]
    return Request.of(prompt=PROMPT, model=str(folder), seed=3, **more)


@pytest.mark.parametrize("name", FAMILIES)
def test_honours_only_fields_that_exist(name: str) -> None:
    assert load_family(name).honours <= set(RequestType.model_fields)
    assert {"prompt", "n", "seed", "model"} <= load_family(name).honours


@pytest.mark.parametrize("name", FAMILIES)
def test_recognises_its_own_and_not_nothing(name: str) -> None:
    assert load_family(name).recognise({}) == 0.0
    assert load_family(name).name == name


def test_a_plan_is_made_without_torch_and_is_repeatable(session: Session, request_: Request) -> None:
    one, two = session.plan(request_)[0], session.plan(request_)[0]
    assert one == two
    assert type(one).model_validate_json(one.model_dump_json()) == one
    assert one.identity == type(one).model_validate_json(one.model_dump_json()).identity


def test_a_picture_is_made_with_progress(session: Session, request_: Request) -> None:
    events = list(session.generate(request_.but(n=2)))
    assert isinstance(events[-1], Done)
    made = [e for e in events if isinstance(e, Made)]
    assert [m.index for m in made] == [0, 1]
    plan = session.plan(request_)[0]
    for m in made:
        assert m.image.pixels.shape == (plan.recipe.height, plan.recipe.width, 3)
        assert m.image.pixels.dtype == np.uint8
        assert m.image.pixels.std() > 1
    for k in (0, 1):
        steps = [(e.step, e.steps) for e in events if isinstance(e, Step) and e.index == k]
        assert [s for s, _ in steps] == list(range(1, steps[-1][1] + 1))


def test_same_seed_same_picture_other_seed_another(session: Session, request_: Request) -> None:
    (one,), (two,), (other,) = (session.generate(request_.but(seed=s)).result() for s in (3, 3, 4))
    assert one.record.pixel_hash == two.record.pixel_hash != other.record.pixel_hash


def test_words_matter(session: Session, request_: Request) -> None:
    (one,) = session.generate(request_).result()
    (other,) = session.generate(request_.but(prompt="a castle at night")).result()
    assert one.record.pixel_hash != other.record.pixel_hash


@pytest.mark.parametrize("broken", ["missing", "truncated", "shapes"])
def test_damaged_weights_are_one_clear_error(session: Session, request_: Request, tmp_path: Path, broken: str) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(request_.model or "", folder, ignore=shutil.ignore_patterns("min_dalle"))
    found = sorted((p for p in folder.rglob("*") if p.suffix in WEIGHTS), key=lambda p: p.stat().st_size)
    smallest, weights = found[0], found[-1]
    if broken == "missing":
        weights.unlink()
    elif broken == "truncated":
        data = weights.read_bytes()
        weights.write_bytes(data[: len(data) // 2])
    else:
        shutil.copyfile(smallest, weights)
    with pytest.raises(LimnerError) as caught:
        session.generate(request_.but(model=str(folder))).result()
    assert caught.value.hint
    assert len(session.generate(request_).result()) == 1, "the next request works"
