"""Random rules and random patients over the real catalogue, for differential tests.

Values come from small pools, so that joins, boundaries and negations are met often.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date

from cds.clinical.finding import Matter, Severity
from cds.clinical.setting import Jurisdiction, Occasion
from cds.rulebook.facts import Attribute, AttributeType, Catalogue, Fact, Kind, Value, catalogue
from cds.rulebook.read_tests import with_neutral_values
from cds.rulebook.remarks import Place
from cds.rulebook.rule import (
    Alternatives,
    Choice,
    Comparison,
    Conclusion,
    Condition,
    JoinRef,
    Param,
    ParamRef,
    Pattern,
    Rule,
    Status,
    Template,
    Word,
)

PLACE = Place("random.yaml")
NUMBERS = (0.0, 0.0001, 0.5, 1.0, 2.5, 28.0, 749.9999, 750.0, 1000.0, -3.0, 100000.0)
INTEGERS = (0, 1, 2, 3, 7)
CODES = ("rifampicin", "ketoconazole", "simvastatin", "anc", "alt", "azole")
MANY = ("medicine", "interaction", "lab", "condition", "level", "order", "allergy", "problem")
_ORDER_WORDS = (Word.BELOW, Word.AT_MOST, Word.ABOVE, Word.AT_LEAST, Word.IS, Word.NOT)


class Generator:
    """A source of random rules and scenes."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._kinds: Catalogue = catalogue()

    def rules(self, count: int) -> list[Rule]:
        """So many rules, each of one to four patterns."""
        return [self._rule(number) for number in range(count)]

    def scene(self, many: int) -> list[Fact]:
        """One fact of every single kind, and `many` others."""
        facts = [self._fact(kind) for kind in self._kinds if kind.one]
        facts += [self._fact(self._kinds.kinds[self.random.choice(MANY)]) for _ in range(many)]
        self.random.shuffle(facts)
        return facts

    def _fact(self, kind: Kind) -> Fact:
        values: dict[str, Value] = {}
        for name, attribute in kind.attributes.items():
            if attribute.always or self.random.random() < 0.6:
                values[name] = self.value(attribute)
        return with_neutral_values(kind, values)

    def value(self, attribute: Attribute) -> Value:
        match attribute.type:
            case AttributeType.BOOLEAN:
                return self.random.random() < 0.5
            case AttributeType.INTEGER:
                return self.random.choice(INTEGERS)
            case AttributeType.NUMBER:
                return self.random.choice(NUMBERS)
            case AttributeType.TEXT:
                return self.random.choice(('say "no"', "back\\slash", "{x}", "naïve ≥ 3\n"))
            case AttributeType.CODE:
                return self.random.choice(attribute.values or CODES)

    def _rule(self, number: int) -> Rule:
        params: dict[str, Param] = {}
        bound: dict[str, Kind] = {}
        several = range(self.random.randint(1, 3))
        when: list[Condition] = [self._pattern(bound, params) for _ in several]
        if self.random.random() < 0.25:
            options = tuple(
                (self._pattern(dict(bound), params),) for _ in range(self.random.randint(2, 3))
            )
            when.append(Alternatives(options, PLACE))
        for _ in range(self.random.choice((0, 0, 1, 2))):
            when.insert(self.random.randint(1, len(when)), self._negation(bound, when, params))
        text = Template(("something",), PLACE)
        return Rule(
            id=f"random.rule-{number:04d}", revision=1, status=Status.ACTIVE, title="Random",
            owner="test", effective_from=date(2026, 1, 1), review_by=date(2027, 1, 1),
            evidence_level="P", evidence_note="random", sources=("product-proposal",),
            occasions=tuple(Occasion), jurisdictions=tuple(Jurisdiction), params=params,
            when=tuple(when), then=Conclusion(Matter.DATA, Severity.INFO, text, text), tests=(),
            place=PLACE,
        )  # fmt: skip

    def _pattern(self, bound: dict[str, Kind], params: dict[str, Param]) -> Pattern:
        kinds = self._kinds.kinds
        kind = kinds[self.random.choice((*MANY, *MANY, *kinds))]
        names = [a.name for a in kind.attributes.values() if a.comparable]
        conditions: list[Comparison | Choice] = [
            self._comparison(kind.attributes[name], params)
            for name in self.random.sample(names, self.random.randint(0, min(3, len(names))))
        ]
        if names and self.random.random() < 0.2:
            picked = [self.random.choice(names) for _ in range(2)]
            conditions.append(
                Choice(
                    tuple((self._comparison(kind.attributes[n], params),) for n in picked), PLACE
                )
            )
        conditions += self._join(kind, bound)
        name = f"b{len(bound)}x{self.random.randint(0, 9999)}"
        bound[name] = kind
        return Pattern(name, kind.name, tuple(conditions), PLACE)

    def _negation(
        self, bound: dict[str, Kind], when: Sequence[Condition], params: dict[str, Param]
    ) -> Pattern:
        kind = self._kinds.kinds[self.random.choice(MANY)]
        names = [a.name for a in kind.attributes.values() if a.always and a.comparable]
        conditions: list[Comparison | Choice] = [
            self._comparison(kind.attributes[name], params)
            for name in self.random.sample(names, self.random.randint(0, min(3, len(names))))
        ]
        always = {c.binding: bound[c.binding] for c in when if isinstance(c, Pattern) and c.binding}
        conditions += self._join(kind, always)
        return Pattern(None, kind.name, tuple(conditions), PLACE)

    def _join(self, kind: Kind, bound: dict[str, Kind]) -> list[Comparison]:
        if not bound or self.random.random() < 0.5:
            return []
        binding = self.random.choice(sorted(bound))
        own, other = (
            [a.name for a in k.attributes.values() if a.type is AttributeType.CODE and a.always]
            for k in (kind, bound[binding])
        )
        if not own or not other:
            return []
        join = JoinRef(binding, self.random.choice(other))
        return [Comparison(self.random.choice(own), Word.SAME_AS, join, PLACE)]

    def _comparison(self, attribute: Attribute, params: dict[str, Param]) -> Comparison:
        if self.random.random() < 0.1 and not attribute.always:
            known = self.random.random() < 0.5
            return Comparison(attribute.name, Word.KNOWN, known, PLACE)
        value = self.value(attribute)
        if attribute.is_number:
            name = f"p{len(params)}"
            quantity = float(value)
            params[name] = Param(
                name, dict.fromkeys(Jurisdiction, quantity), "1", "product-proposal", None, PLACE
            )
            return Comparison(
                attribute.name, self.random.choice(_ORDER_WORDS), ParamRef(name), PLACE
            )
        if attribute.type is AttributeType.CODE and self.random.random() < 0.4:
            several = tuple({str(self.value(attribute)) for _ in range(3)})
            word = self.random.choice((Word.ONE_OF, Word.NOT_ONE_OF))
            return Comparison(attribute.name, word, several, PLACE)
        word = self.random.choice((Word.IS, Word.IS, Word.NOT))
        assert isinstance(value, bool | str)
        return Comparison(attribute.name, word, value, PLACE)
