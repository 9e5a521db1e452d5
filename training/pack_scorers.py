"""Pack the two pocket scorers for Limner: float16 weights, words, card, licence and notice.

``python -m training.pack_scorers RUN ASSETS`` reads RUN/clip, RUN/judge and RUN/atlas.png and writes ASSETS/pocket_clip
and ASSETS/pocket_judge. A stage that has exported nothing is left out. ``words.json``, which splitting a user's text
needs, is written either way.
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from limner.evaluate.nets.detector import SIDE
from training.pack import size, write_legal
from training.sprites import Atlas
from training.world import COLOURS, COUNTS, PLACES, RELATIONS, SIZES, TIMES, Thing

CLIP = "pocket_clip"
JUDGE = "pocket_judge"
CHANCE = 0.6  # of two answers; below it a kind of fact counts as guessed
_TABLE_HEAD = "| on held-out scenes of the training's own renderer | share right |\n|---|---|\n"
_MEANINGS = {
    "r1_text": "own caption found among 256",
    "r1_image": "own picture found among 256",
    "near_all": "caption above one that is wrong in one fact (chance: 50 %)",
    "atom_all": "yes-or-no questions, all kinds (chance: 50 %)",
}
_CARDS = {
    CLIP: """---
license: apache-2.0
---
# pocket-clip

Says how well a picture of the pocket models fits words: cosine of a CLIP image and a CLIP text embedding (Radford et
al. 2021), {millions:.1f} M parameters, {side}x{side} pixels, {words} words, 32 tokens. It knows emoji-like scenes and
nothing else; Limner refuses to ask it about other pictures.

""",
    JUDGE: """---
license: apache-2.0
---
# pocket-judge

Answers yes-or-no questions about one fact of a picture ("is the fox red?"). A small convolutional detector of
{millions:.1f} M parameters sees at {side}x{side} pixels, in each cell of 8x8, which of {words} things stands there, its
colour and its centre, and in the whole picture place, time and ground; the answers follow from that by probability and
are calibrated on held-out renders. Trained apart from pocket-clip: other architecture, other labels, other grammar,
other seeds; but the same renderer, so the two are not fully independent. It knows emoji-like scenes and nothing else.

""",
}


def words(known: tuple[Thing, ...]) -> dict[str, object]:
    """What splitting a text needs to know of the world."""
    return {
        "things": [[list(pair) for pair in thing.names] for thing in known],
        "colours": list(COLOURS),
        "sizes": {k: list(v) for k, v in SIZES.items()},
        "counts": {str(k): list(v) for k, v in COUNTS.items()},
        "relations": {k: list(v) for k, v in RELATIONS.items()},
        "places": {k: [list(after), list(alone)] for k, (after, alone) in PLACES.items()},
        "times": {k: [list(after), list(alone)] for k, (after, alone) in TIMES.items()},
    }


def measured(log: Path) -> str:
    """The training's last evaluation as a table, with how long it had trained."""
    last = json.loads(log.read_text().splitlines()[-1])
    shown = {k: v for k, v in last.items() if k.startswith(("r1_", "near_", "atom_"))}
    brier = [f"| mean squared error of its probabilities | {last['brier']:.3f} |"] if "brier" in last else []
    rows = [f"| {_MEANINGS.get(k, k.partition('_')[2] + ' alone')} | {v:.1%} |" for k, v in shown.items()]
    trained = f"Trained for {last['minutes']:.0f} minutes of one processor core on {last['seen']:,} pictures."
    return trained + "\n\n" + _TABLE_HEAD + "\n".join(rows + brier) + "\n"


def verified(log: Path) -> str:
    """The last evaluation in one line, with the kinds of facts at which it is hardly better than chance."""
    last = json.loads(log.read_text().splitlines()[-1])
    kind, what = ("atom_", "yes-or-no questions") if "atom_all" in last else ("near_", "captions wrong in one fact")
    weak = [k.removeprefix(kind) for k, v in sorted(last.items()) if k.startswith(kind) and v < CHANCE]
    told = f"; little better than chance at: {', '.join(weak)}" if weak else ""
    return f"{last[f'{kind}all']:.1%} of {what} told right on held-out scenes of the training's renderer{told}"


def pack_clip(run: Path, out: Path, notes: str = "") -> None:
    """``run``/model (transformers' layout) and vocab.json, in half precision under the same names."""
    config = json.loads((run / "model" / "config.json").read_text())
    weights = {k: v.half().contiguous() for k, v in load_file(run / "model" / "model.safetensors").items()}
    vocab = json.loads((run / "vocab.json").read_text())
    _write(out, weights, {**config, "vocab": vocab}, run / "log.jsonl", notes, config["vision_config"]["image_size"])


def pack_judge(run: Path, out: Path, notes: str = "") -> None:
    """What the judge's stage exported, with its card."""
    config = json.loads((run / "config.json").read_text())
    weights = load_file(run / "model.safetensors")
    _write(out, weights, config, run / "log.jsonl", notes, SIDE)


def _write(
    out: Path, weights: dict[str, torch.Tensor], config: dict[str, object], log: Path, notes: str, side: int
) -> None:
    name = out.name
    out.mkdir(parents=True, exist_ok=True)
    save_file(weights, out / "model.safetensors", {"format": "pt"})
    (out / "config.json").write_text(json.dumps(config) + "\n")
    packed = (out / "model.safetensors").read_bytes() + (out / "config.json").read_bytes()
    facts = {
        "revision": hashlib.sha256(packed).hexdigest()[:12],
        "verified": verified(log),
        "size_bytes": len(packed),
    }
    (out / "card.json").write_text(json.dumps(facts, indent=2) + "\n")
    millions = sum(v.numel() for v in weights.values()) / 1e6
    known = config["vocab"] if "vocab" in config else config["things"]
    card = _CARDS[name].format(millions=millions, words=len(known), side=side)  # type: ignore[arg-type]
    (out / "README.md").write_text(
        card + measured(log) + notes + "\n## Licence\n\nApache-2.0, see `LICENSE` and `NOTICE`.\n"
    )
    write_legal(out, out.name, "a scorer")


def as_taught(judge: Path, known: tuple[Thing, ...]) -> tuple[Thing, ...]:
    """The things in the order in which the judge there numbers them; as they come where there is none.

    Raises KeyError for a thing of the judge's that is not known any more.
    """
    config = judge / "config.json"
    if not config.exists():
        return known
    named = {thing.name: thing for thing in known}
    return tuple(named[name] for name in json.loads(config.read_text())["things"])


def main() -> None:
    """Pack what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("assets", type=Path)
    parser.add_argument("--notes", type=Path, help="folder with markdown for a card: pocket_clip.md, pocket_judge.md")
    given = parser.parse_args()

    def notes(name: str) -> str:
        found = given.notes / f"{name}.md" if given.notes else None
        return "\n" + found.read_text() if found and found.exists() else ""

    judge = given.assets / JUDGE
    judge.mkdir(parents=True, exist_ok=True)
    if (given.run / "clip" / "model").exists():
        pack_clip(given.run / "clip", given.assets / CLIP, notes(CLIP))
    if (given.run / "judge" / "model.safetensors").exists():
        pack_judge(given.run / "judge", judge, notes(JUDGE))
    known = as_taught(judge, Atlas.load(given.run / "atlas.png").things)
    (judge / "words.json").write_text(json.dumps(words(known)) + "\n")
    write_legal(judge, JUDGE, "a scorer")
    for folder in (given.assets / CLIP, judge):
        print(size(folder))


if __name__ == "__main__":
    main()
