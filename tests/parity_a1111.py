"""How near ``--compat a1111`` comes to the web UI's formulas, and how far the default is from them.

    python -m tests.parity_a1111      # rewrites docs/a1111-parity.md

The web UI itself does not run here. What is compared is its behaviour written anew from its documentation and from
k-diffusion's papers (``tests/unit/sampling/webui.py``), with small networks of random weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from limner import Request, Session
from limner.config import Settings
from limner.sampling import compat
from limner.sampling.brownian import Brownian
from limner.sampling.catalog import find
from limner.sampling.noise import Noise
from limner.sampling.philox import Philox
from limner.types import Pixels
from tests.unit.sampling import webui
from tests.unit.sampling.drive import SD1, SHAPE, Network
from tests.unit.sampling.drive import ours as default
from tests.unit.sampling.test_compat import apart, ours, sde, theirs
from tests.unit.sampling.test_philox import CUDA_SEED_0, KNOWN
from tests.unit.session import test_compat as pictures

PAGE = Path(__file__).resolve().parent.parent / "docs" / "a1111-parity.md"
STEPS = (1, 2, 7, 20, 31, 50)


def main() -> None:
    text = "\n".join([*_head(), *_samplings(), *_noise(), *_pictures()]) + "\n"
    PAGE.write_text(text, "utf-8")
    print(text)


def _head() -> list[str]:
    return [
        "# How near to A1111",
        "",
        "Written by `python -m tests.parity_a1111`; the tests hold the same comparisons to bounds. The web UI itself",
        "did not run: both sides are compared on small networks with random weights, its side being its rules",
        "written anew (`tests/unit/sampling/webui.py`). The rules, and what is not covered, are in",
        "[Coming from A1111](a1111.md).",
        "",
    ]


def _samplings() -> Iterator[str]:
    yield from ("## Noise levels and samplers", "")
    yield "Largest difference of a finished latent, as a share of its largest value, over 1 to 50 steps. 1e-06 is"
    yield "float32's own rounding. *Default* is Limner without `--compat`, over 7 to 50 steps, with `--schedule karras`"
    yield "in the Karras rows; the model says no timestep spacing, as Stable Diffusion 1.5 does not."
    yield from ("", "| solver | schedule type | `--compat a1111` | default |", "|---|---|---|---|")
    for solver in webui.SAMPLERS:
        for schedule in webui.SCHEDULES:
            near = max(
                apart(ours(solver, schedule, n, Network()), theirs(solver, schedule, n, Network())) for n in STEPS
            )
            far = _default(solver, schedule) if schedule in ("model", "karras") else "not there"
            yield f"| {find(solver).a1111} | {compat.SCHEDULES[schedule]} | {near:.1e} | {far} |"
    near = max(apart(ours("ddim", None, n, Network()), theirs("ddim", "model", n, Network())) for n in STEPS[1:])
    far = max(
        apart(default(find("ddim"), SD1, n, Network()).x, theirs("ddim", "model", n, Network())) for n in (20, 50)
    )
    for schedule in ("karras", "exponential"):
        yield f"| DPM++ 2M SDE | {compat.SCHEDULES[schedule]} | {_sde(schedule):.1e} | other noise |"
    yield f"| DDIM | its own | {near:.1e} | {far:.1e} |"
    yield ""


def _sde(schedule: str) -> float:
    """Each side asks the seed's path for its own levels."""
    found = []
    for n in STEPS:
        here, there = Network(), Network()
        model = webui.Wrapped(lambda x, t, net=there: net(x[None], t)[0])
        sigmas = webui.SCHEDULES[schedule](model, n)
        first = Noise(3, SHAPE).first()
        path = Brownian(3, SHAPE, sigmas[-2], sigmas[0])
        wanted = webui.dpmpp_2m_sde(model, first * sigmas[0], sigmas, path.noise)
        found.append(apart(sde(schedule, n, here), wanted))
    return max(found)


def _default(solver: str, schedule: str) -> str:
    far = max(
        apart(
            default(find(solver), SD1, n, Network(), karras=schedule == "karras").x,
            theirs(solver, schedule, n, Network()),
        )
        for n in STEPS[2:]
    )
    return f"{far:.1e}"


def _noise() -> Iterator[str]:
    drawn = Philox(0).randn((3, 4))
    off = float(np.abs(drawn - np.asarray(CUDA_SEED_0)).max())
    yield from ("## Noise", "")
    yield f"- Philox 4x32-10 gives Random123's known answers: {len(KNOWN)} of {len(KNOWN)}, bit for bit."
    yield f"- Against the numbers A1111 documents for seed 0 on an NVIDIA GPU: {off:.1e} apart at most."
    yield "- The Brownian path of DPM++ 2M SDE gives torchsde's numbers to 2e-06 (checked once against its own code)."
    yield "- CPU noise is the same call of the same generator as the web UI's."
    yield ""


Case = tuple[str, str, dict[str, object], Sequence[pictures.Stage], dict[str, object], int]
_PLAIN: Sequence[pictures.Stage] = [(99, [[("a red fox", 1.0)]])]
CASES: Sequence[Case] = (
    ("words alone", "a red fox", {}, _PLAIN, {}, 1),
    (
        "emphasis, BREAK",
        "a (red:1.6) fox BREAK in [the snow]",
        {},
        [(99, [[("a", 1.0), ("red", 1.6), ("fox", 1.0)], [("in", 1.0), ("the snow", 1 / 1.1)]])],
        {},
        1,
    ),
    (
        "prompt editing",
        "a [fox:(cat:1.4) in the snow:0.5]",
        {},
        [(3, [[("a fox", 1.0)]]), (99, [[("a", 1.0), ("cat", 1.4), ("in the snow", 1.0)]])],
        {},
        1,
    ),
    (
        "prompt editing, Heun",
        "a [fox:(cat:1.4) in the snow:4]",
        {"solver": "heun"},
        [(4, [[("a fox", 1.0)]]), (99, [[("a", 1.0), ("cat", 1.4), ("in the snow", 1.0)]])],
        {"sampler": "heun"},
        1,
    ),
    ("clip skip 2", "a red fox", {"clip_skip": 2}, _PLAIN, {}, 2),
)


def _pictures() -> Iterator[str]:
    yield from ("## Whole pictures", "")
    yield "DPM++ 2M, Karras, 6 steps, guidance 4, float32, noise as a GPU draws it on both sides. Largest and mean"
    yield "difference of any value, of 255. (Of words alone the default differs by rounding where the web UI cuts off.)"
    yield from ("", "| picture | `--compat a1111` | default rules |", "|---|---|---|")
    with (
        tempfile.TemporaryDirectory() as place,
        Session(settings=Settings.load(Path(place) / "home", {}), keep=False, offline=True) as session,
    ):
        folder = pictures.listening(Path(place))
        for what, prompt, fields, stages, asked, skip in CASES:
            there = pictures.WebUi(folder, skip=skip).draw(
                stages,
                pictures.NEGATIVE,
                pictures.philox(),
                **pictures.ASKED | asked,  # type: ignore[arg-type]
            )
            here = pictures.drawn(session, folder, prompt, schedule="karras", **fields)
            other = session.generate(
                Request.of(
                    prompt=prompt,
                    negative="a blue house",
                    model=str(folder),
                    seed=11,
                    steps=6,
                    guidance=4,
                    width=24,
                    height=16,
                    dtype="float32",
                    noise_source="philox",
                    schedule="karras",
                    **fields,
                )
            ).result()[0]
            yield f"| {what} | {_gap(here, there)} | {_gap(other.pixels, there)} |"


def _gap(a: Pixels, b: Pixels) -> str:
    gap = np.abs(a.astype(int) - b.astype(int))
    return f"{gap.max()}, {gap.mean():.2f}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
