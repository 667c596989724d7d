"""Whatever an assessment holds, the response is valid, complete and speaks of what is critical."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cds.assess.assessment import AdherenceView, ExposureState, Gate
from cds.cards import QuietPolicy, cards_for, words
from cds.clinical.finding import Finding, Matter, Severity
from cds.clinical.problem import Impact, Problem
from cds.clinical.setting import Occasion
from tests.cards.patients import (
    CONTENT,
    DRAFT,
    HEARSAY,
    PICARD,
    assessment,
    draft_resource,
    exposure,
    gated_level,
)

SCHEMA = json.loads(
    (Path(__file__).parent / "data" / "response.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

text = st.text(min_size=1, max_size=200).filter(lambda t: bool(words.one_line(t)))
findings = st.builds(
    Finding,
    rule_id=st.sampled_from([f"group.rule-{n}" for n in range(8)]),
    revision=st.integers(min_value=1, max_value=9),
    matter=st.sampled_from(list(Matter)),
    severity=st.sampled_from(list(Severity)),
    summary=text,
    detail=text,
    subject=st.none() | st.sampled_from(["a", "b"]),
    show=st.lists(
        st.sampled_from(["level", "dose-table", "adherence", "exposure", "interaction-table"])
    ).map(tuple),
    suggest=st.lists(
        st.sampled_from(
            [
                "raise-dose",
                "lower-dose",
                "milder-dose",
                "order-level",
                "missing-level",
                "hold-drug",
                "cancel-order",
                "replace-dose",
                "unknown",
            ]
        )
    ).map(tuple),
    override_reasons=st.just(("will-monitor", "unknown")),
    citations=st.sampled_from([(), (PICARD,), (HEARSAY, PICARD)]),
    references=st.sampled_from([(), (DRAFT,), ("Observation/level-1",)]),
    silent=st.booleans(),
)
problems = st.builds(
    Problem,
    code=st.sampled_from(["x", "y"]),
    message=text,
    impact=st.sampled_from(list(Impact)),
    reference=st.none() | text,
)


@st.composite
def assessments(draw: st.DrawFn) -> Any:
    """An adult's or child's assessment with any findings, problems, level and exposure."""
    made = assessment(
        *draw(st.lists(findings, max_size=8)),
        occasion=draw(st.sampled_from(list(Occasion))),
        problems=tuple(draw(st.lists(problems, max_size=4))),
        levels=draw(
            st.sampled_from([(), *((gated_level(gate=gate, reason="a reason"),) for gate in Gate)])
        ),
        exposure=exposure(
            state=draw(st.sampled_from(list(ExposureState))),
            reasons=(draw(text),),
            adherence=draw(st.sampled_from([None, AdherenceView(20.0, 80.0, 1300.0)])),
        ),
    )
    population = draw(st.sampled_from([None, "adult", "child"]))
    return replace(made, course=replace(made.course, population=population))


@given(made=assessments(), resources=st.sampled_from([{}, {DRAFT: draft_resource()}]))
@settings(max_examples=150, deadline=None)
def test_any_response_is_valid_and_says_what_must_be_said(
    made: Any, resources: dict[str, Any]
) -> None:
    policy = QuietPolicy(max_cards=2, max_info=1)
    cards = cards_for(
        made,
        resources,
        content=CONTENT,
        evaluation_id="e",
        base_url="https://tdm.example",
        policy=policy,
    )
    wire = cards.to_wire()
    VALIDATOR.validate(wire)
    json.dumps(wire, allow_nan=False)

    spoken = [f for f in made.verdict.findings if not f.silent]
    said = "\n".join(card["detail"] for card in wire["cards"])
    for finding in spoken:
        if finding.severity is Severity.CRITICAL:
            assert words.authored(finding.detail) in said
    for problem in made.problems:
        if problem.impact is not Impact.NOTICE:
            assert words.sentence(words.plain(problem.message)) in said
    shown = {(s.rule_id, s.subject) for s in cards.state_digests}
    kept_back = {(s.rule_id, s.subject) for s in cards.suppressed}
    assert {(f.rule_id, f.subject) for f in spoken} <= shown | kept_back
    assert len({card["uuid"] for card in wire["cards"]}) == len(wire["cards"])


@given(made=assessments())
@settings(max_examples=60, deadline=None)
def test_a_child_is_never_offered_a_dose_from_a_model(made: Any) -> None:
    child = replace(made, course=replace(made.course, population="child"))
    cards = cards_for(child, {DRAFT: draft_resource()}, content=CONTENT, evaluation_id="e")

    offers = [s.label for card in cards.cards for s in card.suggestions]
    assert not [label for label in offers if label.startswith("Order 6")]
    assert not any(s.is_recommended for card in cards.cards for s in card.suggestions)
