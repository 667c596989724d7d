"""The memory of what the models said: exact, bounded, shared by threads, and without identity."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from msgspec.structs import replace

import pk
from cds.assess import Assessment, assess
from cds.assess.remembered import Remembered, written
from cds.clinical.record import PatientRecord
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.rulebook import Rulebook
from pk.model_file import read_model
from tests.assess.build import NOW, ago, lab, level, medicine, order, record

Models = Mapping[str, pk.PopulationModel]
MINUTE = timedelta(minutes=1)
US = Setting(Occasion.PATIENT_VIEW, Jurisdiction.US, "Europe/Zurich")


def patient(ng_ml: float = 520.0, mg: float = 400.0, **more: Any) -> PatientRecord:
    """Somebody with a level below the target."""
    more.setdefault("labs", (lab("weight", 71.0, unit="kg"),))
    orders = (order(mg), *more.pop("drafts", ()))
    return record(orders=orders, levels=(level(ng_ml, days=more.pop("days", 2.0)),), **more)


@pytest.fixture
def ask(rulebook: Rulebook, models: Models) -> Any:
    """Assess a patient with a memory; the number of answers that had to be worked out."""

    def asked(
        someone: PatientRecord,
        memory: Remembered,
        *,
        setting: Setting = US,
        later: timedelta = timedelta(0),
        library: Models = models,
    ) -> int:
        before = len(memory)
        assess(someone, rulebook, library, setting, now=NOW + later, memory=memory)
        return len(memory) - before

    return asked


def test_the_same_question_minutes_later_and_on_another_occasion_is_not_worked_out_again(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Remembered()
    assert ask(patient(), memory) == 4  # fits, troughs, intake and doses

    for name in ("fit", "propose", "infer_adherence"):
        monkeypatch.setattr(pk, name, None)  # would fail if it were called
    signing = replace(US, occasion=Occasion.ORDER_SIGN)
    assert ask(patient(), memory, later=7 * MINUTE) == 0
    assert ask(patient(), memory, later=9 * MINUTE, setting=signing) == 0


def test_an_order_that_is_weighed_anew_uses_the_fit_that_is_there(ask: Any) -> None:
    memory = Remembered()
    ask(patient(), memory)
    draft = order(600.0, draft=True, reference="MedicationRequest/draft")

    assert ask(patient(drafts=(draft,)), memory) == 1


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(patient(521.0), id="level by 1 ng/mL"),
        pytest.param(patient(mg=500.0), id="dose"),
        pytest.param(patient(labs=(lab("weight", 71.1, unit="kg"),)), id="weight by 100 g"),
        pytest.param(patient(age=54.01), id="age by days"),
        pytest.param(patient(sex=None), id="sex unknown"),
        pytest.param(patient(days=2.001), id="sampled a minute earlier"),
        pytest.param(
            patient(medicines=(medicine("rifampicin", days=400),)), id="interacting medicine"
        ),
    ],
)
def test_another_patient_is_another_question(ask: Any, changed: PatientRecord) -> None:
    memory = Remembered()
    ask(patient(), memory)

    assert ask(changed, memory) > 0


def test_another_policy_is_another_question_about_doses_alone(ask: Any) -> None:
    memory = Remembered()
    ask(patient(), memory)

    assert ask(patient(), memory, setting=replace(US, jurisdiction=Jurisdiction.EU)) == 1


def test_an_edited_model_is_asked_itself(ask: Any, models: Models) -> None:
    memory = Remembered()
    ask(patient(), memory)
    name = "widmer-2006"
    text = (Path(pk.__file__).parent / "models" / f"{name}.yaml").read_text("utf-8")
    edited = read_model(text.replace("-5.81", "-5.82"), name)

    assert ask(patient(), memory, library={**models, name: edited}) == 4


CASE = pk.Case({"weight_kg": 71.0, "sex": "male"}, [pk.Dose(0.0, 400.0)], [pk.Level(24.0, 720.0)])
OTHERWISE: Mapping[str, tuple[Any, ...]] = {
    "covariates": ({"weight_kg": 71.0}, {"weight_kg": 71.0, "sex": "female"}),
    "doses": ([pk.Dose(0.0, 400.1)], [pk.Dose(0.1, 400.0)], [pk.Dose(-24.0, 400.0), *CASE.doses]),
    "levels": ([], [pk.Level(24.0, 720.1)], [pk.Level(24.0, 720.0, excluded_because="clot")]),
    "steady_state": (pk.SteadyState(pk.Regimen(400.0, 24.0), -24.0),),
    "clearance_effects": ((pk.ClearanceEffect(2.0),), (pk.ClearanceEffect(2.0, -48.0),)),
    "treatment_start_h": (-100.0,),
    "occasions_h": ((0.0,),),
}


def test_every_part_of_a_case_counts() -> None:
    assert set(OTHERWISE) == set(pk.Case.__struct_fields__)
    others = [
        replace(CASE, **{name: value}) for name, values in OTHERWISE.items() for value in values
    ]

    assert len({written(case) for case in (CASE, *others)}) == 1 + len(others)
    assert written(replace(CASE)) == written(CASE)


def test_memories_of_two_processes_have_nothing_in_common(models: Models) -> None:
    asked, options = [models["widmer-2006"]], pk.FitOptions()
    subjects = {Remembered().about(CASE, asked, options, NOW).subject for _ in range(2)}

    assert len(subjects) == 2


def test_what_was_not_asked_for_longest_makes_room() -> None:
    memory = Remembered(places=2)

    def worked_out(subject: bytes) -> bool:
        calls: list[int] = []
        memory.recall(subject, "?", lambda: calls.append(1), NOW)
        return bool(calls)

    assert [worked_out(subject) for subject in (b"a", b"b", b"a", b"c")] == [
        True,
        True,
        False,
        True,
    ]
    assert len(memory) == 2
    assert not worked_out(b"a")
    assert worked_out(b"b")


def test_an_answer_is_dropped_some_time_after_it_was_last_asked_for(ask: Any) -> None:
    memory = Remembered(kept_for=30 * MINUTE)
    ask(patient(), memory)
    assert ask(patient(), memory, later=25 * MINUTE) == 0
    assert ask(patient(), memory, later=50 * MINUTE) == 0

    assert ask(patient(521.0), memory, later=81 * MINUTE) == 0  # four came, four went
    assert ask(patient(), memory, later=82 * MINUTE) == 4


def test_a_refusal_is_no_answer() -> None:
    memory = Remembered()

    def refuse() -> None:
        raise pk.errors.CaseError("levels", "refused")

    for _ in range(2):
        with pytest.raises(pk.errors.CaseError):
            memory.recall(b"a", "?", refuse, NOW)
    assert len(memory) == 0


def test_threads_get_their_own_patients_answers_from_a_small_memory(
    rulebook: Rulebook, models: Models
) -> None:
    values = [500.0, 720.0, 950.0, 1400.0]

    def troughs(ng_ml: float, memory: Remembered) -> list[float]:
        found = assess(patient(ng_ml), rulebook, models, US, now=NOW, memory=memory)
        return [option.trough_ng_ml for option in found.exposure.options]

    alone = {ng_ml: troughs(ng_ml, Remembered()) for ng_ml in values}
    memory, wrong = Remembered(places=6), []

    def work(start: int) -> None:
        for number in range(8):
            ng_ml = values[(start + number) % len(values)]
            if troughs(ng_ml, memory) != alone[ng_ml]:
                wrong.append(ng_ml)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert len(memory) <= 6


def test_what_is_kept_names_nobody(rulebook: Rulebook, models: Models) -> None:
    memory = Remembered()
    known = patient(
        medicines=(medicine("rifampicin", days=400),), taken=(), problems=(), allergies=()
    )
    found: Assessment = assess(known, rulebook, models, US, now=NOW, memory=memory)
    assert found.exposure.members[0].case.clearance_effects

    words = {text for text in reached(memory) if isinstance(text, str)}
    assert "male" in words  # the walk comes as far as the covariates
    for identifying in ("Observation/level", "MedicationRequest/1", "Rifampicin", known.person.id):
        assert not {text for text in words if text == identifying or "/" + identifying in text}
    assert not any(isinstance(value, type(ago().at)) and value < NOW for value in reached(memory))


def reached(root: object) -> Iterator[object]:
    """Everything that an object holds on to, the product's code and models apart."""
    code = (type, ModuleType, FunctionType, pk.PopulationModel)
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, code):
            continue
        seen.add(id(value))
        yield value
        waiting.extend(gc.get_referents(value))
