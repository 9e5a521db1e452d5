"""Does refining pay: refine against paraphrase alone and best-of-n at the same budget, on prompts never trained on.

    python -m benchmarks.refining --prompts 40 --budget 48 --out refining.jsonl

The prompts are held-out ones (``training/evaluate/heldout.jsonl``, in a shuffled order) that the model gets wrong: of
two pictures on seeds of their own, the judge misses a fact. For each, three ways spend the same number of pictures:
``refine`` with all strategies, ``paraphrase`` alone, and ``best-of-n``, which keeps the user's words and picks.
What each came to is then measured on fresh seeds that no search saw, the same for all, against the user's own words:

- *fresh*: the mean over the fresh seeds (best-of-n: the user's words), by the judge and by the search scorer;
- *shown*: the four pictures that a person would be shown: of the fresh ones those that the search scorer likes best,
  for best-of-n of as many pictures of the user's words as the budget has.

Intervals are clustered by prompt (sign-flip). It goes on where an earlier run with the same ``--out`` stopped.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import limner
from limner import Session
from limner.errors import LimnerError
from limner.evaluate.statistics import sign_flip_interval, sign_flip_p
from limner.image import Image
from limner.types import Request

HELDOUT = Path(__file__).parent.parent / "training" / "evaluate" / "heldout.jsonl"
SEARCH, JUDGE = "pocket-clip", "pocket-judge"
CHECKED, FRESH = 9_000_000, 8_000_000  # first seeds of the check for wrongness, and of the measurement
YES = 0.5
SHOWN = 4
WAYS = {"refine": (), "paraphrase": ("paraphrase",)}


def asked(prompt: str, steps: int, **more: object) -> Request:
    return Request.of(prompt=prompt, steps=steps, **more)


def drawn(session: Session, prompt: str, steps: int, seed: int, n: int) -> list[Image]:
    return session.generate(asked(prompt, steps, seed=seed, n=n), literal=True).result()


def facts(session: Session, images: Sequence[Image], words: str) -> list[float]:
    """Share of the facts of the user's words that the judge sees, for each picture."""
    found = []
    for image in images:
        answers = session.scoring.answers(image.pixels, words, JUDGE)
        found.append(float(np.mean([chance >= YES for chance in answers.values()])))
    return found


def measured(session: Session, images: Sequence[Image], words: str) -> dict[str, float]:
    scores = session.score(images, words, [JUDGE, SEARCH])
    return {
        "facts": float(np.mean(facts(session, images, words))),
        JUDGE: float(np.mean([each[0].value for each in scores])),
        SEARCH: float(np.mean([each[1].value for each in scores])),
    }


def best(session: Session, images: Sequence[Image], words: str) -> list[Image]:
    scores = session.score(images, words, [SEARCH])
    order = sorted(range(len(images)), key=lambda k: -scores[k][0].value)
    return [images[k] for k in order[:SHOWN]]


def one(session: Session, words: str, budget: int, fresh: int, steps: int) -> dict[str, object]:
    """What each way came to for one prompt."""
    own = drawn(session, words, steps, FRESH, fresh)
    base = measured(session, own, words)
    many = own + drawn(session, words, steps, FRESH + fresh, max(0, budget - fresh))
    row: dict[str, object] = {
        "prompt": words,
        "own": base,
        "best-of-n": {"fresh": base, "shown": measured(session, best(session, many, words), words)},
    }
    for way, strategies in WAYS.items():
        found = limner.refine(
            asked(words, steps),
            budget=f"{budget}images",
            strategies=strategies,
            scorers=[SEARCH],
            judges=[JUDGE],
            session=session,
        )
        pictures = own
        if found.request.prompt != words:
            pictures = drawn(session, found.request.prompt, steps, FRESH, fresh)
        row[way] = {
            "outcome": found.outcome,
            "prompt": found.request.prompt,
            "fresh": measured(session, pictures, words),
            "shown": measured(session, best(session, pictures, words), words),
        }
    return row


def is_wrong(session: Session, words: str, steps: int) -> bool:
    return min(facts(session, drawn(session, words, steps, CHECKED, 2), words)) < 1


def compared(rows: Sequence[dict[str, dict[str, dict[str, float]]]], way: str, other: str, what: str, name: str) -> str:
    def side(each: str) -> NDArray[np.float64]:
        return np.array([row["own"][name] if each == "own" else row[each][what][name] for row in rows])

    gain = side(way) - side(other)
    low, high = sign_flip_interval(gain)
    return f"{way} - {other}, {what}, {name}: {gain.mean():+.3f} [{low:+.3f}, {high:+.3f}] p {sign_flip_p(gain):.3f}"


def told(rows: Sequence[dict[str, dict[str, dict[str, float]]]]) -> None:
    print(f"{len(rows)} prompts")
    for way in WAYS:
        better = sum(row[way]["outcome"] == "better" for row in rows)  # type: ignore[comparison-overlap]
        print(f"{way}: verified better for {better} of {len(rows)}")
    for what in ("fresh", "shown"):
        for name in ("facts", JUDGE, SEARCH):
            for way, other in (("refine", "own"), ("refine", "paraphrase"), ("refine", "best-of-n")):
                print(compared(rows, way, other, what, name))


def main() -> None:
    parser = argparse.ArgumentParser(description="refine against paraphrase alone and best-of-n")
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--budget", type=int, default=48, help="pictures of each way")
    parser.add_argument("--fresh", type=int, default=8, help="pictures a prompt and way that are measured")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("refining.jsonl"))
    options = parser.parse_args()
    lines = [json.loads(line)["prompt"] for line in HELDOUT.read_text().splitlines()]
    random.Random(1).shuffle(lines)
    rows = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.is_file() else []
    seen = {row["prompt"] for row in rows}
    with Session(offline=True, scored=False) as session, options.out.open("a") as out:
        for words in lines:
            if sum("refine" in row for row in rows) >= options.prompts:
                break
            if words in seen:
                continue
            try:
                wrong = is_wrong(session, words, options.steps)
                row = one(session, words, options.budget, options.fresh, options.steps) if wrong else {"prompt": words}
            except LimnerError as error:
                row = {"prompt": words, "error": error.message}
            rows.append(row)
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(json.dumps(row)[:160], flush=True)
    told([row for row in rows if "refine" in row])


if __name__ == "__main__":
    main()
