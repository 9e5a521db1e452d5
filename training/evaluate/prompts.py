"""The fixed list of held-out prompts: ``heldout.jsonl`` beside this file, one prompt with its atoms a line.

``python -m training.evaluate.prompts ATLAS`` writes it again; it only changes when the world does.
"""

import argparse
import json
import random
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from training.captions import caption
from training.scene import Part, Scene, atoms, is_held_out
from training.sprites import Atlas
from training.world import COLOURS, COUNTS, OPEN, PLACES, RELATIONS, TIMELESS, Thing

LIST = Path(__file__).parent / "heldout.jsonl"
SIZES = {"place": 240, "colour": 200, "count": 160, "relation": 240}


def _place(things: int, rng: random.Random) -> Scene:
    place = rng.choice([*PLACES, OPEN])
    times = ("night", "sunset") if place == OPEN else ("day",) if place in TIMELESS else ("day", "night", "sunset")
    return Scene((Part(rng.randrange(things)),), place=place, time=rng.choice(times))


def _colour(things: int, rng: random.Random) -> Scene:
    return Scene((Part(rng.randrange(things), rng.choice(list(COLOURS))),))


def _count(things: int, rng: random.Random) -> Scene:
    return Scene((Part(rng.randrange(things), count=rng.choice(list(COUNTS))),))


def _relation(things: int, rng: random.Random) -> Scene:
    first, second = rng.sample(range(things), 2)
    return Scene((Part(first), Part(second)), relation=rng.choice(list(RELATIONS)))


_KINDS: dict[str, Callable[[int, random.Random], Scene]] = {
    "place": _place, "colour": _colour, "count": _count, "relation": _relation,
}  # fmt: skip


def prompts(known: tuple[Thing, ...], sizes: dict[str, int] | None = None) -> list[dict[str, object]]:
    """Held-out prompts of each kind with the number of the kind, its caption and atoms; no prompt twice."""
    rows: list[dict[str, object]] = []
    said: set[str] = set()
    for kind, wanted in (sizes or SIZES).items():
        tries = made = 0
        while made < wanted:
            rng = random.Random(f"prompt:{kind}:{tries}")
            tries += 1
            scene = _KINDS[kind](len(known), rng)
            text = caption(scene, known, rng)
            if is_held_out(scene, known) and text not in said:
                said.add(text)
                made += 1
                rows.append({"kind": kind, "prompt": text, **atoms(scene, known)})
    return rows


def held_out(known: Iterable[str], limit: int | None = None, kinds: Collection[str] = SIZES) -> list[dict[str, object]]:
    """The list's prompts about ``known`` things of some kinds, at most ``limit`` of them, spread over the kinds."""
    rows = [json.loads(line) for line in LIST.read_text().splitlines()]
    names = set(known)
    rows = [row for row in rows if names.issuperset(row["things"]) and row["kind"] in kinds]
    return spread(rows, limit) if limit else rows


def spread(rows: list[dict[str, object]], n: int) -> list[dict[str, object]]:
    """``n`` of the rows at even distances, or all that there are."""
    return [rows[k * len(rows) // n] for k in range(n)] if len(rows) > n else rows


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("atlas", type=Path)
    known = Atlas.load(parser.parse_args().atlas).things
    LIST.write_text("".join(json.dumps(row) + "\n" for row in prompts(known)))


if __name__ == "__main__":
    main()
