"""The safety board: what each rule did, what users did with it, and what stands out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from msgspec import Struct

from cds.report.control_chart import (
    RECENT_WEEKS,
    ControlChart,
    Observed,
    Silence,
    control_chart,
)
from cds.report.export import safe_cell
from cds.rulebook import Rulebook
from cds.store import Comment, Figures, RuleFigures, Week, Window

WINDOWS = (4, 13, 26, 52)
"""Weeks a reader may look at."""
WEEK = timedelta(days=7)
HISTORY = 26 * WEEK
"""Weeks before the window that make the first limits in it."""
CHARTS = {"fired": "fired", "undecided": "could not decide"}
"""What is charted, in words."""
SAYS = {"fired": "fired, per 100 asked", "undecided": "undecided, per 100 asked"}
_NO_REASON = ("", "")
_COLUMNS = (
    "evaluated", "fired", "shadow", "suppressed", "undecided", "unread", "shown", "shown_on_orders",
    "accepted", "overridden", "unanswered",
)  # fmt: skip


class Signal(Struct, frozen=True):
    """Something a reader should look at."""

    rule: str
    title: str
    chart: str
    words: str


class RuleRow(Struct, frozen=True):
    """One rule in one revision."""

    figures: RuleFigures
    title: str
    group: str
    status: str
    serving: bool
    """Whether this revision is the one in force."""
    signals: tuple[Signal, ...]
    per_100_orders: float | None

    @property
    def spoke(self) -> bool:
        """Whether there is anything to show of it but silence."""
        counted = self.figures
        return bool(
            counted.fired or counted.shadow or counted.shown or counted.suppressed or self.signals
        )

    @property
    def speaking(self) -> int:
        """Decisions in which it spoke, or would have."""
        return self.figures.fired + self.figures.shadow

    @property
    def answered(self) -> int:
        """Cards of which somebody said what became of them."""
        return self.figures.accepted + self.figures.overridden


class Board(Struct, frozen=True):
    """Everything on the first page."""

    figures: Figures
    rows: tuple[RuleRow, ...]
    signals: tuple[Signal, ...]
    charts: Mapping[tuple[str, str], ControlChart]
    """(rule, fired or undecided) -> its chart in the window."""

    @property
    def speaking(self) -> tuple[RuleRow, ...]:
        """Rules with something to show, those that stand out first."""
        rows = [row for row in self.rows if row.spoke]
        return tuple(
            sorted(
                rows, key=lambda r: (not r.signals, -r.figures.shown, -r.speaking, r.figures.rule)
            )
        )

    @property
    def quiet(self) -> tuple[RuleRow, ...]:
        """Rules that were asked and had nothing to say."""
        return tuple(row for row in self.rows if not row.spoke)

    @property
    def totals(self) -> RuleFigures:
        """Sums over the rules; a card that carries two rules counts for each."""
        sums = {name: sum(getattr(r, name) for r in self.figures.rules) for name in _COLUMNS[:-1]}
        return RuleFigures("", 0, **sums)


class Reason(Struct, frozen=True):
    """Why users did otherwise."""

    words: str
    count: int
    percent: float


def window(weeks: int, today: date, client: str | None = None) -> Window:
    """The last so many weeks, the present one included, from a Monday."""
    monday = today - timedelta(days=today.weekday())
    return Window(monday - timedelta(weeks=weeks - 1), today, client)


def before(shown: Window) -> Window:
    """The window with the weeks before it, from which its first limits come."""
    return Window(shown.first - HISTORY, shown.last, shown.client)


def board(figures: Figures, weeks: Iterable[Week], shown: Window, rulebook: Rulebook) -> Board:
    """Lay out the figures of a window; `weeks` reach further back, to make the limits."""
    charts = _charts(weeks, shown.first)
    titles = {rule.id: rule for rule in rulebook.rules}
    signals: dict[str, list[Signal]] = {}
    for (rule, name), chart in charts.items():
        said = _signal(name, chart)
        if said:
            title = titles[rule].title if rule in titles else rule
            signals.setdefault(rule, []).append(Signal(rule, title, name, said))
    rows = [
        RuleRow(
            figures=counted,
            title=titles[counted.rule].title if counted.rule in titles else counted.rule,
            group=titles[counted.rule].group if counted.rule in titles else "no longer here",
            status=str(titles[counted.rule].status) if counted.rule in titles else "removed",
            serving=counted.rule in titles and titles[counted.rule].revision == counted.revision,
            signals=tuple(signals.get(counted.rule, ())),
            per_100_orders=_per_100(counted.shown_on_orders, figures.orders),
        )
        for counted in figures.rules
    ]
    every = [signal for some in signals.values() for signal in some]
    return Board(figures, tuple(rows), tuple(every), charts)


def reasons(
    rows: Iterable[RuleFigures], names: Mapping[tuple[str, str], str]
) -> tuple[Reason, ...]:
    """Override reasons of some rules, the commonest first."""
    counted: dict[tuple[str, str], int] = {}
    for row in rows:
        for reason, count in row.reasons.items():
            counted[reason] = counted.get(reason, 0) + count
    total = sum(counted.values())
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Reason(_reason(r, names), n, 100.0 * n / total) for r, n in ordered)


def reason_names(rulebook: Rulebook) -> dict[tuple[str, str], str]:
    """(system, code) -> what the card offered."""
    root = rulebook.content.tables.roots.get("override_reasons")
    entries = (root.mapping if root is not None else None) or {}
    names = {}
    for entry in entries.values():
        said = {key: str(node.scalar) for key, node in (entry.mapping or {}).items()}
        names[said.get("system", ""), said.get("code", "")] = said.get("display", "")
    return names


def missing(rows: Iterable[RuleFigures]) -> tuple[tuple[str, int], ...]:
    """What was wanting where a rule could not decide, the commonest first."""
    counted: dict[str, int] = {}
    for row in rows:
        for fact, count in row.missing.items():
            counted[fact] = counted.get(fact, 0) + count
    return tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def found(comments: Iterable[Comment], text: str, rule: str = "") -> tuple[Comment, ...]:
    """The comments that hold every word, of one rule if one is named."""
    words = text.casefold().split()
    return tuple(
        comment
        for comment in comments
        if (not rule or rule in comment.rules)
        and all(word in comment.text.casefold() for word in words)
    )


def as_csv(laid_out: Board) -> str:
    """Return the figures, a row for each revision of a rule."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(
        ("rule", "revision", "title", "group", "status", "serving", *_COLUMNS, "per_100_orders",
         "override_reasons", "missing_facts", "signals")
    )  # fmt: skip
    for row in laid_out.rows:
        counted = row.figures
        why = "; ".join(f"{code or 'none'}={n}" for (_, code), n in sorted(counted.reasons.items()))
        wanting = "; ".join(f"{fact}={n}" for fact, n in sorted(counted.missing.items()))
        per = "" if row.per_100_orders is None else f"{row.per_100_orders:.2f}"
        cells = (
            counted.rule, counted.revision, row.title, row.group, row.status, row.serving,
            *(getattr(counted, name) for name in _COLUMNS),
            per, why, wanting, "; ".join(s.words for s in row.signals),
        )  # fmt: skip
        table.writerow([safe_cell(cell) for cell in cells])
    return written.getvalue()


def weeks_as_csv(weeks: Sequence[Week]) -> str:
    """Return the weeks of each rule, as the control charts count them."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(("rule", "week_begins", "revisions", "evaluated", "fired", "undecided"))
    for week in weeks:
        revisions = " ".join(str(number) for number in week.revisions)
        cells = (week.rule, week.begins.isoformat(), revisions, week.evaluated, week.fired,
                 week.undecided)  # fmt: skip
        table.writerow([safe_cell(cell) for cell in cells])
    return written.getvalue()


def markers(figures: Figures, weeks: Iterable[Week]) -> tuple[tuple[date, str], ...]:
    """When what decides changed: the rulebook (a code or table may matter too), or the rule."""
    begun = _rule_revisions(weeks)
    days = {day for day, _ in begun}
    books = [
        (day, f"rulebook {revision[:8]}")
        for day, revision in figures.revisions
        if not any(0 <= (day - monday).days <= WEEK.days for monday in days)
    ]
    return tuple(sorted([*begun, *books]))


def _rule_revisions(weeks: Iterable[Week]) -> tuple[tuple[date, str], ...]:
    """The Monday of the week in which each revision of a rule was first asked."""
    first: dict[int, date] = {}
    for week in sorted(weeks, key=lambda week: week.begins):
        for revision in week.revisions:
            first.setdefault(revision, week.begins)
    begun = sorted(first.items(), key=lambda item: item[1])
    return tuple((day, f"rev. {revision}") for revision, day in begun)


def _charts(weeks: Iterable[Week], first: date) -> dict[tuple[str, str], ControlChart]:
    by_rule: dict[str, list[Week]] = {}
    for week in weeks:
        by_rule.setdefault(week.rule, []).append(week)
    charts = {}
    for rule, its in by_rule.items():
        for name in CHARTS:
            counts = [Observed(w.begins, w.evaluated, getattr(w, name)) for w in its]
            if any(week.count for week in counts):  # what never happened cannot fall
                charts[rule, name] = control_chart(counts).since(first)
    return charts


def _signal(name: str, chart: ControlChart) -> str:
    """What the newest weeks say, in words; nothing while all is as before."""
    if chart.silence is not None and name == "fired":
        still = chart.silence.until is not None and chart.last and chart.last.signal == "fall"
        return _silent(chart.silence) + ("; still less often than before" if still else "")
    recent = [point for point in chart.points[-RECENT_WEEKS:] if point.signal]
    if not recent:
        return ""
    last = recent[-1]
    same = [point for point in recent if point.signal == last.signal]
    often = f" in {len(same)} of the last {RECENT_WEEKS} weeks" if len(same) > 1 else ""
    way = "less often" if last.signal == "fall" else "more often"
    since = "" if last is chart.last else "; within its limits since"
    return (
        f"{CHARTS[name]} {way} than before{often}: {last.count} of {last.of} decisions in the week "
        f"of {_day(last.begins)} ({last.percent:.0f} per 100), expected {last.low or 0:.0f} to "
        f"{last.high or 0:.0f} per 100{since}"
    )


def _silent(silence: Silence) -> str:
    when = f"has not fired since the week of {_day(silence.since)}"
    if silence.until is not None:
        when = f"did not fire from {_day(silence.since)} until the week of {_day(silence.until)}"
    return f"{when}: 0 of {silence.of} decisions, where about {silence.expected:.0f} were expected"


def _per_100(count: int, orders: int) -> float | None:
    return 100.0 * count / orders if orders else None


def _reason(reason: tuple[str, str], names: Mapping[tuple[str, str], str]) -> str:
    if reason == _NO_REASON:
        return "no reason given"
    return names.get(reason) or reason[1]


def _day(day: date) -> str:
    return day.strftime("%-d %b %Y")
