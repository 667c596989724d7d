"""The rulebook as the rest of the product sees it: loaded once, immutable, evaluated often."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cds.clinical.finding import SourceCitation
from cds.clinical.setting import Setting
from cds.clinical.terminology import Drug, Terminology
from cds.rulebook.content import Content, Files, read_content, read_directory
from cds.rulebook.evaluate import Deck, Prepared, check_scene, prepare
from cds.rulebook.facts import Fact, catalogue
from cds.rulebook.remarks import Remarks, RulebookError
from cds.rulebook.render import Renderer
from cds.rulebook.rule import Outcome, Rule, Status
from cds.rulebook.source import Key
from cds.rulebook.verdict import RuleTrace, Verdict


class Rulebook:
    """One revision of the clinical content.

    Programs are compiled on first use, per process (a compiled program must not cross a fork),
    jurisdiction and occasion.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self._rules = {rule.id: rule for rule in content.rules}
        self.renderer = Renderer(catalogue(), content.vocabulary.lab_decimals)
        self.sources: Mapping[str, SourceCitation] = {
            key: source.cited() for key, source in content.sources.items()
        }
        self.snooze_days: Mapping[str, int] = {
            rule.id: rule.then.snooze.days for rule in content.rules if rule.then.snooze
        }
        """Rules whose answered cards stay quiet for another time than their severity says."""
        self._decks: dict[tuple[int, str, str], Deck] = {}
        self._prepared: dict[tuple[str, str], Prepared | None] = {}

    @property
    def content(self) -> Content:
        """Everything the files say, for the linter and the pages."""
        return self._content

    @property
    def name(self) -> str:
        """Name of the rulebook."""
        return self._content.name

    @property
    def version(self) -> str:
        """Version for people; `revision` decides."""
        return self._content.version

    @property
    def revision(self) -> str:
        """SHA-256 over the content of every file."""
        return self._content.revision

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """Whose labels the rulebook knows."""
        return self._content.jurisdictions

    @property
    def default_jurisdiction(self) -> str:
        """The one that holds unless a site says otherwise."""
        return self._content.default_jurisdiction

    @property
    def drug(self) -> Drug:
        """The monitored drug."""
        return self._content.drug

    @property
    def terminology(self) -> Terminology:
        """Meaning of codes."""
        return self._content.vocabulary.terminology

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule, by id."""
        return self._content.rules

    def rule(self, rule_id: str) -> Rule:
        """One rule; KeyError if there is none."""
        return self._rules[rule_id]

    def table(self, name: str, jurisdiction: str) -> Mapping[Key, Any]:
        """One table, deep and read-only, with the values of the jurisdiction."""
        return self._content.tables.table(name, jurisdiction)

    def prepared(self, rule: Rule, jurisdiction: str) -> Prepared | None:
        """A rule with the numbers of a jurisdiction; None if it does not exist there."""
        return prepare(rule, jurisdiction, catalogue(), self.sources)

    def evaluate(self, facts: Sequence[Fact], setting: Setting) -> Verdict:
        """Evaluate every rule that speaks on the occasion; FactError if the facts are not whole."""
        check_scene(facts, catalogue())
        key = (os.getpid(), str(setting.jurisdiction), str(setting.occasion))
        deck = self._decks.get(key) or self._build(key)
        verdict = deck.evaluate(facts)
        if not verdict.agreed and deck.closed:  # `close` came in between
            verdict = self._build(key).evaluate(facts)
        if not verdict.agreed:  # whatever state the program is in, it is not asked again
            self._decks.pop(key, None)
        return verdict

    def close(self) -> None:
        """Give back compiled programs; a later evaluation compiles again."""
        while self._decks:
            _, deck = self._decks.popitem()
            deck.close()

    def _build(self, key: tuple[int, str, str]) -> Deck:
        """Compile; when two threads do so at once the later deck stays, the other is let go."""
        deck = self._decks[key] = self._deck(key[1], key[2])
        return deck

    def _prepared_once(self, rule: Rule, jurisdiction: str) -> Prepared | None:
        """Prepared for all occasions together."""
        key = rule.id, jurisdiction
        if key not in self._prepared:
            self._prepared[key] = self.prepared(rule, jurisdiction)
        return self._prepared[key]

    def _deck(self, jurisdiction: str, occasion: str) -> Deck:
        asked: list[Prepared] = []
        passed: list[RuleTrace] = []
        for rule in self.rules:
            prepared = self._prepared_once(rule, jurisdiction)
            if rule.status is Status.RETIRED:
                reason = "retired"
            elif occasion not in rule.occasions:
                reason = f"does not speak on {occasion}"
            elif prepared is None:
                reason = f"does not exist in {jurisdiction}"
            else:
                asked.append(prepared)
                continue
            outcome = Outcome.NOT_APPLICABLE
            passed.append(
                RuleTrace(rule.id, rule.revision, rule.status, outcome, because=(reason,))
            )
        return Deck(asked, passed, self.renderer, self.revision)


def load(path: Path | str, *, with_tests: bool = False) -> Rulebook:
    """Load a rulebook directory; RulebookError carries everything that is wrong with it."""
    directory = Path(path)
    return load_files(read_directory(directory), root=directory.name, with_tests=with_tests)


def load_files(files: Files, *, root: str = "rules", with_tests: bool = False) -> Rulebook:
    """Load a rulebook from the bytes of its files."""
    remarks = Remarks()
    content = read_content(files, remarks, root=root, with_tests=with_tests)
    if content is None or remarks.errors:
        raise RulebookError(remarks.errors)
    return Rulebook(content)
