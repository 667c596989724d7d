"""What an edit of the rulebook would change, and what changed so far. Editing stays in files."""

from __future__ import annotations

import threading
from collections import OrderedDict

from flask import Blueprint, Response, request

from cds import content
from cds.report.rule_changes import Comparison, comparison, grouped, notes
from cds.rulebook import Rulebook
from cds.services import Services
from cds.services.edit_effect import Cases, effect, recent_cases, story_cases
from cds.services.knowledge import rules_path
from cds.services.revisions import FILES, SERVING, NoRevision, Revisions
from cds.telemetry import log
from cds.web.board_access import BoardReader, board_reader
from cds.web.errors import refuse
from cds.web.pages import page, refuse_in_words
from cds.web.signin import Doorkeeper

_MOST_RECENT = 40
_KEPT = 8
_CHANGELOG = "CHANGELOG.md"


def blueprint(services: Services, door: Doorkeeper) -> Blueprint:
    """The pages about changes."""
    routes = Blueprint("rule_changes", __name__)
    refuse_in_words(routes)
    revisions = Revisions(services)
    comparer = _Comparer(services)

    @routes.get("/rules/changes")
    def changes() -> Response:
        reader = board_reader(door)
        old, new = request.args.get("old") or SERVING, request.args.get("new", "")
        choices = list(revisions.choices())
        recent = bool(request.args.get("recent")) and reader.comments
        found, trouble = None, ()
        if new:
            known = {name for name, _ in choices}
            if old not in known or new not in known:
                raise refuse(404, "not-found", "There is no such revision here.", "query")
            try:
                found = comparer.compare(revisions, old, new, reader if recent else None)
            except NoRevision as why:
                trouble = tuple(str(why).splitlines())
        return page(
            "rule_changes.html",
            choices=choices,
            labels=dict(choices),
            old=old,
            new=new,
            suggested=FILES,
            recent=recent,
            reader=reader,
            most_recent=_MOST_RECENT,
            comparison=found,
            groups=grouped(found.effect.changes) if found else (),
            trouble=trouble,
        )

    @routes.get("/rules/history")
    def history() -> Response:
        board_reader(door)
        file = rules_path(services.settings) / _CHANGELOG
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        return page(
            "rule_history.html",
            served=revisions.history(),
            serving=services.knowledge.rulebook.revision,
            notes=notes(text),
            file=file.name,
        )

    return routes


class _Comparer:
    """Compares one pair of rulebooks at a time, and remembers the last few."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kept: OrderedDict[tuple[str, str], Comparison] = OrderedDict()
        self._alone = threading.Lock()

    def compare(
        self, revisions: Revisions, old: str, new: str, recent: BoardReader | None
    ) -> Comparison:
        """Return what differs; with `recent`, also over the newest recorded decisions."""
        with self._alone:  # it takes seconds of arithmetic, which hook calls need too
            before = revisions.load(old)
            try:
                after = revisions.load(new)
                try:
                    return self._compared(before, after, recent)
                finally:
                    after.close()
            finally:
                before.close()

    def _compared(
        self, before: Rulebook, after: Rulebook, recent: BoardReader | None
    ) -> Comparison:
        key = before.revision, after.revision
        found = self._kept.get(key)
        if found is None:
            found = self._over(before, after, self._stories())
            self._kept[key] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        if recent is None:
            return found
        cases = recent_cases(self._services.store, _MOST_RECENT, recent.client)
        log().info("decisions-compared", client=recent.name, count=len(cases), status=200)
        return found.with_recent(self._over(before, after, cases).effect)

    def _stories(self) -> Cases:
        return story_cases(content.examples_dir(), self._services.settings.jurisdiction)

    def _over(self, before: Rulebook, after: Rulebook, cases: Cases) -> Comparison:
        models = self._services.knowledge.models
        return comparison(before, after, effect(before, after, models, cases))
