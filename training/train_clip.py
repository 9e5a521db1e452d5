"""Stage 4: pocket-clip, the search scorer. ``CLIPModel`` of transformers, trained contrastively on renders.

Each picture is set against the captions of the whole batch and against NEGATIVES captions of almost its own scene
(another colour, count, relation, place or thing), so that the score tells "a red fox left of a cat" from its mirror.
It sees at 128x128 pixels, as the judge does, where the renderer draws ten times as many pictures a second.
"""

import json
import random
from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from limner.evaluate.nets.detector import SIDE
from training import captions, hints, pocket
from training.clip_hints import PATCHES, ClipHeads, towers
from training.data import Batch, Batches, held_out_scenes, stream
from training.data import Stream as Plan
from training.layout import lay_out
from training.lessons import loosened, taught
from training.loop import Options, Trainer, autocast, fit
from training.negatives import negatives
from training.render import Renderer
from training.scene import training_scene
from training.sprites import Atlas
from training.train_detector import worn

NEGATIVES = 3
CURRICULUM = 40_000  # pictures until scenes are as mixed as they will be
HINTS = 0.3  # what the heads' losses count beside the contrast


class Contrasts(Batches):
    """Batches whose tokens are [B, 1 + NEGATIVES, length]: the true caption, then captions of changed scenes."""

    def __getitem__(self, index: int) -> Batch:
        plan, mix = self.stream, self.stream.mix(index)
        rngs = [random.Random(f"contrast:{plan.seed}:{index}:{k}") for k in range(plan.batch)]
        scenes = [training_scene(r, self.known, mix) for r in rngs]
        said = []
        for scene, rng in zip(scenes, rngs, strict=True):
            near = [s for _, s in negatives(scene, rng, len(self.known), NEGATIVES)]
            texts = [captions.caption(s, self.known, rng) for s in [scene, *near]]
            said.append([captions.encode(t, self.vocab, plan.length) for t in texts])
        # Half as pocket draws them; the others moved and resized so much that no size is unknown.
        layout = lay_out(scenes, rngs, aligned=index % 2 == 0)
        layout = loosened(layout, np.random.default_rng([plan.seed, index])) if index % 2 else layout
        return Batch(layout, np.array(said, np.int64), tuple(scenes))


def build(words: int, width: int = 192, layers: int = 6) -> CLIPModel:
    """A small CLIP, untrained: PATCHES x PATCHES patches, ``width`` channels in both towers."""
    heads = max(1, width // 64)
    shared = {"hidden_size": width, "intermediate_size": 3 * width, "num_attention_heads": heads}
    text = {
        **shared,
        "num_hidden_layers": max(1, layers - 2),
        "vocab_size": words,
        "max_position_embeddings": pocket.LENGTH,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    vision = {**shared, "num_hidden_layers": layers, "image_size": SIDE, "patch_size": SIDE // PATCHES}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=128))


def embed(model: CLIPModel, pictures: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Unit embeddings of pictures [B, D] and texts [N, D]; ``tokens``: [N, length].

    Pictures larger than the model was taught at, by a whole factor, are averaged down, as Limner does.
    """
    by = pictures.shape[-1] // model.config.vision_config.image_size
    pictures = F.avg_pool2d(pictures, by) if by > 1 else pictures
    with autocast(pictures.device.type):
        return towers(model, pictures, tokens)[:2]


def contrast_loss(seen: Tensor, read: Tensor, scale: Tensor) -> Tensor:
    """InfoNCE both ways; ``read``: [B, 1 + NEGATIVES, D]. A picture's near misses compete only for that picture."""
    logits = scale * seen @ read[:, 0].T
    near = scale * torch.einsum("bd,bkd->bk", seen, read[:, 1:])
    target = torch.arange(len(seen), device=seen.device)
    return 0.5 * F.cross_entropy(torch.cat([logits, near], 1), target) + 0.5 * F.cross_entropy(logits.T, target)


@torch.no_grad()
def marks(model: CLIPModel, renderer: Renderer, atlas: Atlas, vocab: dict[str, int], n: int = 256) -> dict[str, float]:
    """On held-out scenes: retrieval R@1 both ways among ``n``, and accuracy against each kind of near miss."""
    device = renderer.axis.device
    scenes, layout = held_out_scenes(n, 4, atlas.things)
    rng = random.Random(4)

    def tokens(texts: list[str]) -> Tensor:
        return torch.tensor([captions.encode(t, vocab, pocket.LENGTH) for t in texts], device=device)

    true = tokens([captions.caption(s, atlas.things, rng) for s in scenes])
    seen, read = embed(model, renderer(layout), true)
    scores = seen @ read.T
    own = scores.diagonal()
    right: dict[str, list[bool]] = defaultdict(list)
    near = [negatives(s, rng, len(atlas.things), 2) for s in scenes]
    for at in range(2):
        texts = [captions.caption(pair[at][1], atlas.things, rng) for pair in near]
        other = (seen * embed(model, renderer(layout)[:1], tokens(texts))[1]).sum(1)
        for pair, passed in zip(near, (own > other).tolist(), strict=True):
            right[pair[at][0]].append(passed)
            right["all"].append(passed)
    target = torch.arange(n, device=device)
    found = {
        "r1_text": (scores.argmax(1) == target).float().mean().item(),
        "r1_image": (scores.argmax(0) == target).float().mean().item(),
    }
    return found | {f"near_{k}": sum(v) / len(v) for k, v in sorted(right.items())}


def train(
    atlas: Atlas, options: Options, variants: int = 16, width: int = 192, layers: int = 6, checked: int = 256
) -> Trainer:
    """Train into ``options.out``: ``model/`` in transformers' layout, ``vocab.json``."""
    torch.manual_seed(options.seed)
    device = options.device
    vocab = captions.vocabulary(atlas.things)
    renderer = Renderer(atlas, variants, SIDE).to(device)
    model = build(len(vocab), width, layers).to(device)
    if device == "cpu":  # the fused attention's backward is slow on so few tokens
        model.set_attn_implementation("eager")
    heads = ClipHeads(len(atlas.things), width).to(device)
    trainer = Trainer({"clip": model, "heads": heads}, options)
    plan = Plan(options.seed + 4, options.batch, CURRICULUM, length=pocket.LENGTH)
    run = torch.compile(towers) if options.compile else towers
    nouns = hints.Nouns(atlas.things, vocab)

    def loss(batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        length = int((batch.tokens != 0).sum(-1).max())  # padding says nothing
        tokens = torch.from_numpy(batch.tokens[..., :length].copy()).to(device)
        b, k, _ = tokens.shape
        said = [nouns(row, scene) for row, scene in zip(tokens[:, 0].tolist(), batch.scenes, strict=True)]
        pictures = worn(renderer(batch.layout))
        with autocast(device):
            seen, read, patches, words = run(model, pictures, tokens.view(b * k, length))
            look, right = heads.of_patches(patches, taught(batch.layout))
            told = heads.of_words(words.view(b, k, length, -1)[:, 0], torch.from_numpy(np.stack(said)).to(device))
        value = contrast_loss(seen, read.view(b, k, -1), model.logit_scale.exp().clamp(max=100))
        terms = {"loss": value, "patches": look, "words": told, "right": right}
        return value + HINTS * (look + told), terms

    def export() -> None:
        model.save_pretrained(options.out / "model")
        (options.out / "vocab.json").write_text(json.dumps(vocab))

    source = stream(Contrasts(plan, atlas.things, vocab), trainer.step, options.workers)
    fit(trainer, source, loss, lambda: marks(model, renderer, atlas, vocab, checked), export)
    return trainer
