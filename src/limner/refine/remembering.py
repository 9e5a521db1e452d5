"""Language models whose answers are kept in the journal: a run taken up again finds them as they were."""

from __future__ import annotations

from collections import Counter

from limner.refine.design import Design
from limner.refine.journal import Journal
from limner.refine.language_model import writer
from limner.refine.strategy import Write


def writing(design: Design, *, offline: bool) -> Write | None:
    """The model that the Design names for writing prompts, if it names one. Raises ``InvalidRequest``."""
    return writer(design.llm, design.llm_model, offline=offline, seed=design.seed) if design.llm else None


def continuation(design: Design, *, offline: bool) -> Write | None:
    """The model that the Design names for going on with prompts, if it names one."""
    if not design.expander:
        return None
    from limner.refine.language_model_local import Continuation

    return Continuation(design.expander, offline=offline, seed=design.seed)


def remembered(write: Write | None, kind: str, journal: Journal) -> Write | None:
    """The same, asked only what the journal has no answer to. Asked the same again, it may answer otherwise."""
    if write is None:
        return None
    times: Counter[str] = Counter()

    def ask(text: str) -> str:
        asked = f"{kind} {text}"
        answer = journal.answer(asked, times[asked])
        times[asked] += 1
        if answer is None:
            answer = write(text)
            journal.add_answer(asked, answer)
        return answer

    return ask
