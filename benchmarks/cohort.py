"""Everyone in an export: patients a second, against deciding the same records in memory.

    python -m benchmarks.cohort [--patients 100 200 400]

The baseline is the decision alone, in this process, on records already in memory: what reading the
export, handing out parts and making rows adds to it is what the cohort costs.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cds import content
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.cohort.dispatch import dispatch
from cds.cohort.export import index_export, resources_at
from cds.cohort.work import Plan, rows
from cds.fhir.prefetch import prefetch_templates
from cds.services.decide import decide
from cds.services.knowledge import Knowledge, load_knowledge
from cds.services.whole_record import whole_record_input
from cds.settings import Settings

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
SETTING = Setting(Occasion.PATIENT_VIEW, Jurisdiction.US)
_WARM = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--patients", type=int, nargs="*", default=[100, 200, 400])
    chosen = parser.parse_args()
    knowledge = load_knowledge(Settings())
    templates = prefetch_templates(knowledge.rulebook.drug, knowledge.rulebook.terminology)
    kinds = frozenset(t.partition("?")[0].partition("/")[0] for t in templates.values())
    plan = Plan((content.rules_dir(),), SETTING, NOW, fixed=True)
    print("patients    lines   index us/line   decision alone/s   1 process   all cores   growth")
    first = None
    for count in chosen.patients:
        with tempfile.TemporaryDirectory() as directory:
            lines = write_export(Path(directory), count)
            started = time.perf_counter()
            export = index_export(Path(directory), kinds)
            indexed = time.perf_counter() - started
            alone = decided_a_second(export.subjects, knowledge)
            rates = []
            for processes in (1, os.cpu_count() or 1):
                started = time.perf_counter()
                done = sum(1 for _ in dispatch(export.subjects, rows(plan), processes))
                rates.append(done / (time.perf_counter() - started))
        first = first or rates[0]
        print(
            f"{count:8d} {lines:8d} {1e6 * indexed / lines:15.1f} {alone:18.1f} "
            f"{rates[0] / alone:9.2f} x {rates[1] / alone:9.2f} x {first / rates[0]:8.2f}"
        )
    print("1 process and all cores: times the decision alone, with loading of rules and models")
    print("growth: time for each patient, against the first row")


def decided_a_second(subjects: Any, knowledge: Knowledge) -> float:
    """Decisions a second on records in memory."""
    given = [
        whole_record_input(
            s.patient_id,
            list(resources_at(s.places)),
            knowledge.rulebook,
            SETTING,
            at=NOW,
            client="",
        )
        for s in subjects
    ]
    for one in given[:_WARM]:
        decide(one, knowledge)
    started = time.perf_counter()
    for one in given:
        decide(one, knowledge)
    return len(given) / (time.perf_counter() - started)


def write_export(directory: Path, count: int) -> int:
    """Write bulk data of `count` patients, the stories in turn under new ids; how many lines."""
    stories = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((content.examples_dir() / "patients").glob("*.json"))
    ]
    lines = 0
    with (directory / "all.ndjson").open("w", encoding="utf-8") as file:
        for number in range(count):
            resources = [e["resource"] for e in stories[number % len(stories)]["entry"]]
            name = next(r["id"] for r in resources if r["resourceType"] == "Patient")
            for resource in resources:
                quantity = resource.get("valueQuantity")
                if quantity is not None:  # no two patients ask the models the same
                    changed = round(quantity["value"] * (1.0 + 1e-5 * (number + 1)), 6)
                    resource = {**resource, "valueQuantity": {**quantity, "value": changed}}
                text = json.dumps(resource)
                file.write(text.replace(name, f"{name}-{number}") + "\n")
                lines += 1
    return lines


if __name__ == "__main__":
    main()
