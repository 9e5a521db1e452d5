"""Do pocket-clip, pocket-judge and checks without a model say the same of drawn pictures?

``python -m training.evaluate.agreement PACK --run RUN``: on held-out prompts it prints the rank correlation of the two
scorers, how often each sides with the colour histogram and the component count, and how well pocket-clip finds a
picture's own prompt among all.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPModel

from limner.evaluate.nets.detector import Detector, DetectorConfig
from limner.evaluate.pocket_sight import Fact
from training import captions, exam, pocket, train_clip
from training.evaluate import modelfree
from training.evaluate.prompts import held_out
from training.loop import pick_device
from training.sprites import Atlas


def ranks(values: Tensor) -> Tensor:
    """Ranks of [N] values from 0, ties by position."""
    return values.argsort().argsort().float()


def spearman(a: Tensor, b: Tensor) -> float:
    """Rank correlation of two lists [N]."""
    pair = torch.stack([ranks(a), ranks(b)])
    return float(torch.corrcoef(pair)[0, 1])


def found_again(scores: Tensor) -> dict[str, float]:
    """Of pictures by prompts [N, N]: how often its own prompt is a picture's best, and above another one."""
    own = scores.diagonal()[:, None]
    others = ~torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return {
        "own_prompt_best": (scores.argmax(1) == torch.arange(len(scores), device=scores.device)).float().mean().item(),
        "own_prompt_above_another": (own > scores)[others].float().mean().item(),
    }


def facts_of(row: dict[str, object], known: list[str]) -> list[Fact]:
    """A prompt's atoms as the judge is asked them; ``known`` are the things that it knows, in its order."""
    things = [known.index(str(t)) for t in row["things"]]  # type: ignore[attr-defined]
    colours = list(row["colours"])  # type: ignore[call-overload]
    asked = [Fact("thing", (t,)) for t in things]
    asked += [Fact("colour", (t,), c) for t, c in zip(things, colours, strict=True) if c]
    if row["relation"]:
        asked.append(Fact("relation", (things[0], things[1]), str(row["relation"])))
    return asked


class Judged:
    """The exported judge."""

    def __init__(self, folder: Path, device: str) -> None:
        config = DetectorConfig.from_json(json.loads((folder / "config.json").read_text()))
        self.known, self.device = list(config.things), device
        self.model = Detector(config)
        self.model.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
        self.model.to(device).eval()

    def yes(self, picture: Tensor, facts: list[Fact]) -> list[float]:
        """Probability of yes to each fact, for one picture [3, H, W]."""
        sight = exam.sights(self.model, picture[None], self.model.config.calibration)[0]
        return [sight.yes(fact) for fact in facts]


def _by_colour(rows: list[dict[str, object]], pictures: Tensor, judge: Judged) -> dict[str, float]:
    agree = []
    for row, picture, seen in zip(rows, pictures, modelfree.colour_of(pictures), strict=True):
        if row["kind"] == "colour":
            fact = facts_of(row, judge.known)[1]
            agree.append((judge.yes(picture, [fact])[0] > 0.5) == (seen == fact.value))
    return {"judge_and_histogram": sum(agree) / max(1, len(agree)), "n_colour": len(agree)}


def _by_count(rows: list[dict[str, object]], pictures: Tensor, judge: Judged) -> dict[str, float]:
    agree = []
    for row, picture, pieces in zip(rows, pictures, modelfree.components(pictures), strict=True):
        if row["kind"] == "count" and row["place"] == "plain":
            n = int(row["counts"][0])  # type: ignore[index]
            things = facts_of(row, judge.known)[0].things
            says = judge.yes(picture, [Fact("count", things, n)])[0] > 0.5
            agree.append(says == (pieces == n))
    return {"judge_and_components": sum(agree) / max(1, len(agree)), "n_count": len(agree)}


def main() -> None:
    """Draw, score both ways, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--things", type=int, help="only prompts about the first so many things")
    parser.add_argument("--limit", type=int, default=256)
    given = parser.parse_args()
    device = pick_device(given.device)
    rows = held_out((t.name for t in Atlas.load(given.run / "atlas.png").things[: given.things]), given.limit)
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
    answers = [judge.yes(p, facts_of(r, judge.known)) for p, r in zip(pictures, rows, strict=True)]
    by_judge = torch.tensor([sum(each) / len(each) for each in answers])
    found = {"clip_and_judge": spearman(by_clip, by_judge), "n": len(rows), **found_again(seen @ read.T)}
    print(json.dumps(found | _by_colour(rows, pictures, judge) | _by_count(rows, pictures, judge), indent=2))


if __name__ == "__main__":
    main()
