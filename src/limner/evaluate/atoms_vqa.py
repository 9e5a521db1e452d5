"""A text as questions, each answered from the picture: the share of what was asked for that is there.

After TIFA (Hu et al. 2023, arXiv:2303.11897) and DSG (Cho et al. 2024, arXiv:2310.18235): the chance of "yes" for each
atom, 0 for an atom whose parent got "no" (a dog that is not there is not brown), and the mean over atoms. Questions are
ours, and the model is another: values are not comparable with the papers' tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias

from limner.errors import InvalidRequest
from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.vqa_score import BACKBONE, FILES, MEMORY, MODEL, OPTIONAL, SIZE, TRAINED, Asking
from limner.models.packages import Package
from limner.prompts.lexicon import lexicon
from limner.types import Dtype

if TYPE_CHECKING:
    from limner.types import Pixels, Score

PRESENT = 0.5  # a parent with less is taken for "no"
ASKED = "{} Please answer yes or no."
STOPS = ",.;:!?\n()[]"


class Question(NamedTuple):
    """A yes-or-no question. ``parents`` are the places (from 0) of earlier ones that must hold for it to make sense."""

    text: str
    parents: tuple[int, ...] = ()


class Answer(NamedTuple):
    """``chance`` is P(yes) among yes and no; ``value`` the same, or 0 where a parent was answered "no"."""

    question: Question
    chance: float
    value: float


Questions: TypeAlias = Callable[[str], Sequence[Question]]


def by_rules(text: str) -> tuple[Question, ...]:
    """Questions of a text by rules: one a phrase between commas, prepositions and joints, and one of the whole where
    there are several, which depends on them all.

    >>> [question.text for question in by_rules("a fox in snow")]
    ['Does this picture show a fox?', 'Does this picture show snow?', 'Does this picture show "a fox in snow"?']
    """
    phrases = _phrases(text)
    one = tuple(Question(f"Does this picture show {phrase}?") for phrase in phrases)
    if len(phrases) <= 1:
        return one
    whole = " ".join(text.split())
    return (*one, Question(f'Does this picture show "{whole}"?', tuple(range(len(one)))))


def _phrases(text: str) -> list[str]:
    lex = lexicon()
    phrases: list[list[str]] = [[]]
    for word in text.split():
        bare = word.strip(STOPS)
        if lex.is_a(bare.lower(), "prepositions", "joints") and bare.lower() not in ("of", "as", "like"):
            phrases.append([])
        elif bare:
            phrases[-1].append(bare)
        if word.endswith(tuple(STOPS)):
            phrases.append([])
    return [" ".join(each) for each in phrases if each]


class AtomsVqa(Asking):
    """``questions`` makes them of a text: the rules above, or a language model's, given by whoever has one."""

    package: ClassVar[Package] = Package("atoms", FILES, OPTIONAL)
    card: ClassVar[MetricCard] = MetricCard(
        name="atoms",
        title="Questions about a text's parts, answered by Qwen3-VL-2B",
        revision=f"1:{MODEL[1][:10]}",
        takes="picture and text",
        scale="mean P(yes) over atoms, 0 to 1; not comparable with TIFA's and DSG's tables",
        source="Cho et al. 2024, arXiv:2310.18235; Hu et al. 2023, arXiv:2303.11897",
        backbone=BACKBONE,
        training_data=TRAINED,
        licence="Apache-2.0",
        repo=MODEL[0],
        commit=MODEL[1],
        size_bytes=SIZE,
        memory_bytes=MEMORY,
    )

    def __init__(
        self,
        folder: Path | None = None,
        *,
        questions: Questions = by_rules,
        device: str | None = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__(folder, device=device, dtype=dtype)
        self.questions = questions
        if questions is not by_rules:
            name = getattr(questions, "__qualname__", type(questions).__qualname__)
            self.__dict__["card"] = self.card.model_copy(update={"revision": f"{self.card.revision}:{name}"})

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        """See ``Metric.score``. Raises ``InvalidRequest`` for a text of which no question could be made."""
        self.asked(images, texts)
        values, flags = [], []
        for pixels, text in zip(images, texts, strict=True):
            answers = self.answers(pixels, text)
            values.append(sum(answer.value for answer in answers) / len(answers))
            flags.append(["one question only: as coarse as vqascore"] if len(answers) == 1 else [])
        return self.scores(values, texts, flags)

    def answers(self, pixels: Pixels, text: str) -> tuple[Answer, ...]:
        """Each question of a text with its answer: which atoms a picture lacks. Raises as ``score``."""
        asked = _checked(self.questions(text), text)
        seer, found = self.seer(), list[Answer]()
        for question in asked:
            chance = seer.yes(pixels, ASKED.format(question.text), among=("Yes", "No"))
            there = all(found[parent].value >= PRESENT for parent in question.parents)
            found.append(Answer(question, chance, chance if there else 0.0))
        return tuple(found)


def _checked(questions: Sequence[Question], text: str) -> Sequence[Question]:
    if not questions:
        raise InvalidRequest(f"no question could be made of {text[:80]!r}", hint="say what should be seen")
    for k, question in enumerate(questions):
        if any(not 0 <= parent < k for parent in question.parents):
            raise InvalidRequest(f"question {k + 1} has a parent that does not stand before it", hint="order them")
    return questions
