"""Model files: data that say where they come from, and cannot do anything but be read."""

import copy
import io
import math
import re
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

import pk
from pk.covariates import MODELS, TREATMENT_DAYS, read_effect, vocabulary
from pk.errors import ModelFileError
from pk.model_file import read_model

from .cases import DAILY_400, stored, subject

NAMES = pk.list_models()
WIDMER = (MODELS / "widmer-2006.yaml").read_text(encoding="utf-8")


def test_the_published_models_are_there():
    expected = [
        "chien-2022",
        "delbaldo-2006",
        "demetri-2009",
        "di-paolo-2014",
        "eechoute-2012",
        "golabchifar-2014",
        "gotta-2014",
        "he-2023",
        "jiang-2023",
        "judson-2005",
        "menon-andersen-2009",
        "petain-2008",
        "said-2025",
        "schmidli-2005",
        "shriyan-2022",
        "wang-2019",
        "widmer-2006",
        "yamakawa-2011",
    ]
    assert set(expected) <= set(NAMES)


@pytest.mark.parametrize("name", stored("typical_subject")["models"])
def test_the_typical_subject_agrees_with_independent_code(name):
    expected = stored("typical_subject")["models"][name]
    posterior = pk.fit(pk.Case.at_steady_state(subject(), DAILY_400), pk.load_model(name))
    prediction = posterior.steady_state(DAILY_400)
    assert posterior.parameters["CL"] == pytest.approx(expected["CL"], rel=1e-9)
    volume = posterior.parameters["V"] + posterior.parameters.get("V2", 0.0)
    assert volume == pytest.approx(expected["V"], rel=1e-9)
    assert prediction.trough_ng_ml == pytest.approx(expected["trough24"], rel=1e-6)
    assert prediction.auc24_mg_h_l == pytest.approx(expected["auc24"] / 1000.0, rel=1e-6)
    assert prediction.peak_ng_ml == pytest.approx(expected["peak"], rel=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_unit_a_source_and_a_status(name):
    model = pk.load_model(name)
    assert model.id == name
    assert model.population.patients > 0
    assert re.fullmatch(r"[0-9a-f]{64}", model.digest)
    for parameter in model.parameters:
        assert parameter.unit
        assert parameter.source in model.sources
    assert set(model.statuses.values()) <= {"primary", "secondary", "conflict"}
    assert len(model.statuses) >= len(model.parameters) + len(model.effects)
    for contract in model.domain.values():
        assert contract.source in model.sources
        assert contract.when_missing in ("required", "impute", "ignore")


@pytest.mark.parametrize("name", NAMES)
def test_a_conflict_between_sources_is_explained_in_the_notes(name):
    model = pk.load_model(name)
    if model.conflicts:
        assert any(
            word in note
            for note in model.notes
            for word in ("conflict", "suspicious", "not printed")
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_verified_model_has_a_primary_number(name):
    model = pk.load_model(name)
    if model.verified:
        assert "primary" in model.statuses.values()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_imputed_is_a_possible_value(name):
    for contract in pk.load_model(name).domain.values():
        if contract.impute is not None:
            vocabulary()[contract.name].check(contract.impute)


def test_the_conflicts_known_from_the_literature_are_marked():
    assert pk.load_model("schmidli-2005").conflicts == ("parameters.CL.effects[1]",)
    assert "parameters.V" in pk.load_model("golabchifar-2014").conflicts
    assert pk.load_model("widmer-2006").conflicts == ()


def test_models_are_loaded_once_and_cannot_be_changed():
    model = pk.load_model("widmer-2006")
    assert model is pk.load_model("widmer-2006")
    with pytest.raises(AttributeError):
        model.id = "other"  # type: ignore[misc]


def test_the_digest_changes_with_the_file():
    edited = read_model(WIDMER.replace("value: 14.3", "value: 14.4"), "widmer-2006")
    assert edited.digest != pk.load_model("widmer-2006").digest
    assert edited.parameters[0].value == 14.4


def test_variances_sds_and_log_normal_cvs_are_told_apart():
    sds = {
        "delbaldo-2006": np.sqrt(0.0841),
        "widmer-2006": 0.356,
        "chien-2022": np.sqrt(np.log1p(0.248**2)),
    }
    for name, sd in sds.items():
        assert np.sqrt(pk.load_model(name).omega[0, 0]) == pytest.approx(sd)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("status: primary", "status: certain"), "status"),
        (("source: tucuxi-gotta2012, status", "source: hearsay, status"), "unknown source"),
        (("effect: shift", "effect: exec"), "unknown effect"),
        (("covariate: weight_kg", "covariate: shoe_size"), "unknown covariate"),
        (("slope: 5.42, ", ""), "effect shift takes"),
        (("absorption: first-order", "absorption: zero-order"), "the structure takes"),
        (("absorption: first-order", "absorption: osmosis"), "osmosis"),
        (("kind: proportional", "kind: odd"), "unknown error model"),
        (("sd: 0.356", "sd: 0.356, variance: 0.1"), "exactly one of"),
        (("on: [CL]", "on: [CLX]"), "no parameter 'CLX'"),
        (("correlation: 0.798", "correlation: 1.2"), "positive definite"),
        (("id: widmer-2006", "id: widmer-2007"), "id is"),
        (("verified: true", "verified: true\ncode: print(1)"), "unknown code"),
        (("drug: imatinib\n", ""), "missing drug"),
        (("  sex: {when_missing: required, source: tucuxi-gotta2012}\n", ""), "no contract"),
        (("when_missing: impute, impute: 70", "when_missing: required, impute: 70"), "impute"),
        (("title: ", "title: ["), "widmer-2006"),
    ],
)
def test_a_malformed_file_names_file_and_key(change, message):
    assert change[0] in WIDMER
    with pytest.raises(pk.errors.PkError, match=message):
        read_model(WIDMER.replace(*change), "widmer-2006")


def test_a_model_file_cannot_run_code():
    with pytest.raises(ModelFileError):
        read_model(
            WIDMER.replace("value: 14.3", "value: !!python/object:os.system [id]"), "widmer-2006"
        )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("checked: 2026-99-99", "put it in quotes"),
        (f"checked: {'9' * 6000}", "put it in quotes"),
        (f"checked: {'[' * 5000}{']' * 5000}", "nested too deeply"),
    ],
    ids=["date", "number", "nesting"],
)
def test_what_yaml_itself_stumbles_over_is_told_of_the_file(line: str, why: str):
    with pytest.raises(ModelFileError, match=why):
        read_model(f"id: x\n{line}\n", "x")


@pytest.mark.parametrize(
    ("raw", "x", "expected"),
    [
        ({"effect": "shift", "slope": 5.42, "reference": 70, "scale": 70}, 84.0, 5.42 * 0.2),
        ({"effect": "power", "reference": 70, "exponent": 0.75}, 35.0, 0.5**0.75),
        ({"effect": "power", "reference": 85, "exponent": 0.25, "cap": 85}, 120.0, 1.0),
        ({"effect": "linear", "slope": -0.01, "reference": 50}, 60.0, 0.9),
        ({"effect": "hinge", "knot": 40, "below": 0.005, "above": -0.01}, 30.0, 0.95),
        ({"effect": "hinge", "knot": 40, "below": 0.005, "above": -0.01}, 50.0, 0.9),
        ({"effect": "step", "threshold": 0.94, "factor": 0.775}, 0.94, 1.0),
        ({"effect": "step", "threshold": 0.94, "factor": 0.775}, 0.95, 0.775),
        ({"effect": "step-from", "threshold": 29, "factor": 0.7}, 29.0, 0.7),
        ({"effect": "step-shift", "threshold": 29, "amount": -3.18}, 28.9, 0.0),
        ({"effect": "decay", "amplitude": 0.5, "rate": 0.1}, 10.0, 1.0 + 0.5 * np.exp(-1.0)),
    ],
)
def test_effects_mean_what_they_say(raw, x, expected):
    assert read_effect({**raw, "covariate": TREATMENT_DAYS}, "here").value(x) == pytest.approx(
        expected
    )


def test_a_category_the_model_does_not_know_is_an_error_unless_it_says_otherwise():
    raw = {"effect": "category", "covariate": "sex", "values": {"male": 1.0}}
    with pytest.raises(pk.errors.CaseError, match="female"):
        read_effect(raw, "here").value("female")
    assert read_effect({**raw, "otherwise": 0.5}, "here").value("female") == 0.5


def _places(node, at=()):
    if at:
        yield at
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            yield from _places(value, (*at, key))
        else:
            yield (*at, key)


_RAW = YAML(typ="safe").load(MODELS / "menon-andersen-2009.yaml")
_WRONG = [None, "x", -1, 0, math.nan, math.inf, [], {}, [1, "a"], {"a": 1}, True]


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.sampled_from(list(_places(_RAW))), st.sampled_from(_WRONG))
def test_a_model_file_with_any_value_replaced_is_read_or_refused_by_name(place, wrong):
    """No other exception: a slip of the author's is an error with a place, never a traceback."""
    raw = copy.deepcopy(_RAW)
    node = raw
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = wrong
    text = io.StringIO()
    YAML(typ="safe").dump(raw, text)
    with suppress(ModelFileError):
        read_model(text.getvalue(), "menon-andersen-2009")
