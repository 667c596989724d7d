"""`imatinib-tdm models` and `imatinib-tdm pk`: tables, JSON, and errors that name the field."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import pk
from cds.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "case.json"
CASE: dict[str, Any] = json.loads(EXAMPLE.read_text())


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def fit(tmp_path: Path):
    """Fit a changed copy of the example; a change of None removes the field."""

    def invoke(changes: dict[str, Any] | str, *arguments: str) -> Result:
        path = tmp_path / "case.json"
        if isinstance(changes, str):
            path.write_text(changes)
        else:
            case = {**copy.deepcopy(CASE), **changes}
            path.write_text(json.dumps({k: v for k, v in case.items() if v is not None}))
        return run("pk", "fit", path, *(arguments or ("--model", "widmer-2006")))

    return invoke


@pytest.mark.parametrize("words", [("models",), ("pk",), ("pk", "fit")], ids=" ".join)
def test_help_has_examples_and_exit_codes(words: tuple[str, ...]):
    found = run(*words, "--help")
    assert found.exit_code == 0
    assert "Example" in found.output
    assert "Exit codes" in found.output


def test_every_shipped_model_is_listed_once():
    lines = run("models", "list").output.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(pk.list_models())
    rows = json.loads(run("models", "list", "--json").output)
    assert {row["id"] for row in rows} == set(pk.list_models())


@pytest.mark.parametrize("name", pk.list_models())
def test_a_model_is_shown_with_the_source_and_status_of_each_number(name: str):
    shown = json.loads(run("models", "show", name, "--json").output)
    model = pk.load_model(name)
    assert {n["number"] for n in shown["numbers"]} >= set(model.structure.parameters)
    for number in shown["numbers"]:
        assert number["status"] in ("primary", "secondary", "conflict")
        assert number["source"] in shown["sources"]
    text = run("models", "show", name).output
    assert model.digest in text
    assert all(source in text for source in model.sources)


def test_an_unknown_model_is_wrong_usage_and_the_known_ones_are_named():
    for found in (run("models", "show", "nobody-1999"), run("pk", "fit", EXAMPLE, "--model", "x")):
        assert found.exit_code == 2
        assert "widmer-2006" in found.output


def test_the_shipped_models_are_valid():
    found = run("models", "validate")
    assert found.exit_code == 0
    assert f"{len(pk.list_models())} files, 0 not valid" in found.output


def test_a_faulty_model_file_is_named_with_its_place(tmp_path: Path):
    good = (ROOT / "pk" / "models" / "widmer-2006.yaml").read_text()
    path = tmp_path / "widmer-2006.yaml"
    for wrong, place in (
        (good.replace("value: 14.3", "value: quick"), "widmer-2006:parameters.CL.value"),
        (good.replace("value: 14.3", "value: .nan"), "widmer-2006:parameters.CL.value"),
        (good.replace("hard: [20, 88]", "hard: [88, 20]"), "covariates.age_years.hard"),
        (good.replace("first-order", "by-magic"), "structure.absorption"),
        (good.replace("correlation: 0.798", "correlation: 1.2"), "widmer-2006:correlations"),
        (good.replace("sd: 0.356", "sd: 0.356, typo: 1"), "random_effects.CL"),
        (good.replace("id: widmer-2006", "id: other"), "widmer-2006: id"),
        ("- a list", "expected a mapping"),
        ("{", "widmer-2006"),
    ):
        path.write_text(wrong)
        found = run("models", "validate", path)
        assert found.exit_code == 1
        assert place in found.output
        assert "1 file, 1 not valid" in found.output
        assert found.exception is None or isinstance(found.exception, SystemExit)


def test_the_documented_example_is_fitted():
    found = run("pk", "fit", EXAMPLE, "--model", "widmer-2006")
    assert found.exit_code == 0
    assert "1 levels used" in found.output
    assert "800 mg every 24 h" in found.output
    assert "expected trough below the target" in found.output


def test_the_numbers_are_those_of_the_library():
    shown = json.loads(run("pk", "fit", EXAMPLE, "--model", "widmer-2006", "--json").output)
    case = pk.Case.at_steady_state(
        CASE["covariates"], pk.Regimen(400, 24), [pk.Level(time_h=24, ng_ml=720)]
    )
    posterior = pk.fit(case, pk.load_model("widmer-2006"))
    (one,) = shown["models"]
    assert {p["name"]: p["estimate"] for p in one["parameters"]} == posterior.parameters
    trough = posterior.trough_at_map(pk.Regimen(400, 24))  # alone, where the command draws curves
    assert one["steady_state"]["trough_ng_ml"] == pytest.approx(trough, rel=1e-12)
    assert one["reliable"]
    assert next(p for p in shown["proposals"] if p["current"])["amount_mg"] == 400


def test_several_models_are_averaged_and_their_spread_is_shown(fit):
    found = fit({}, "--model", "widmer-2006", "--model", "gotta-2014")
    assert found.exit_code == 0
    assert "the members differ" in found.output


def test_the_whole_case_can_be_said(fit):
    everything = {
        "covariates": {
            **CASE["covariates"],
            "weight_kg": {"times_h": [0, 500], "values": [70, 74]},
        },
        "steady_state": None,
        "doses": [
            {"time_h": 0, "amount_mg": 400, "every_h": 24, "count": 30},
            {"time_h": 725.5, "amount_mg": 100},
        ],
        "levels": [
            {"time_h": 719, "ng_ml": 700},
            {"time_h": 740, "below_loq": True, "lloq_ng_ml": 50},
            {"time_h": 744, "ng_ml": 1, "excluded_because": "drawn from the wrong arm"},
        ],
        "clearance_effects": [{"factor": 1.43, "start_h": 100, "onset_half_life_h": 48}],
        "treatment_start_h": 0,
        "occasions_h": [0],
        "regimen": {"amount_mg": 400, "interval_h": 24},
    }
    found = fit(everything, "--model", "widmer-2006", "--json")
    shown = json.loads(found.output)
    (one,) = shown["models"]
    assert [v["below_ng_ml"] for v in one["levels"]] == [None, 50]
    assert one["levels_excluded"] == ["drawn from the wrong arm"]
    # an unmeasurable level after regular doses is not explained, and no dose is proposed from it
    assert found.exit_code == 1
    assert shown["doubts"]
    assert "proposals" not in shown


def test_a_fit_that_cannot_be_relied_on_ends_with_one_and_says_why(fit):
    found = fit({"levels": [{"time_h": 24, "ng_ml": 40_000}]})
    assert found.exit_code == 1
    assert "not reliable: the level of 40000 ng/mL is not explained" in found.output


LEVEL = {"time_h": 24, "ng_ml": 720}
BAD = [
    ({"levels": [{**LEVEL, "ng_ml": -5}]}, "levels[0].ng_ml"),
    ({"levels": [{**LEVEL, "time_h": -50_000}], "steady_state": None,
      "doses": [{"time_h": 0, "amount_mg": 400}]}, "levels[0].time_h"),
    ({"levels": [LEVEL, {**LEVEL, "time_h": "noon"}]}, "levels[1].time_h"),
    ({"levels": [{**LEVEL, "unit": "mg/L"}]}, "levels[0].unit"),
    ({"levels": [{"time_h": 24, "below_loq": True}]}, "levels[0].lloq_ng_ml"),
    ({"covariates": {**CASE["covariates"], "shoe_size": 43}}, "covariates.shoe_size"),
    ({"covariates": {**CASE["covariates"], "weight_kg": 7400}}, "covariates.weight_kg"),
    ({"covariates": {"weight_kg": 74, "sex": "male"}}, "covariates.age_years"),
    ({"covariates": {**CASE["covariates"], "sex": "m"}}, "covariates.sex"),
    ({"steady_state": None}, "doses"),
    ({"steady_state": {"amount_mg": 400, "interval_h": 0}}, "steady_state.interval_h"),
    ({"regimen": {"amount_mg": 400, "interval_h": 1e-300}}, "regimen.interval_h"),
    ({"levels": [{"time_h": 24, "ng_ml": 1e300}]}, "levels[0].ng_ml"),
    ({"proposals": {**CASE["proposals"], "intervals_h": [1e18]}}, "proposals.intervals_h[0]"),
    ({"proposals": {**CASE["proposals"], "strengths_mg": [1e-9]}}, "proposals.strengths_mg[0]"),
    ({"steady_state": {"amount_mg": 400}}, "steady_state.interval_h"),
    ({"steady_state": None, "doses": [{"time_h": 0, "amount_mg": -400}]}, "doses[0].amount_mg"),
    ({"clearance_effects": [{"factor": 0}]}, "clearance_effects.factor"),
    ({"proposals": {**CASE["proposals"], "low_ng_ml": 4000}}, "target"),
    ({"proposals": {**CASE["proposals"], "strengths_mg": []}}, "options.strengths_mg"),
    ({"dosis": []}, "dosis"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field"), BAD, ids=[field for _, field in BAD])
def test_bad_input_names_its_field(fit, changes: dict[str, Any], field: str):
    found = fit(changes)
    assert found.exit_code == 1
    assert f"{field}:" in found.output
    assert isinstance(found.exception, SystemExit)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"levels": [{"time_h": NaN}]}', "\x00"])
def test_what_is_not_a_case_is_said(fit, text: str):
    found = fit(text)
    assert found.exit_code == 1
    assert isinstance(found.exception, SystemExit)
    assert "Traceback" not in found.output
