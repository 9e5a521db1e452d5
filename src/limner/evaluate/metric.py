"""The protocol of a metric: what it measures, what it may be believed about, and how it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from limner.types import Frozen, Pixels, Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Embedding: TypeAlias = NDArray[np.float32]
else:
    Embedding = object

ANY = "any"


class MetricCard(Frozen):
    """What is known of a metric before it is run.

    ``takes`` says what one score is of: a picture with a text, a picture alone, or several (a set). ``backbone``
    names the network whose knowledge it stands on and ``training_data`` what taught its judgement: two metrics that
    share either are no independent witnesses. ``domain`` is the world of pictures it may judge (``any``, or a card's
    ``world``). ``token_limit`` counts text tokens; longer texts are refused or flagged, never cut silently.
    ``within_one_text``: values compare pictures of the same text only. ``repo`` at ``commit`` or ``asset`` says where
    the weights are; neither: it needs none. ``revision`` changes whenever a value could, its preprocessing included.
    """

    name: str
    title: str
    revision: str
    takes: Literal["picture and text", "picture", "set"]
    scale: str
    better: Literal["higher", "lower"] = "higher"
    source: str
    backbone: str = ""
    training_data: tuple[str, ...] = ()
    domain: str = ANY
    token_limit: int | None = None
    within_one_text: bool = False
    licence: str = "Apache-2.0"
    restrictions: str = ""
    repo: str | None = None
    commit: str | None = None
    asset: str | None = None
    size_bytes: int | None = None
    memory_bytes: int | None = None
    verified: str = "random weights only"

    def independent_of(self, other: MetricCard) -> bool:
        """True where the two share neither backbone nor training data, so that one may judge what the other chose."""
        shared = {self.backbone, *self.training_data} & {other.backbone, *other.training_data}
        return self.name != other.name and not shared - {""}


class Embeddings(Protocol):
    """Embeddings that metrics of one backbone share, so that no picture is encoded twice."""

    def get(self, key: str) -> Embedding | None:
        """The embedding [D] kept under a key (backbone, preprocessing and content), if there is one."""
        ...

    def put(self, key: str, embedding: Embedding) -> None: ...


class Metric(Protocol):
    """One metric. Its weights are loaded at the first score and stay until it is let go."""

    card: ClassVar[MetricCard]

    def missing(self) -> str | None:
        """The command that fetches what it lacks; ``None`` where it can run."""
        ...

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        """One Score a picture, in order; ``texts`` are as many (empty for a metric of pictures alone).

        A value that is not finite, or a text over the token limit, is an error or a flag on its Score, never a guess.
        Raises ``ScorerOutOfDomain``, ``InvalidRequest``, ``ModelError``.
        """
        ...


@runtime_checkable
class SetMetric(Protocol):
    """A metric of several pictures at once: diversity, distance to a reference set."""

    card: ClassVar[MetricCard]

    def missing(self) -> str | None: ...

    def measure(self, images: Sequence[Pixels], reference: Sequence[Pixels], cache: Embeddings) -> Score:
        """One Score of the set; ``reference`` is empty where none is compared with. Raises as ``Metric.score``, and
        ``InvalidRequest`` for too few pictures."""
        ...
