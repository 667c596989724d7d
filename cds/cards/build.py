"""From an assessment to the cards of one response: what is said, in which order, what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from cds.assess.assessment import Assessment
from cds.cards import words
from cds.cards.card_set import CardSet, FindingState
from cds.cards.content import CardContent
from cds.cards.level_line import under_way_lines
from cds.cards.limits import (
    Bearing,
    bearing_on,
    data_finding,
    limiting,
    problem_lines,
    withheld_finding,
)
from cds.cards.parts import shown_parts
from cds.cards.quiet import (
    Answer,
    QuietPolicy,
    Spoken,
    Suppressed,
    capped,
    merged,
    without_answered,
)
from cds.cards.references import implicated
from cds.cards.relevance import about_the_order
from cds.cards.results import result_lines
from cds.cards.state import card_uuid, state_digest
from cds.cards.suggest import suggestions_for
from cds.cards.told import Told
from cds.cards.trace import matched_facts
from cds.cards.why import source_lines, why_lines
from cds.cards.wire import (
    Card,
    Coding,
    Indicator,
    Link,
    OverrideReason,
    ReportLink,
    Source,
)
from cds.clinical.finding import Finding, Matter, Severity
from cds.clinical.setting import Occasion

PRODUCT = "imatinib-tdm"
MATTER_SYSTEM = "urn:imatinib-tdm:matter"
EXTENSION_KEY = "org.imatinib-tdm.evaluation"

_INDICATORS: Mapping[Severity, Indicator] = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "critical",
}
_REPORT = "All inputs and the basis of this advice"
_ORDERING = {Occasion.ORDER_SELECT, Occasion.ORDER_SIGN, Occasion.MEDICATION_REFILL}


class _Desk(Struct, frozen=True):
    """Everything one card is written from."""

    assessment: Assessment
    resources: Mapping[str, dict[str, Any]]
    content: CardContent
    base_url: str | None
    evaluation_id: str
    client: str
    report_link: ReportLink
    limits: tuple[Bearing, ...]


def cards_for(
    assessment: Assessment,
    resources: Mapping[str, dict[str, Any]],
    *,
    content: CardContent,
    evaluation_id: str,
    base_url: str | None = None,
    client: str = "",
    report_link: ReportLink = "absolute",
    answered: Sequence[Answer] = (),
    policy: QuietPolicy | None = None,
) -> CardSet:
    """Write the cards for one assessment; pure, so the same evaluation gives the same cards.

    `resources` are the FHIR resources of the request by reference (`MedicationRequest/draft-1`):
    the drafts, which suggestions change as a whole, and any other order that may be put on hold.
    `answered` is what clinicians have answered for this patient. Without a `base_url` (command
    line) cards carry no links. `client` keeps the card ids of two hospitals apart.
    """
    policy = policy or QuietPolicy()
    limits = limiting(assessment)
    desk = _Desk(
        assessment, resources, content, base_url, evaluation_id, client, report_link, limits
    )
    if not assessment.verdict.agreed:
        return _withheld(desk)

    spoken = [_spoken(f, desk) for f in assessment.verdict.findings if not f.silent]
    if assessment.record.person.deceased:
        return CardSet((), tuple(item.suppressed("the patient has died") for item in spoken))
    pertinent, elsewhere = about_the_order(spoken, assessment)
    said, quiet = without_answered(pertinent, answered, policy, assessment.now)
    groups, dropped = capped(merged(said), policy)
    groups, answered_data = _with_data_card(groups, desk, answered, policy)

    cards = _cards(groups, desk)
    suppressed = (*elsewhere, *quiet, *dropped, *answered_data)
    return CardSet(cards, suppressed, _states(cards, groups))


def _spoken(finding: Finding, desk: _Desk) -> Spoken:
    facts = matched_facts(finding, desk.assessment.verdict, desk.content)
    return Spoken(finding, state_digest(finding, facts), facts)


def _with_data_card(
    groups: list[list[Spoken]],
    desk: _Desk,
    answered: Sequence[Answer],
    policy: QuietPolicy,
) -> tuple[list[list[Spoken]], list[Suppressed]]:
    """Add a card for the problems that no other card shows.

    It does not count against the cap: a limit of the advice is not one more piece of advice.
    """
    assessment = desk.assessment
    shown = set(bearing_on((group[0].finding.matter for group in groups), desk.limits))
    loud = [g[0].finding.matter for g in groups if g[0].finding.severity > Severity.INFO]
    shown_loud = set(bearing_on(loud, desk.limits))
    unread = _unread_drafts(assessment)
    # That the very order being signed could not be read is no footnote to a milder card.
    unseen = [
        problem
        for problem, _ in desk.limits
        if problem not in (shown_loud if problem.reference in unread else shown)
    ]
    finding = data_finding(unseen)
    if finding is None or not assessment.record.mentions_drug:
        return groups, []
    codes = ",".join(sorted(f"{p.code}@{p.reference}" for p in unseen))
    spoken = Spoken(finding, state_digest(replace(finding, subject=codes), ()))
    said, quiet = without_answered([spoken], answered, policy, assessment.now)
    return merged(item for group in [*groups, said] for item in group), quiet


def _unread_drafts(assessment: Assessment) -> set[str]:
    """References of the orders of the drug being written now whose dose could not be read."""
    return {o.reference for o in assessment.record.orders if o.is_draft and not o.regimens}


def _withheld(desk: _Desk) -> CardSet:
    """Fail closed: one card says that advice was withheld, and nothing else is said."""
    assessment = desk.assessment
    ordering = assessment.setting.occasion in _ORDERING
    finding = withheld_finding(assessment.verdict.disagreement, ordering=ordering)
    groups = [[Spoken(finding, state_digest(finding, ()))]]
    cards = _cards(groups, desk)
    return CardSet(cards, (), _states(cards, groups))


def _cards(groups: Sequence[Sequence[Spoken]], desk: _Desk) -> tuple[Card, ...]:
    """Write the cards in their order; what one offers or shows, a later one does not repeat."""
    if not groups:
        return ()
    told, links = Told(), _links(desk)
    return tuple(_card(group, desk, told, links) for group in groups)


def _card(group: Sequence[Spoken], desk: _Desk, told: Told, links: tuple[Link, ...]) -> Card:
    """Write one card from the findings on one matter, the most urgent first."""
    findings = [item.finding for item in group]
    lead = findings[0]
    assessment = desk.assessment
    uuid = card_uuid(desk.client, assessment.record.person.id, [item.digest for item in group])
    suggestions = told.new_offers(
        suggestions_for(findings, assessment, desk.resources, desk.content.drug, uuid)
    )
    return Card(
        uuid=uuid,
        summary=words.summary(lead.summary),
        indicator=_INDICATORS[lead.severity],
        detail=_detail(group, desk, told),
        source=_source(lead.matter, desk.content.name, desk.base_url),
        suggestions=suggestions,
        selection_behavior="at-most-one" if suggestions else None,
        override_reasons=_override_reasons(findings, desk.content),
        links=links,
        extension=_extension(findings, desk),
    )


def _detail(group: Sequence[Spoken], desk: _Desk, told: Told) -> str:
    """Write the Markdown: what it means and what to do, the numbers, their limits, and why."""
    assessment = desk.assessment
    findings = [item.finding for item in group]
    lead, *others = findings
    blocks = [words.authored(lead.detail)]
    blocks += result_lines(findings, assessment)
    blocks += [block for other in others for block in _also(other)]
    blocks += told.new_parts(shown_parts(assessment, [part for f in findings for part in f.show]))
    blocks += under_way_lines(findings, assessment)
    blocks += problem_lines(bearing_on((f.matter for f in findings), desk.limits))
    blocks += why_lines(group, desk.content)
    blocks += source_lines(findings)
    versions = assessment.versions
    version = words.plain(versions.rulebook_version)
    blocks.append(f"Rulebook {version}, revision {versions.rulebook[:12]}.")
    return "\n\n".join(block for block in blocks if block)


def _also(finding: Finding) -> list[str]:
    """A further finding on the same matter: its summary as a heading, then its words."""
    heading = f"**Also:** {words.plain(words.sentence(finding.summary))}"
    return [heading, words.authored(finding.detail)]


@lru_cache(maxsize=64)
def _source(matter: Matter, name: str, base_url: str | None) -> Source:
    topic = Coding(code=matter.value, system=MATTER_SYSTEM, display=matter.value.capitalize())
    return Source(label=name, url=f"{base_url}/rules" if base_url else None, topic=topic)


def _override_reasons(
    findings: Sequence[Finding], content: CardContent
) -> tuple[OverrideReason, ...]:
    keys = dict.fromkeys(key for finding in findings for key in finding.override_reasons)
    return tuple(content.override_reasons[k] for k in keys if k in content.override_reasons)


def _links(desk: _Desk) -> tuple[Link, ...]:
    """The link to the report; the evaluation's id says nothing about the patient.

    A `smart` link names the launch page: the EHR signs the user in there and hands the id over.
    """
    if not desk.base_url or desk.report_link == "none":
        return ()
    if desk.report_link == "smart":
        url, context = f"{desk.base_url}/launch", desk.evaluation_id
        return (Link(label=_REPORT, url=url, type="smart", app_context=context),)
    return (Link(label=_REPORT, url=f"{desk.base_url}/evaluations/{desk.evaluation_id}"),)


def _extension(findings: Sequence[Finding], desk: _Desk) -> dict[str, Any]:
    """What ties the card to its evaluation, so that it can be repeated and audited."""
    assessment = desk.assessment
    versions, exposure = assessment.versions, assessment.exposure
    model = exposure.model_id
    return {
        EXTENSION_KEY: {
            "evaluationId": desk.evaluation_id,
            "rules": [{"id": f.rule_id, "revision": f.revision} for f in findings],
            "rulebookRevision": versions.rulebook,
            "rulebookVersion": versions.rulebook_version,
            "codeVersion": versions.code,
            "model": {"id": model, "digest": versions.models.get(model)} if model else None,
            **implicated(findings, assessment),
        }
    }


def _states(cards: Sequence[Card], groups: Sequence[Sequence[Spoken]]) -> tuple[FindingState, ...]:
    return tuple(
        FindingState(
            card.uuid,
            item.finding.rule_id,
            item.finding.revision,
            item.finding.severity,
            item.digest,
            item.finding.subject,
        )
        for card, group in zip(cards, groups, strict=True)
        for item in group
    )
