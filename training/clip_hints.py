"""What patches and nouns are told while ``pocket-clip`` is trained, beside which caption belongs to which picture.

By pairs of pictures and captions alone an hour of a core left things and relations near chance. Two linear heads, not
shipped, ask the picture tower's patches what the judge's cells are taught (``lessons.taught``: which thing, in which
colour) and the text tower's nouns which thing, colour and number they say, so that both towers know what there is to
tell apart before they are compared.

A patch is 16 pixels of 128, two of the judge's cells a side: with patches of 8, four times as many tokens, a processor
took five times as long over a picture, most of it moving attention's tables about.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPModel

from limner.evaluate.nets.detector import GRID
from training.hints import IGNORED, OWN, word_loss
from training.lessons import Taught

PATCHES = GRID // 2  # a side


class ClipHeads(nn.Module):
    """Linear readings of patches [B, PATCHES * PATCHES, W] and of words [B, L, W]."""

    def __init__(self, things: int, width: int) -> None:
        super().__init__()
        self.things = things
        self.patch = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, things + OWN + 2))
        self.word = nn.Linear(width, things + OWN + 1 + 5)

    def of_patches(self, patches: Tensor, told: Taught) -> tuple[Tensor, Tensor]:
        """The loss in nats a picture's thing, and how often the thing is named right; both scalars."""

        def put(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(patches.device)

        by = GRID // PATCHES
        said = self.patch(patches).float().unflatten(1, (PATCHES, PATCHES))
        near = said[put(told.picture), put(told.row // by), put(told.column // by)]
        thing, colour, weight = put(told.thing), put(told.colour), put(told.weight)
        share, n = weight / weight.sum(), self.things
        hue = torch.where(colour < 0, OWN, colour)
        some = F.max_pool2d(put(told.there)[:, None], by)[:, 0]
        there = F.binary_cross_entropy_with_logits(said[..., -1], some, reduction="sum") / len(patches)
        each = F.cross_entropy(near[:, :n], thing, reduction="none")
        each = each + 0.5 * F.cross_entropy(near[:, n:-1], hue, reduction="none")
        right = (share * (near[:, :n].argmax(1) == thing)).sum().detach()
        return (share * each).sum() + 0.1 * there, right

    def of_words(self, states: Tensor, labels: Tensor) -> Tensor:
        """The loss in nats a noun; ``labels`` [B, L, 3] as ``hints.Nouns`` gives them."""
        spoken = labels[..., 0] != IGNORED
        return word_loss(self.word(states[spoken]).float(), labels[spoken].long(), self.things)


def towers(model: CLIPModel, pictures: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unit embeddings of pictures [B, D] and texts [N, D], patches [B, P, W] and words [N, L, W]."""
    seen = model.vision_model(pixel_values=pictures)
    read = model.text_model(input_ids=tokens, attention_mask=(tokens != 0).long())
    return (
        F.normalize(model.visual_projection(seen.pooler_output).float(), dim=-1),
        F.normalize(model.text_projection(read.pooler_output).float(), dim=-1),
        seen.last_hidden_state[:, 1:],
        read.last_hidden_state,
    )
