"""The search: strategies propose, candidates are admitted, and halving over common seeds leaves the finalists.

A generator that asks for scored trials and knows nothing of pictures, so that the very code that refines is the code
whose false-positive rate is simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from limner.errors import EvidenceError, GenerationError, InvalidRequest, LimnerError, ModelError
from limner.refine.arms import Scored, Trial
from limner.refine.asking import Ask, Asking, World
from limner.refine.design import Design
from limner.refine.faults import more_than
from limner.refine.ranking import Standing, standings
from limner.refine.strategy import PARAPHRASE, USER, Candidate, Probe, Strategy, Task


@dataclass(slots=True)
class Search:
    """A search under way; what it has found so far can be read off it at any time."""

    design: Design
    task: Task
    strategies: Sequence[Strategy]
    world: World
    pool: dict[str, Candidate] = field(default_factory=dict)
    history: list[tuple[Standing, ...]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    _seen: dict[str, dict[int, Scored]] = field(default_factory=dict)
    _refused: list[str] = field(default_factory=list)

    @property
    def user(self) -> Candidate:
        return Candidate(id=USER, request=self.design.request, parent="", edit="your own words")

    def run(self) -> Asking[tuple[Candidate, ...]]:
        """The finalists, best first; none where no candidate stood above the user's own words. Raises
        ``EvidenceError`` where the search scorers value nothing, and what drawing raises."""
        yield from self._proposed()
        chosen = tuple(self.world.choose(tuple(self.pool.values())))
        alive = [each.id for each in chosen]
        for rung in self.design.rungs:
            if not alive or self._stopped():
                break
            alive = yield from self._rung(alive, rung.seeds)
        last = self.history[-1] if self.history else ()
        ahead = [self.pool[each.candidate] for each in last if not each.out and each.ahead]
        return tuple(ahead[: self.design.finalists])

    def best(self) -> Candidate | None:
        """The best candidate so far that stands above the user's own words."""
        last = self.history[-1] if self.history else ()
        return next((self.pool[each.candidate] for each in last if not each.out and each.ahead), None)

    def standing(self, candidate: str) -> Standing | None:
        """Where a candidate stood when it was last compared."""
        found = (each for round_ in reversed(self.history) for each in round_ if each.candidate == candidate)
        return next(found, None)

    def scored(self, candidate: str) -> Mapping[int, Scored]:
        return self._seen.get(candidate, {})

    def _proposed(self) -> Asking[None]:
        """Fill the pool: every strategy gets its share of the slots; what one leaves goes to the others in turn."""
        known = {self.world.identify(self.design.request): USER}
        left, rest = self.design.slots, list[tuple[str, Iterator[Candidate]]]()
        for k, strategy in enumerate(self.strategies):
            share = -(-left // (len(self.strategies) - k))
            try:
                proposed, shown = yield from self._asked(strategy, share)
            except (InvalidRequest, ModelError) as error:
                if len(self.strategies) <= 2:
                    raise
                self._drop(f"{strategy.name} proposed nothing: {error.message}")
                continue
            waiting = iter(proposed)
            left -= max(self._admitted(waiting, strategy.name, known, share), shown)  # what was shown is drawn
            rest.append((strategy.name, waiting))
        while left > 0 and rest:
            name, waiting = rest.pop(0)
            if self._admitted(waiting, name, known, 1):
                left -= 1
                rest.append((name, waiting))
        self._tell_left_out()
        if not self.pool:
            raise InvalidRequest(
                "no strategy found another way to say this",
                field="strategy",
                hint="; ".join(self.dropped[:3]) or "name a language model: --llm URL",
            )

    def _tell_left_out(self) -> None:
        """How many rewrites were left out, and why the first one was; all of them are in ``dropped``."""
        if self._refused:
            first = self._refused[0]
            more = "" if len(self._refused) == 1 else f", and {len(self._refused) - 1} more like it"
            self.world.tell(f"left out: {first}{more}")

    def _admitted(self, proposed: Iterator[Candidate], strategy: str, known: dict[str, str], most: int) -> int:
        """How many of the next ones were taken into the pool, at most ``most``."""
        taken = 0
        while taken < most and (candidate := next(proposed, None)) is not None:
            taken += self._admit(candidate, strategy, known)
        return taken

    def _asked(self, strategy: Strategy, share: int) -> Asking[tuple[Sequence[Candidate], int]]:
        """One strategy's proposals, and how many Requests it looked at; its probes are answered by scores against the
        words that it names."""
        rng = Random(f"{self.design.seed} {strategy.name}")  # reproducible on purpose
        proposals = strategy.propose(replace(self.task, slots=share), rng)
        shown: set[str] = set()
        try:
            probe = next(proposals)
            while True:
                shown |= self._checked(probe, strategy, shown, share)
                words = self.design.words if probe.words is None else probe.words
                scored = yield Ask(probe.trials, self.design.search, words, why=f"{strategy.name} looks")
                probe = proposals.send(scored)
        except StopIteration as stop:
            found: Sequence[Candidate] = stop.value or ()
            return found, len(shown)
        finally:
            proposals.close()

    def _checked(self, probe: Probe, strategy: Strategy, shown: set[str], share: int) -> set[str]:
        """The Requests that a probe shows. Raises ``GenerationError`` where it would cost what nobody planned."""
        if not {trial.seed for trial in probe.trials} <= set(self.task.seeds):
            raise GenerationError(
                f"the strategy {strategy.name} asked for seeds that are not the search's",
                hint="this is a fault of the strategy",
            )
        own = self.world.identify(self.design.request)
        new = {self.world.identify(trial.request) for trial in probe.trials} - {own}
        if len(shown | new) > share:
            raise GenerationError(
                f"the strategy {strategy.name} asked to see more than its {share} candidates",
                hint="this is a fault of the strategy",
            )
        return new

    def _admit(self, candidate: Candidate, strategy: str, known: dict[str, str]) -> bool:
        """Take a candidate into the pool, unless it cannot be drawn or would draw what another one draws."""
        try:
            identity = self.world.identify(candidate.request)
        except LimnerError as error:
            return self._leave_out(f"{strategy}: {candidate.edit}: {error.message}")
        if identity in known:
            which = "your own words" if known[identity] == USER else known[identity]
            return self._leave_out(f"{strategy}: {candidate.edit}: draws the very same pictures as {which}")
        name = f"r{len(self.pool) + 1}"
        known[identity] = name
        self.pool[name] = candidate.model_copy(update={"id": name, "strategy": strategy})
        return True

    def _leave_out(self, why: str) -> bool:
        self._refused.append(why)
        self.dropped.append(why)
        return False

    def _drop(self, why: str) -> None:
        self.dropped.append(why)
        self.world.warn(why)

    def _rung(self, alive: Sequence[str], seeds: int) -> Asking[list[str]]:
        """Compare who is left over the first ``seeds`` seeds; who goes on, best first."""
        self.world.tell(f"comparing {len(alive)} rewrites with your words over {seeds} seeds")
        for name in (USER, *alive):
            yield from self._draw(name, self.design.search_seeds[:seeds])
        own = {seed: each for seed, each in self._seen[USER].items() if seed in self.design.search_seeds[:seeds]}
        pool = {name: self._seen[name] for name in alive}
        faulty = {name: why for name, seen in pool.items() if (why := more_than(own.values(), seen.values()))}
        signs, floor = self.world_signs, self.design.floor
        found = standings(own, pool, signs, floor=floor, margin=self.design.margin, faulty=faulty)
        if all(each.out.startswith("no value") for each in found):
            raise EvidenceError(
                f"{' and '.join(self.design.search)} gave no value for any rewrite: {self._failure()}",
                hint="the pictures are kept; choose another scorer: --scorer NAME (limner metrics)",
            )
        later = [rung.candidates for rung in self.design.rungs if rung.seeds > seeds]
        kept = later[0] if later else len(found)
        told = [
            each if each.out or (each.place or 0) <= kept else each.model_copy(update={"out": "beaten"})
            for each in found
        ]
        self.history.append(tuple(told))
        return [each.candidate for each in told if not each.out]

    def _draw(self, name: str, seeds: Sequence[int]) -> Asking[None]:
        seen = self._seen.setdefault(name, {})
        request = self.design.request if name == USER else self.pool[name].request
        trials = tuple(Trial(request=request, seed=seed) for seed in seeds if seed not in seen)
        if trials:
            scored = yield Ask(trials, self.design.search, self.design.words, why=name)
            seen.update({each.trial.seed: each for each in scored})

    def _stopped(self) -> bool:
        """Is the search's share of the time spent? Then the finalists are those that stand best by now."""
        if not self.history or not self.world.over():
            return False
        self.world.warn("the search's share of the time is spent; it ends earlier than planned")
        return True

    def _failure(self) -> str:
        for scored in self._seen.values():
            for each in scored.values():
                for why in each.failures.values():
                    return why
        return "no reason given"

    @property
    def world_signs(self) -> Mapping[str, int]:
        return {name: self.world.sign(name) for name in self.design.search}

    def baseline(self) -> Candidate | None:
        """The paraphrase that went furthest: what the other strategies have to beat."""
        for round_ in reversed(self.history):
            for each in round_:
                if self.pool[each.candidate].strategy == PARAPHRASE and each.place is not None:
                    return self.pool[each.candidate]
        return None
