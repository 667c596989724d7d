"""The reference evaluator over many rules: those that begin alike are judged alike, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from cds.rulebook.reference import Candidate, Judged, Matcher, Numbered, PatternMatcher, Scene
from cds.rulebook.sieve import Sieve

Silence = TypeVar("Silence")


class Panel(Generic[Silence]):
    """Rules judged together, each given by the matchers of its alternatives.

    A tree: each step is a pattern, and everything below a pattern that no fact satisfies is blocked
    by it. Every alternative gets the very judgement that its matcher would give alone.

    Most rules are blocked as a whole by one pattern. What then stands for a rule is made once, by
    `silence` from its number and that judgement. Rules and alternatives are arranged so that those
    below a step lie side by side, where all of them are put at one go.
    """

    def __init__(
        self, rules: Sequence[Sequence[Matcher]], silence: Callable[[int, Judged], Silence]
    ) -> None:
        self._silence = silence
        self._root: _Step[Silence] = _Step()
        for rule, matchers in enumerate(rules):
            for number, matcher in enumerate(matchers):
                step = self._root
                for pattern in matcher.positive:
                    step = step.then.setdefault(pattern, _Step())
                step.given.append((rule, number, matcher))
        self.rules: list[int] = []
        """The numbers of the rules, as their silences are arranged."""
        self.alternatives = [[0] * len(matchers) for matchers in rules]
        """Of each rule, where the judgements of its alternatives are."""
        self._sieve = Sieve(dict.fromkeys(p for some in rules for m in some for p in m.positive))
        self._count = 0
        self._arrange(self._root)

    def judge(self, scene: Scene) -> tuple[list[Silence | None], list[Judged]]:
        """Return what stands for each rule blocked as a whole, None for others, and judgements."""
        silences: list[Silence | None] = [None] * len(self.rules)
        judged = [_NOTHING] * self._count
        self._walk(self._root, scene, self._sieve.sift(scene.facts), [], silences, judged)
        return silences, judged

    def _walk(
        self,
        step: _Step[Silence],
        scene: Scene,
        sifted: Mapping[PatternMatcher, Sequence[Numbered]],
        chosen: list[list[Candidate]],
        silences: list[Silence | None],
        judged: list[Judged],
    ) -> None:
        if step.silences is None:
            step.silences = self._silences(step)
        silences[step.rules], judged[step.judged] = step.silences, step.blocked
        for place, matcher in step.ends:
            judged[place] = matcher.combine(scene, chosen)
        for pattern, following in step.then.items():
            among = sifted.get(pattern)
            if among and (found := scene.candidates(pattern, among)):
                self._walk(following, scene, sifted, [*chosen, found], silences, judged)

    def _arrange(self, step: _Step[Silence]) -> Counter[int]:
        """Give what is below a step its places; return how much is below of rules split there."""
        first_rule, first = len(self.rules), self._count
        below: Counter[int] = Counter()
        for rule, number, matcher in step.given:
            self.alternatives[rule][number] = self._count
            step.ends.append((self._count, matcher))
            step.blocked.append(_NOTHING)
            below[rule] += 1
            self._count += 1
        for pattern, following in step.then.items():
            below += self._arrange(following)
            step.blocked += [pattern.absent] * (self._count - first - len(step.blocked))
        whole = [rule for rule, count in below.items() if count == len(self.alternatives[rule])]
        self.rules += whole
        step.rules = slice(first_rule, len(self.rules))
        step.judged = slice(first, self._count)
        return Counter({rule: count for rule, count in below.items() if rule not in whole})

    def _silences(self, step: _Step[Silence]) -> list[Silence | None]:
        """What stands for the rules below while every pattern that follows is without a fact."""
        found: list[Silence | None] = []
        for pattern, following in step.then.items():
            found += [self._silence(rule, pattern.absent) for rule in self.rules[following.rules]]
        return found + [None] * (step.rules.stop - step.rules.start - len(found))


class _Step(Generic[Silence]):
    """One place in the tree: where to go on, and what is below and ends here."""

    __slots__ = ("blocked", "ends", "given", "judged", "rules", "silences", "then")

    def __init__(self) -> None:
        self.then: dict[PatternMatcher, _Step[Silence]] = {}
        self.given: list[tuple[int, int, Matcher]] = []
        """The alternatives that end here: rule, number among its alternatives, matcher."""
        self.ends: list[tuple[int, Matcher]] = []
        """The same with the places of their judgements."""
        self.rules = self.judged = slice(0)
        """Where what is below lies."""
        self.blocked: list[Judged] = []
        """The judgements while every pattern that follows is without a fact."""
        self.silences: list[Silence | None] | None = None
        """The same of rules; made when it is first needed."""


_NOTHING = Judged()
