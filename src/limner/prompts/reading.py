"""How a prompt is read: by Limner's own rules, or by those of the web UI (``--compat a1111``)."""

from __future__ import annotations

from dataclasses import dataclass

from limner.prompts import syntax, webui
from limner.prompts.syntax import Piece, Scheduled


@dataclass(frozen=True, slots=True)
class Reading:
    """``webui``: by the web UI's rules; its times then count evaluations, of which a step has ``evals``."""

    webui: bool = False
    evals: int = 1

    def stages(self, text: str, steps: int, before: int | None = None) -> tuple[Scheduled, ...]:
        """What is said up to and including which step (under the web UI's rules: which evaluation), from 1.
        ``before``: the steps of the pass before this one. Raises ``InvalidRequest``."""
        if not self.webui:
            return syntax.schedule(text, steps)
        return webui.schedule(text, steps * self.evals, before=None if before is None else before * self.evals)

    def pieces(self, text: str) -> tuple[Piece, ...]:
        """One stage's spans and breaks."""
        return webui.parse_weights(text) if self.webui else syntax.parse_weights(text)

    def problems(self, text: str) -> tuple[str, ...]:
        """Sentences about what is likely not read as it was meant."""
        return webui.problems(text) if self.webui else syntax.problems(text)

    @property
    def comma_backtrack(self) -> int:
        return webui.BACKTRACK if self.webui else 0

    @property
    def level(self) -> bool:
        """Whether all roles are padded to one number of chunks. The web UI asks the network with unequal ones apart."""
        return not self.webui


PLAIN = Reading()
