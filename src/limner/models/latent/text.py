"""What the words say at each step: token chunks through the text encoder, with emphasis."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING

from limner.models.latent.parts import ROLE_SUFFIX, TEXT, TEXT_2, Condition, Parts
from limner.sampling.course import Ask, Eval
from limner.types import Prompted, Recipe

if TYPE_CHECKING:
    from torch import Tensor


Stages = Sequence[tuple[int, Condition]]


class Conditions:
    """What the words say at each step, by role, for guidance."""

    def __init__(self, roles: Mapping[str, Stages], morph: float, silent: Condition | None = None) -> None:
        """``silent`` stands for the negative prompt where that is not encoded."""
        self._roles = roles
        self._morph = morph
        self._silent = silent

    def at(self, step: int, role: str) -> Condition:
        """The condition in force at ``step`` (1-based)."""
        stages = self._roles[role]
        return next((found for until, found in stages if step <= until), stages[-1][1])

    def positive(self, step: int) -> Condition:
        found = self.at(step, "positive")
        return found.toward(self.at(step, "morph_to"), self._morph) if "morph_to" in self._roles else found

    def negative(self, step: int) -> Condition | None:
        return self.at(step, "negative") if "negative" in self._roles else self._silent


def encode(parts: Parts, recipe: Recipe) -> Generator[Ask, tuple[Tensor, ...], Conditions]:
    """Every chunk of every prompt in one Eval, each text once an encoder."""
    unique = list(
        dict.fromkeys(
            (_encoder(role), ids) for role, stages in recipe.prompts.items() for stage in stages for ids in stage.ids
        )
    )
    answers = yield Eval(tuple(parts.text(ids, part) for part, ids in unique))
    encoded = dict(zip(unique, answers, strict=True))
    roles = {role: _stages(role, recipe, encoded) for role in dict.fromkeys(_plain(each) for each in recipe.prompts)}
    silent = None
    if recipe.options.get("silent_negative", False):
        silent = roles["positive"][0][1].silent(_score(recipe, "negative"))
    return Conditions(roles, recipe.morph, silent)


def _encoder(role: str) -> str:
    return TEXT_2 if role.endswith(ROLE_SUFFIX[TEXT_2]) else TEXT


def _plain(role: str) -> str:
    return role.removesuffix(ROLE_SUFFIX[TEXT_2])


def _score(recipe: Recipe, role: str) -> float | None:
    """The aesthetic score that XL's refiner is told, with the words and with what is to be kept out."""
    name = "negative_aesthetic_score" if role == "negative" else "aesthetic_score"
    return float(recipe.options[name]) if name in recipe.options else None


def _stages(role: str, recipe: Recipe, encoded: Mapping[tuple[str, tuple[int, ...]], Tensor]) -> Stages:
    """A role's conditions over the steps: the states of all encoders side by side, the pooled text of the last."""
    import torch

    readings = [
        (part, recipe.prompts[role + suffix]) for part, suffix in ROLE_SUFFIX.items() if role + suffix in recipe.prompts
    ]
    made = []
    for k, stage in enumerate(readings[0][1]):
        wide, pooled = [], None
        for part, stages in readings:
            answers = {ids: encoded[part, ids] for ids in stages[k].ids}
            if part == TEXT_2:
                # The first chunk's, as a longer text has no single end.
                answers, pooled = _split(answers, int(recipe.options["pooled"]), stages[k].ids[0])
            wide.append(_weighted(stages[k], answers))
        made.append((stage.until, Condition(torch.cat(wide, dim=-1), pooled, _score(recipe, role))))
    return made


def _split(
    answers: Mapping[tuple[int, ...], Tensor], width: int, first: tuple[int, ...]
) -> tuple[dict[tuple[int, ...], Tensor], Tensor]:
    """The second encoder's answers [L * D + P] as states [L, D], and the pooled text [P] of the ``first`` chunk."""
    states = {ids: answer[:-width].reshape(len(ids), -1) for ids, answer in answers.items()}
    return states, answers[first][-width:]


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
