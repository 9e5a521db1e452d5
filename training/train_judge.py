"""Stage 5: pocket-judge, which answers yes-or-no questions about one fact of a picture each.

Independent of pocket-clip: a convolutional eye and a decoder in which every word of the question looks at the picture's
cells; its own seeds; its own grammar (``captions_judge``). Answers are logits of yes.
"""

import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from training import captions, captions_judge
from training.data import Onward, held_out_scenes
from training.layout import Layout, lay_out
from training.loop import Options, Trainer, autocast, fit
from training.render import Renderer
from training.scene import FULL, training_scene
from training.sprites import Atlas
from training.train_classifier import worn
from training.world import Thing

ASKED = 6  # questions a picture
LENGTH = 20


def vocabulary(known: tuple[Thing, ...]) -> dict[str, int]:
    """Every word of the judge's grammar, numbered."""
    said = sorted({w for phrase in captions_judge.words_of(known) for w in captions.words(phrase)})
    return {w: i for i, w in enumerate(["<pad>", "<unk>", "<bos>", "<eos>", *said])}


class Judge(nn.Module):
    """Pictures [B, 3, 256, 256] and questions [B, Q, LENGTH] (token ids) to logits of yes [B, Q]."""

    def __init__(self, words: int, width: int = 192, layers: int = 2) -> None:
        super().__init__()
        steps, before = [], 3
        for w in (width // 6, width // 3, width // 2, width):
            steps += [nn.Conv2d(before, w, 4, 2, 1), nn.GroupNorm(4, w), nn.GELU()]
            steps += [nn.Conv2d(w, w, 3, padding=1), nn.GroupNorm(4, w), nn.GELU()]
            before = w
        self.eye = nn.Sequential(*steps)
        self.cells = nn.Parameter(0.02 * torch.randn(1, 256, width))
        self.words = nn.Embedding(words, width, padding_idx=0)
        self.order = nn.Parameter(0.02 * torch.randn(1, LENGTH, width))
        layer = nn.TransformerDecoderLayer(
            width, max(1, width // 48), 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.reader = nn.TransformerDecoder(layer, layers, nn.LayerNorm(width))
        self.answer = nn.Linear(width, 1)
        self.shape = {"words": words, "width": width, "layers": layers}

    def forward(self, pictures: Tensor, questions: Tensor) -> Tensor:
        b, q, length = questions.shape
        seen = self.eye(pictures).flatten(2).transpose(1, 2) + self.cells
        asked = questions.reshape(b * q, length)
        padding = asked == 0
        # All questions of a picture look at its cells together; each talks to itself only.
        x = self.words(asked) + self.order
        memory = seen.repeat_interleave(q, 0)
        read = self.reader(x, memory, tgt_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1)
        pooled = (read * kept).sum(1) / kept.sum(1)
        return self.answer(pooled).view(b, q)


@dataclass(frozen=True)
class Asked:
    """Scenes as numbers, questions [B, ASKED, LENGTH] int64 and their truth [B, ASKED] float32."""

    layout: Layout
    questions: np.ndarray
    truth: np.ndarray


class Exam(Dataset[Asked]):
    """Batch ``index`` of questioned scenes."""

    def __init__(self, seed: int, batch: int, known: tuple[Thing, ...], vocab: dict[str, int]) -> None:
        self.seed, self.batch, self.known, self.vocab = seed, batch, known, vocab

    def __getitem__(self, index: int) -> Asked:
        rngs = [random.Random(f"judge:{self.seed}:{index}:{k}") for k in range(self.batch)]
        scenes = [training_scene(r, self.known, FULL) for r in rngs]
        layout = lay_out(scenes, rngs)
        asked = [captions_judge.questions(s, self.known, r, ASKED) for s, r in zip(scenes, rngs, strict=True)]
        ids = [[captions.encode(text, self.vocab, LENGTH) for _, text, *_ in row] for row in asked]
        truth = [[float(q.truth) for q in row] for row in asked]
        return Asked(layout, np.array(ids, np.int64), np.array(truth, np.float32))


@torch.no_grad()
def marks(model: Judge, renderer: Renderer, atlas: Atlas, vocab: dict[str, int], n: int = 512) -> dict[str, float]:
    """Share of right answers on held-out scenes, by kind of question and over all."""
    device = renderer.axis.device
    scenes, layout = held_out_scenes(n, 5, atlas.things)
    rng = random.Random(5)
    right: dict[str, list[bool]] = defaultdict(list)
    pictures = renderer(layout)
    for begin in range(0, n, 32):
        asked = [captions_judge.questions(s, atlas.things, rng, ASKED) for s in scenes[begin : begin + 32]]
        ids = [[captions.encode(text, vocab, LENGTH) for _, text, *_ in row] for row in asked]
        logits = model(pictures[begin : begin + 32], torch.tensor(ids, device=device))
        for row, said in zip(asked, (logits > 0).tolist(), strict=True):
            for (kind, _, yes, *_), answer in zip(row, said, strict=True):
                right[kind].append(answer == yes)
                right["all"].append(answer == yes)
    return {f"atom_{k}": sum(v) / len(v) for k, v in sorted(right.items())}


def train(atlas: Atlas, options: Options, variants: int = 16, width: int = 192, checked: int = 512) -> Trainer:
    """Train into ``options.out``: ``model.safetensors`` (float16), ``config.json`` (shape and words)."""
    torch.manual_seed(options.seed + 77)
    device = options.device
    vocab = vocabulary(atlas.things)
    renderer = Renderer(atlas, variants).to(device)
    model = Judge(len(vocab), width).to(device)
    trainer = Trainer({"judge": model}, options)
    exam = Exam(options.seed + 5_000, options.batch, atlas.things, vocab)
    loader = torch.utils.data.DataLoader(
        exam, batch_size=None, sampler=Onward(trainer.step), num_workers=options.workers
    )
    body: Callable[[Tensor, Tensor], Tensor] = torch.compile(model) if options.compile else model

    def loss(batch: Asked, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        questions, truth = (torch.from_numpy(a).to(device) for a in (batch.questions, batch.truth))
        with autocast(device):
            logits = body(worn(renderer(batch.layout)), questions)
        value = F.binary_cross_entropy_with_logits(logits.float(), truth)
        return value, {"loss": value, "right": ((logits > 0) == (truth > 0.5)).float().mean()}

    def export() -> None:
        weights = {k: v.half().contiguous() for k, v in model.state_dict().items()}
        save_file(weights, options.out / "model.safetensors")
        (options.out / "config.json").write_text(json.dumps({**model.shape, "length": LENGTH, "vocab": vocab}))

    fit(trainer, loader, loss, lambda: marks(model, renderer, atlas, vocab, checked), export)
    return trainer
