"""Refining a prompt: search, then prove, with everything kept that a stop, a kill or a report needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from limner.errors import Cancelled, InvalidRequest, LimnerError
from limner.evaluate.statistics import least_pairs
from limner.refine.answering import VOTES, Answering, Vote
from limner.refine.arms import Scored
from limner.refine.asking import YOU, Ask, Choose, World, answered
from limner.refine.atoms import atoms, plain
from limner.refine.compare_cells import Draw
from limner.refine.compare_scoring import ScoreCall, scorer_of
from limner.refine.concluding import best_pictures, conclusion
from limner.refine.design import DEFAULT_BUDGET, SEARCH_SHARE, Budget, Design
from limner.refine.journal import Journal
from limner.refine.pairs import Scorer
from limner.refine.power import WORTHWHILE
from limner.refine.preparing import Wishes, design_of, honours, weighs
from limner.refine.proving import prove
from limner.refine.refinement import Refinement
from limner.refine.remembering import continuation, remembered, writing
from limner.refine.search import Search
from limner.refine.strategies.seeds import best_of
from limner.refine.strategy import PARAPHRASE, Candidate, Task, Write, load
from limner.refine.verdict import LEAST_PAIRS, MARGIN, Verdict
from limner.session import Session
from limner.types import Plan, Request, now

UNKNOWN = frozenset({"unknown-words", "unknown-subject", "no-known-word"})
"""Codes of notices that say which words a model cannot see."""


@dataclass(frozen=True, slots=True)
class Faces:
    """Who takes part beside the session: how it draws and scores, who votes and chooses, who is told.

    ``choose`` lets a person strike rewrites out before they are drawn; ``write`` is a language model in memory.
    """

    draw: Draw | None = None
    score: ScoreCall | None = None
    vote: Vote | None = None
    choose: Choose | None = None
    tell: Callable[[str], None] = lambda text: None
    warn: Callable[[str], None] = lambda text: None
    write: Write | None = None


@dataclass
class Refining:
    """One refinement being carried out. ``result`` can be asked for at any time, and says how far it came."""

    session: Session
    journal: Journal
    faces: Faces = field(default_factory=Faces)

    def __post_init__(self) -> None:
        self.design: Design = self.journal.design
        self.created = now()
        self.notices: list[str] = list(self.journal.notices)
        self._plans: dict[str, Plan] = {}
        self.finalists: tuple[Candidate, ...] = ()
        self.verdicts: tuple[Verdict, ...] = ()
        self.chosen: list[Scored] = []
        self.use(self.faces)

    def use(self, faces: Faces) -> None:
        """Let others take part; before ``run`` only."""
        self.faces = faces
        self.answering = Answering(
            self.session,
            self.journal,
            score=faces.score or self.session.score,
            draw=faces.draw or (lambda plans: self.session.run(plans).result()),
            vote=faces.vote,
        )
        self.world = World(
            identify=self._identity,
            choose=self._chosen,
            over=self._is_over,
            tell=faces.tell,
            warn=self._warn,
            signs={name: scorer_of(name).sign for name in self.design.search},
        )
        self.search = Search(self.design, self._task(), [load(name) for name in self.design.strategies], self.world)

    def run(self) -> Refinement:
        """Search and prove. Ctrl-C (``Cancelled``, ``KeyboardInterrupt``) ends in a Refinement that says "stopped",
        and can be gone on with. Raises any other ``LimnerError``; what is done is in the journal."""
        if self.journal.finished is not None:
            return self.journal.finished
        self._refuse_others()
        try:
            if not self.design.judges:
                steps = self.plan(self.design.request).request.steps
                self.chosen = answered(best_of(self.design, self.design.images, steps, self.world), self.answering)
            else:
                self._prove(answered(self.search.run(), self._named))
        except (Cancelled, KeyboardInterrupt):
            return self.result(stopped=True)
        found = self.result()
        self.journal.finish(found)
        return found

    def result(self, *, stopped: bool = False) -> Refinement:
        """What is known by now."""
        ahead, baseline = self.search.best(), self.search.baseline()
        found = Refinement(
            id=self.journal.id,
            created=self.created,
            design=self.design,
            outcome="stopped",
            sentence="",
            candidates=tuple(self.search.pool.values()),
            rounds=tuple(self.search.history),
            finalists=tuple(each.id for each in self.finalists) if self.verdicts else (),
            verdicts=self.verdicts,
            ahead=None if ahead is None else ahead.id,
            baseline=None if baseline is None else baseline.id,
            shots=tuple(self.answering.shots),
            spent=self.answering.spent,
            notices=tuple(dict.fromkeys([*self.notices, *self.search.dropped])),
        )
        concluded = conclusion(found, stopped=stopped)
        return concluded.model_copy(update={"best": best_pictures(concluded, [each.picture for each in self.chosen])})

    def plan(self, request: Request) -> Plan:
        """The Plan of one picture of a Request. Raises what ``Session.plan`` raises."""
        key = request.model_dump_json()
        if key not in self._plans:
            self._plans[key] = self.session.plan(request.model_copy(update={"seed": 0, "n": 1}))[0]
        return self._plans[key]

    def _refuse_others(self) -> None:
        """Raises ``InvalidRequest`` where the user's own words would no longer give the pictures that this run began
        with: scores of both must not be mixed."""
        if self.design.identity and self.plan(self.design.request).identity != self.design.identity:
            raise InvalidRequest(
                "the model's files or the settings are not those that this refinement was begun with",
                field="resume",
                hint="bring them back, or begin anew",
            )

    def _identity(self, request: Request) -> str:
        """What decides a Request's pixels. Raises ``InvalidRequest`` where it says words that the model does not know
        and the user did not say."""
        plan = self.plan(request)
        own = {notice.message for notice in self.plan(self.design.request).notices}
        for notice in plan.notices:
            if notice.code in UNKNOWN and notice.message not in own:
                raise InvalidRequest(notice.message, field="prompt")
        return plan.identity

    def _refused(self, request: Request) -> str | None:
        try:
            self._identity(request)
        except LimnerError as error:
            return error.message
        return None

    def _prove(self, finalists: tuple[Candidate, ...]) -> None:
        self.finalists = finalists
        if not finalists:
            return
        design = self.design = self._fitting(len(finalists))
        judges = " and ".join(design.judges)
        self.faces.tell(f"the verdict: {design.pairs} fresh seeds for each, judged by {judges}")
        self.verdicts = answered(prove(design, finalists, _scorer_of, self._complete), self.answering)

    def _fitting(self, finalists: int) -> Design:
        """The Design with as many pairs as the rest of the time allows, where the budget is time. Set before a judge
        has seen any picture, and by the clock alone, so that no score has a part in it."""
        if self.journal.pairs is None:
            self.journal.set_pairs(self._pairs(finalists))
        pairs = self.journal.pairs or self.design.pairs
        if pairs < self.design.pairs:
            self._warn(f"drawing is slower than foreseen: {pairs} pairs for the verdict instead of {self.design.pairs}")
        return self.design.model_copy(update={"pairs": pairs})

    def _pairs(self, finalists: int) -> int:
        seconds, spent = self.design.budget.seconds, self.answering.spent
        if seconds is None or not spent.pictures:
            return self.design.pairs
        pace = spent.seconds / spent.pictures
        fits = int((seconds - spent.seconds) / pace / (1 + finalists))
        least = max(LEAST_PAIRS, least_pairs(self.design.alpha, len(self.design.judges) * finalists))
        return max(least, min(self.design.pairs, fits))

    def _named(self, ask: Ask) -> Sequence[Scored]:
        """The answer to an ask of the search, whose pictures are then known by their candidates' names."""
        for name, candidate in self.search.pool.items():
            self.answering.name(candidate.request, name)
        return self.answering(ask)

    def _complete(self, request: Request) -> Request:
        """The Request with what the model chose filled in."""
        plan = self.plan(request)
        return plan.request.model_copy(update={"model": plan.model.name, "guidance": plan.recipe.guidance})

    def _task(self) -> Task:
        design = self.design
        plan, offline = self.plan(design.request), self.session.offline
        return Task(
            request=design.request,
            words=plain(design.request.prompt),
            atoms=atoms(plain(design.request.prompt)),
            slots=design.slots if design.rungs else 0,
            seeds=design.search_seeds[: design.rungs[0].seeds] if design.rungs else (),
            scorers=dict(self.world.signs),
            emphasis=weighs(plan),
            guidance=plan.recipe.guidance,
            negative=honours(plan, "negative"),
            styles=self.session.styles,
            write=remembered(self.faces.write or writing(design, offline=offline), "write", self.journal),
            continue_=remembered(continuation(design, offline=offline), "continue", self.journal),
            warn=self._warn,
            refused=self._refused,
        )

    def _chosen(self, pool: Sequence[Candidate]) -> Sequence[Candidate]:
        if self.journal.chosen is None and self.faces.choose is not None:
            self.journal.choose([each.id for each in self.faces.choose(pool)])
        kept = self.journal.chosen
        if kept is None:
            return pool
        baseline = next((each.id for each in pool if each.strategy == PARAPHRASE), None)
        if kept and baseline is not None and not any(each.id in kept for each in pool if each.strategy == PARAPHRASE):
            self._warn(f"{baseline} stays in: it is the mere rewording that the others have to beat")
            kept = (*kept, baseline)
        return [each for each in pool if each.id in kept]

    def _is_over(self) -> bool:
        seconds = self.design.budget.seconds
        return seconds is not None and self.answering.seconds > SEARCH_SHARE * seconds

    def _warn(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)
            self.faces.warn(text)


def _scorer_of(name: str) -> Scorer:
    return Scorer(name=YOU, revision="1", scale=VOTES) if name == YOU else scorer_of(name)


def begin(request: Request, session: Session, wishes: Wishes, faces: Faces | None = None) -> Refining:
    """A refinement, designed, checked and stored; nothing is drawn yet. Raises what ``design_of`` raises, and
    ``StorageError``."""
    design = design_of(request, session, wishes)
    root = session.settings.library_root if session.keep else None
    return Refining(session, Journal.begin(design, root), faces or Faces())


def resume(session: Session, which: str | None = None, faces: Faces | None = None) -> Refining:
    """A stored refinement, to be gone on with; ``None``: the newest unfinished one. Raises ``InvalidRequest``,
    ``LibraryError``."""
    journal = Journal.open(session.settings.library_root, which)
    if journal.finished is None:
        session.library.reconcile()  # a kill may have left a picture's file without its row: it need not be drawn again
    return Refining(session, journal, faces or Faces())


def refine(
    request: str | Request,
    *,
    budget: str = DEFAULT_BUDGET,
    strategies: Sequence[str] = (),
    scorers: Sequence[str] = (),
    judges: Sequence[str] = (),
    text: str | None = None,
    margin: float = MARGIN,
    diversity_margin: float | None = None,
    worthwhile: float = WORTHWHILE,
    llm: str = "",
    llm_model: str = "",
    force: bool = False,
    session: Session | None = None,
    faces: Faces | None = None,
    **fields: object,
) -> Refinement:
    """Search for a better way to say it, and prove whether it is one: ``limner.refine("a red fox in the snow")``.

    Every picture is scored against the user's own words (``text``, else the prompt's), never a rewrite's. The search's
    ``scorers`` choose at most two finalists; the ``judges`` see only fresh seeds of those. ``fields`` are the Request's
    where ``request`` is a prompt. The result's ``request`` is what to draw with from now on. Raises ``InvalidRequest``
    for a budget too small for a verdict, ``NotIndependent``, ``ScorerOutOfDomain``, and any ``LimnerError`` of drawing.
    """
    wishes = Wishes(
        Budget.parse(budget),
        tuple(strategies),
        tuple(scorers),
        tuple(judges),
        text,
        margin,
        force=force,
        diversity_margin=diversity_margin,
        worthwhile=worthwhile,
        llm=llm,
        llm_model=llm_model,
    )
    if session is not None:
        return _refined(request, fields, session, wishes, faces)
    with Session(scored=False) as own:  # it scores its pictures itself
        return _refined(request, fields, own, wishes, faces)


def _refined(
    request: str | Request, fields: Mapping[str, object], session: Session, wishes: Wishes, faces: Faces | None
) -> Refinement:
    asked = request if isinstance(request, Request) else session.request(request, **fields)
    return begin(asked, session, wishes, faces).run()
