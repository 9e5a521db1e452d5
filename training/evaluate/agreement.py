"""Do pocket-clip, pocket-judge and checks without a model say the same of drawn pictures?

``python -m training.evaluate.agreement PACK --run RUN``: on held-out prompts it prints the rank correlation of the two
scorers, and how often each sides with the colour histogram and the component count.
"""

import argparse
import json
import random
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPModel

from training import captions, pocket, train_clip, train_judge
from training.evaluate import modelfree
from training.evaluate.prompts import LIST
from training.loop import pick_device

_NUMBERS = ("one", "two", "three", "four", "five")


def ranks(values: Tensor) -> Tensor:
    """Ranks of [N] values from 0, ties by position."""
    return values.argsort().argsort().float()


def spearman(a: Tensor, b: Tensor) -> float:
    """Rank correlation of two lists [N]."""
    pair = torch.stack([ranks(a), ranks(b)])
    return float(torch.corrcoef(pair)[0, 1])


def atoms_of(row: dict[str, object]) -> list[str]:
    """A prompt's atoms as the judge is asked them."""
    things, colours = list(row["things"]), list(row["colours"])  # type: ignore[call-overload]
    asked = [f"is there any {t}?" for t in things]
    asked += [f"is the {t} {c}?" for t, c in zip(things, colours, strict=True) if c]
    if row["relation"]:
        frame = {"left": "left of", "right": "right of"}.get(str(row["relation"]), str(row["relation"]))
        asked.append(f"is the {things[0]} {frame} the {things[1]}?")
    return asked


class Judged:
    """The exported judge with its words."""

    def __init__(self, folder: Path, device: str) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.vocab, self.device = config["vocab"], device
        self.model = train_judge.Judge(config["words"], config["width"], config["layers"])
        self.model.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
        self.model.to(device).eval()

    @torch.no_grad()
    def yes(self, picture: Tensor, questions: list[str]) -> Tensor:
        """Probability of yes [Q] for one picture [3, H, W]."""
        ids = [captions.encode(q, self.vocab, train_judge.LENGTH) for q in questions]
        return self.model(picture[None], torch.tensor([ids], device=self.device))[0].sigmoid()


def _by_colour(rows: list[dict[str, object]], pictures: Tensor, judge: Judged) -> dict[str, float]:
    agree = []
    for row, picture, seen in zip(rows, pictures, modelfree.colour_of(pictures), strict=True):
        colour, thing = row["colours"][0], row["things"][0]  # type: ignore[index]
        if row["kind"] == "colour":
            agree.append((judge.yes(picture, [f"is the {thing} {colour}?"]).item() > 0.5) == (seen == colour))
    return {"judge_and_histogram": sum(agree) / max(1, len(agree)), "n_colour": len(agree)}


def _by_count(rows: list[dict[str, object]], pictures: Tensor, judge: Judged) -> dict[str, float]:
    agree = []
    for row, picture, pieces in zip(rows, pictures, modelfree.components(pictures), strict=True):
        if row["kind"] == "count" and row["place"] == "plain":
            n = int(row["counts"][0])  # type: ignore[index]
            noun = row["things"][0]  # type: ignore[index]
            says = judge.yes(picture, [f"are there exactly {_NUMBERS[n - 1]} {noun}?"]).item() > 0.5
            agree.append(says == (pieces == n))
    return {"judge_and_components": sum(agree) / max(1, len(agree)), "n_count": len(agree)}


def main() -> None:
    """Draw, score both ways, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--limit", type=int, default=256)
    given = parser.parse_args()
    device = pick_device(given.device)
    rows = [json.loads(line) for line in LIST.read_text().splitlines()]
    rows = random.Random(0).sample(rows, min(given.limit, len(rows)))
    drawn, judge = pocket.load_pack(given.pack, device), Judged(given.run / "judge", device)
    clip = CLIPModel.from_pretrained(given.run / "clip" / "model").to(device).eval()
    words = json.loads((given.run / "clip" / "vocab.json").read_text())
    prompts = [str(r["prompt"]) for r in rows]
    cuts = range(0, len(rows), 64)
    pictures = torch.cat([drawn.draw(prompts[k : k + 64], list(range(k, min(k + 64, len(rows))))) for k in cuts])
    ids = torch.tensor([captions.encode(p, words, pocket.LENGTH) for p in prompts], device=device)
    with torch.no_grad():
        seen, read = train_clip.embed(clip, pictures, ids)
    by_clip = (seen * read).sum(1).cpu()
    by_judge = torch.stack([judge.yes(p, atoms_of(r)).mean() for p, r in zip(pictures, rows, strict=True)]).cpu()
    found = {"clip_and_judge": spearman(by_clip, by_judge), "n": len(rows)}
    print(json.dumps(found | _by_colour(rows, pictures, judge) | _by_count(rows, pictures, judge), indent=2))


if __name__ == "__main__":
    main()
