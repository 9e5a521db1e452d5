"""What the words say at each step: token chunks through the text encoder, with emphasis."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING

from limner.models.latent.parts import Parts
from limner.sampling.course import Ask, Eval
from limner.types import Prompted, Recipe

if TYPE_CHECKING:
    from torch import Tensor


class Conditions:
    """What the text says at each step: cross-attention states [L, D] by role, for guidance."""

    def __init__(self, roles: Mapping[str, Sequence[tuple[int, Tensor]]], morph: float) -> None:
        self._roles = roles
        self._morph = morph

    def at(self, step: int, role: str) -> Tensor:
        """States in force at ``step`` (1-based)."""
        stages = self._roles[role]
        return next((states for until, states in stages if step <= until), stages[-1][1])

    def positive(self, step: int) -> Tensor:
        states = self.at(step, "positive")
        if "morph_to" not in self._roles:
            return states
        import torch

        return torch.lerp(states, self.at(step, "morph_to"), self._morph)

    def negative(self, step: int) -> Tensor | None:
        return self.at(step, "negative") if "negative" in self._roles else None


def encode(parts: Parts, recipe: Recipe) -> Generator[Ask, tuple[Tensor, ...], Conditions]:
    """Every chunk of every prompt in one Eval, each text once."""
    unique = list(dict.fromkeys(ids for stages in recipe.prompts.values() for stage in stages for ids in stage.ids))
    answers = yield Eval(tuple(parts.text(ids) for ids in unique))
    states = dict(zip(unique, answers, strict=True))
    roles = {
        role: [(stage.until, _weighted(stage, states)) for stage in stages] for role, stages in recipe.prompts.items()
    }
    return Conditions(roles, recipe.morph)


def _weighted(stage: Prompted, states: Mapping[tuple[int, ...], Tensor]) -> Tensor:
    """Chunks joined along the token axis, each token scaled by its emphasis and the mean restored, as A1111 does."""
    import torch

    joined = torch.cat([states[ids] for ids in stage.ids])
    flat = [w for chunk in stage.weights for w in chunk]
    if all(w == 1.0 for w in flat):
        return joined
    scaled = joined * torch.tensor(flat, dtype=joined.dtype, device=joined.device)[:, None]
    mean = scaled.mean()
    # A prompt weighted to nothing has no mean to restore.
    return scaled * (joined.mean() / mean) if mean.abs() > 1e-8 else scaled
