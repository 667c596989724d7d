"""Evaluate rules on facts with both evaluators, and conclude only what they agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from msgspec import Struct

from cds.clinical.finding import Finding, SourceCitation
from cds.rulebook.conditions import Conjunction, conjunctions
from cds.rulebook.facts import Catalogue, Fact, FactError, Value
from cds.rulebook.panel import Panel
from cds.rulebook.program import EngineError, Program
from cds.rulebook.reference import Judged, Matcher, Scene
from cds.rulebook.render import Renderer
from cds.rulebook.rule import Outcome, Rule, Status
from cds.rulebook.verdict import MatchedFacts, RuleTrace, Verdict

Key = tuple[str, tuple[tuple[str, int], ...]]
"""A rule and the numbers of the facts it matched, by binding: what the evaluators must share."""


class Prepared(Struct, frozen=True):
    """One rule as it stands in one jurisdiction."""

    rule: Rule
    conjunctions: tuple[Conjunction, ...]
    matchers: tuple[Matcher, ...]
    params: Mapping[str, Value]
    citations: tuple[SourceCitation, ...]


class Judgement(Struct, frozen=True):
    """The reference evaluator's view of one rule."""

    outcome: Outcome
    matches: tuple[tuple[tuple[str, int], ...], ...]
    missing: tuple[str, ...]
    because: tuple[str, ...]


def prepare(
    rule: Rule,
    jurisdiction: str,
    catalogue: Catalogue,
    citations: Mapping[str, SourceCitation],
) -> Prepared | None:
    """The rule with the jurisdiction's numbers, or None if it does not exist there."""
    found = conjunctions(rule, jurisdiction, catalogue)
    if found is None:
        return None
    params = {name: param.values[jurisdiction] for name, param in rule.params.items()}
    filled = {name: value for name, value in params.items() if value is not None}
    cited = tuple(citations[key] for key in rule.sources if key in citations)
    return Prepared(rule, found, tuple(Matcher(c) for c in found), filled, cited)


class Deck:
    """The rules asked on one occasion in one jurisdiction, with their compiled program."""

    def __init__(
        self,
        asked: Sequence[Prepared],
        passed: Sequence[RuleTrace],
        renderer: Renderer,
        revision: str,
    ) -> None:
        self._panel = Panel([prepared.matchers for prepared in asked], partial(_blocked, asked))
        self._asked = [(asked[rule], self._panel.alternatives[rule]) for rule in self._panel.rules]
        self._silent: list[dict[tuple[str | None, ...], RuleTrace]] = [{} for _ in asked]
        """Of each rule asked, how it was silent though no single pattern blocked all of it."""
        self._passed = passed
        ids = [prepared.rule.id for prepared, _ in self._asked] + [one.rule_id for one in passed]
        self._order = sorted(range(len(ids)), key=ids.__getitem__)
        """The places of the trace in the order of the rules' ids."""
        self._by_number = [(one, found) for one in asked for found in one.conjunctions]
        self._renderer, self._revision = renderer, revision
        self._program = Program([conjunction for _, conjunction in self._by_number])

    def close(self) -> None:
        """Give back what durable-rules holds."""
        self._program.close()

    @property
    def closed(self) -> bool:
        """Whether it has to be built again."""
        return self._program.closed

    def evaluate(self, facts: Sequence[Fact]) -> Verdict:
        """Ask both evaluators; on any difference say so and conclude nothing."""
        trace, heard = self._judge(facts)
        expected = {(one.rule.id, match) for one, result, _ in heard for match in result.matches}
        speaking = tuple(sorted((row for *_, row in heard), key=lambda row: row.rule_id))
        try:
            disagreement = _difference(expected, self._fired(facts))
        except EngineError as error:
            disagreement = f"durable-rules failed: {error}"
        if disagreement is not None:
            return Verdict((), (), trace, False, disagreement, self._revision, speaking)
        found: list[Finding] = []
        shadow: list[Finding] = []
        for prepared, result, _ in heard:
            if result.matches and not prepared.rule.then.silent:
                into = found if prepared.rule.status is Status.ACTIVE else shadow
                into.extend(self._findings(prepared, result, facts))
        said, unsaid = _urgent_first(found), _urgent_first(shadow)
        return Verdict(said, unsaid, trace, True, None, self._revision, speaking)

    def _judge(
        self, facts: Sequence[Fact]
    ) -> tuple[tuple[RuleTrace, ...], list[tuple[Prepared, Judgement, RuleTrace]]]:
        """What became of every rule, by id, and those that are not silent.

        Most rules are silent, and for a reason that they had before.
        """
        silences, judged = self._panel.judge(Scene(facts))
        trace: list[RuleTrace] = []
        heard = []
        for place, row in enumerate(silences):
            if row is None:
                prepared, alternatives = self._asked[place]
                parts = [judged[number] for number in alternatives]
                why = tuple([part.blocked for part in parts])
                row = self._silent[place].get(why)
                if row is None:
                    result = join(prepared, parts)
                    row = _traced(prepared.rule, result, facts)
                    if result.outcome is Outcome.SILENT:
                        self._silent[place][why] = row
                    else:
                        heard.append((prepared, result, row))
            trace.append(row)
        trace += self._passed
        return tuple(map(trace.__getitem__, self._order)), heard

    def _fired(self, facts: Sequence[Fact]) -> set[Key]:
        hits = self._program.hits([(fact.kind, fact.values) for fact in facts])
        fired = set()
        for number, matched in hits:
            prepared, conjunction = self._by_number[number]
            bound = tuple(sorted(zip(conjunction.bindings, matched, strict=True)))
            fired.add((prepared.rule.id, bound))
        return fired

    def _findings(
        self, prepared: Prepared, result: Judgement, facts: Sequence[Fact]
    ) -> list[Finding]:
        """One finding for each match that reads differently."""
        found: dict[tuple[str | None, str, str], Finding] = {}
        for match in result.matches:
            bound = {binding: facts[number] for binding, number in match}
            finding = conclude(prepared, bound, self._renderer)
            found.setdefault((finding.subject, finding.summary, finding.detail), finding)
        return list(found.values())


def _blocked(asked: Sequence[Prepared], rule: int, absent: Judged) -> RuleTrace:
    """The trace of a rule whose alternatives are all blocked by one pattern."""
    prepared = asked[rule]
    return _traced(prepared.rule, join(prepared, [absent] * len(prepared.matchers)), ())


def judge(prepared: Prepared, scene: Scene) -> Judgement:
    """The reference evaluator over every alternative of one rule."""
    return join(prepared, [matcher.judge(scene) for matcher in prepared.matchers])


def join(prepared: Prepared, parts: Sequence[Judged]) -> Judgement:
    """The judgement of a rule from those of its alternatives."""
    matches: dict[tuple[tuple[str, int], ...], None] = {}
    missing: list[frozenset[str]] = []
    because: dict[str, None] = {}
    for result, conjunction in zip(parts, prepared.conjunctions, strict=True):
        for match in result.matches:
            matches[tuple(sorted(zip(conjunction.bindings, match, strict=True)))] = None
        if result.missing:
            missing.append(result.missing)
        if result.blocked is not None:
            because[result.blocked] = None
    if not matches and not missing:
        return _silent(tuple(because))
    wanting = tuple(sorted(min(missing, key=_fewest, default=())))
    if matches:
        return Judgement(Outcome.FIRED, tuple(sorted(matches)), wanting, ())
    return Judgement(Outcome.UNDECIDED, (), wanting, ())


@lru_cache(maxsize=10_000)
def _silent(because: tuple[str, ...]) -> Judgement:
    return Judgement(Outcome.SILENT, (), (), because)


def _fewest(missing: frozenset[str]) -> tuple[int, list[str]]:
    return len(missing), sorted(missing)


def conclude(prepared: Prepared, bound: Mapping[str, Fact], renderer: Renderer) -> Finding:
    """The finding of one match, in words."""
    rule, then = prepared.rule, prepared.rule.then
    references = dict.fromkeys(fact.reference for fact in bound.values() if fact.reference)
    subject = then.subject
    return Finding(
        rule_id=rule.id,
        revision=rule.revision,
        matter=then.matter,
        severity=then.severity,
        summary=renderer.fill(then.summary, bound, prepared.params),
        detail=renderer.fill(then.detail, bound, prepared.params, markdown=True),
        subject=renderer.fill(subject, bound, prepared.params) if subject else None,
        show=then.show,
        suggest=then.suggest,
        override_reasons=then.override_reasons,
        citations=prepared.citations,
        references=tuple(references),
        silent=then.silent,
    )


def check_scene(facts: Sequence[Fact], catalogue: Catalogue) -> None:
    """Raise FactError unless every kind of which there is one is there once."""
    counts: dict[str, int] = {}
    for fact in facts:
        counts[fact.kind] = counts.get(fact.kind, 0) + 1
    for kind in catalogue:
        if kind.one and counts.get(kind.name, 0) != 1:
            raise FactError(f"{counts.get(kind.name, 0)} facts of kind {kind.name} instead of one")


def _traced(rule: Rule, result: Judgement, facts: Sequence[Fact]) -> RuleTrace:
    matches = tuple(
        MatchedFacts(tuple((binding, facts[number]) for binding, number in match))
        for match in result.matches
    )
    return RuleTrace(
        rule.id, rule.revision, rule.status, result.outcome, matches, result.missing,
        result.because, rule.then.silent,
    )  # fmt: skip


def _difference(reference: set[Key], durable: set[Key]) -> str | None:
    if reference == durable:
        return None
    only_reference = sorted({rule for rule, _ in reference - durable})
    only_durable = sorted({rule for rule, _ in durable - reference})
    return (
        f"reference alone: {', '.join(only_reference) or 'none'}; "
        f"durable-rules alone: {', '.join(only_durable) or 'none'}"
    )


def _urgent_first(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (-f.severity, f.rule_id, f.subject or "")))
