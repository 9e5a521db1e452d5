"""``pocket-judge``: which share of what a text says is to be seen, asked fact by fact.

The text becomes yes-or-no questions (:mod:`limner.evaluate.pocket_atoms`); a detector that ships with Limner looks at
the picture once, and each answer follows from what it sees (:mod:`limner.evaluate.pocket_sight`). The score is the mean
probability of yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from limner.canonical import tagged
from limner.errors import ScorerOutOfDomain
from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.pocket_atoms import Atom, Reading, read
from limner.evaluate.pocket_files import WORLD, Folder, as_many, facts, shown
from limner.evaluate.pocket_sight import Fact, Logits, Names, Sight
from limner.evaluate.pocket_words import world
from limner.types import Pixels, Score

if TYPE_CHECKING:
    from limner.evaluate.nets.detector import Detector

NAME = "pocket-judge"
_HERE = facts(Folder.of(NAME, None).path)


class Answer(NamedTuple):
    """An atom of the text, and the probability [0, 1] that the picture shows it."""

    atom: Atom
    yes: float


class PocketJudge:
    """The judge of pocket pictures. ``folder``: other weights than those that ship."""

    card: ClassVar[MetricCard] = MetricCard(
        name=NAME,
        title="Pocket judge: facts satisfied",
        revision=_HERE.revision,
        takes="picture and text",
        scale="mean probability of yes, 0 to 1",
        source="Limner's own training on renders of the pocket world; after TIFA (Hu et al. 2023, arXiv:2303.11897)",
        backbone="pocket-judge's convolutional detector",
        training_data=("renders with the places, names and colours of all that they show",),
        domain=WORLD,
        within_one_text=True,
        restrictions="pictures of the built-in models only; trained on the same renderer as pocket-clip",
        asset="pocket_judge",
        size_bytes=_HERE.size_bytes,
        memory_bytes=60 * 2**20,
        verified=_HERE.verified,
    )

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = Folder.of(NAME, folder)
        if folder is not None:  # other weights are another scorer, that no cache may confuse with this
            self.__dict__["card"] = type(self).card.model_copy(update=facts(folder)._asdict())

    def missing(self) -> str | None:
        """The command that makes its weights, where they are not there."""
        return self._folder.missing()

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> list[Score]:
        """The mean probability of yes over each text's atoms. Words that no question stands for are flagged.

        Raises ``ScorerOutOfDomain`` for a text that names nothing of the pocket world, and as ``answers``.
        """
        as_many(images, texts)
        return [self._score(image, text) for image, text in zip(images, texts, strict=True)]

    def answers(self, image: Pixels, text: str) -> tuple[Answer, ...]:
        """Each atom of the text, in its order, with the probability that the picture shows it.

        Raises ``ScorerOutOfDomain`` for a text without one, ``InvalidRequest``, ``ModelNotFound``, ``CorruptFile``,
        ``MismatchedWeights``.
        """
        asked = self._read(text).atoms
        if not asked:
            raise ScorerOutOfDomain(
                f"{NAME} finds nothing to ask about in {text!r:.80}",
                hint="it knows things, colours, counts and places of the built-in models: 'a red fox in the snow'",
            )
        sight = self._sight(image)
        return tuple(Answer(atom, sight.yes(self._fact(atom))) for atom in asked)

    def _score(self, image: Pixels, text: str) -> Score:
        answers = self.answers(image, text)
        unasked = self._read(text).unasked
        return Score(
            scorer=NAME,
            revision=self.card.revision,
            value=sum(answer.yes for answer in answers) / len(answers),
            scale=self.card.scale,
            domain=WORLD,
            text=tagged(text.encode()),
            flags=(f"not asked about: {' '.join(unasked)}",) if unasked else (),
        )

    def _read(self, text: str) -> Reading:
        """The atoms of a text; those about things that the weights were not taught are not asked."""
        found = read(text)
        asked = tuple(atom for atom in found.atoms if self._numbers.keys() >= set(atom.things))
        strange = (atom.words for atom in found.atoms if atom not in asked)
        return Reading(asked, tuple(dict.fromkeys((*found.unasked, *strange))))

    def _fact(self, atom: Atom) -> Fact:
        return Fact(atom.kind, tuple(self._numbers[thing] for thing in atom.things), atom.value)

    def _sight(self, image: Pixels) -> Sight:
        """What the detector sees of a picture."""
        import torch

        from limner.evaluate.nets.detector import COLOURS, GROUNDS, PLACES, TIMES

        with torch.inference_mode():
            seen = self._net(shown([image]))
        logits = Logits(*(part[0].double().numpy() for part in seen))
        return Sight(logits, Names(COLOURS, PLACES, TIMES, GROUNDS), self._net.config.calibration)

    @cached_property
    def _numbers(self) -> dict[int, int]:
        """The world's numbers of the things that the weights know, and the weights' own."""
        own = {name: number for number, name in enumerate(self._net.config.things)}
        known = world()
        return {k: own[known.name(k)] for k in range(len(known.things)) if known.name(k) in own}

    @cached_property
    def _net(self) -> Detector:
        import torch

        from limner.evaluate.nets.detector import Detector, DetectorConfig
        from limner.models.weights import load_into

        config = DetectorConfig.from_json(self._folder.config)
        return load_into(lambda: Detector(config), [self._folder.weights], NAME, torch.float32, torch.device("cpu"))
