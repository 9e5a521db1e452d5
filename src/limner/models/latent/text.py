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
    count = len(readings[0][1])
    pooled: list[Tensor | None] = [None] * count
    states: list[list[Tensor]] = []
    for part, stages in readings:
        answers = [[encoded[part, ids] for ids in stage.ids] for stage in stages]
        if part == TEXT_2:
            # The first chunk's, as a longer text has no single end.
            pooled = [each[0][-int(recipe.options["pooled"]) :] for each in answers]
            length = len(stages[0].ids[0])
            answers = [[_states(chunk, length, recipe) for chunk in each] for each in answers]
        weigh = _weighted_chunkwise if recipe.options.get("compat") == "a1111" else _weighted
        states.append(weigh(stages, answers))
    made = []
    for k in range(count):
        wide = torch.cat([each[k] for each in states], dim=-1)
        made.append((readings[0][1][k].until, Condition(wide, pooled[k], _score(recipe, role))))
    return made


def _states(answer: Tensor, length: int, recipe: Recipe) -> Tensor:
    """The second encoder's answer [L * D + P] without the pooled text: [L, D]."""
    return answer[: -int(recipe.options["pooled"])].reshape(length, -1)


def _weighted(stages: Sequence[Prompted], answers: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """For each stage its chunks [L, D] joined along the token axis, each token scaled by its emphasis, and the mean of
    the whole restored."""
    import torch

    return [
        _restored(torch.cat(list(chunks)), [w for chunk in stage.weights for w in chunk])
        for stage, chunks in zip(stages, answers, strict=True)
    ]


def _weighted_chunkwise(stages: Sequence[Prompted], answers: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """As A1111 does it: the mean of each chunk is restored by itself, over all stages of the prompt together."""
    import torch

    columns = []
    for k in range(len(answers[0])):
        together = torch.cat([chunks[k] for chunks in answers])
        restored = _restored(together, [w for stage in stages for w in stage.weights[k]])
        columns.append(restored.chunk(len(stages)))
    return [torch.cat(list(column)) for column in zip(*columns, strict=True)]


def _restored(states: Tensor, weights: Sequence[float]) -> Tensor:
    """States [L, D], each scaled by its weight, with the mean they had before."""
    import torch

    if all(w == 1.0 for w in weights):
        return states
    scaled = states * torch.tensor(weights, dtype=states.dtype, device=states.device)[:, None]
    mean = scaled.mean()
    # A prompt weighted to nothing has no mean to restore.
    return scaled * (states.mean() / mean) if mean.abs() > 1e-8 else scaled
