"""Write docs/conformance.md: each requirement on a service and the test that shows it.

python -m tests.web.conformance.table > docs/conformance.md
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_HERE = Path(__file__).parent
_TESTS = _HERE.parents[1]

INTRODUCTION = """\
# Conformance with CDS Hooks 2.0

Every requirement row that concerns a CDS service, and the test that shows it. The rows are those of
the Inferno project (Apache-2.0, https://github.com/inferno-framework) for CDS Hooks 2.0 and, with L
before the number, for its hook library. This page is generated from `tests/web/conformance/`; a
test keeps it current and refuses a SHALL without a test.

"""


def page() -> str:
    """Return the whole page."""
    rows = requirements()
    evidence = evidence_by_row()
    counts = {}
    for row in rows:
        counts[row["conformance"]] = counts.get(row["conformance"], 0) + 1
    summary = ", ".join(f"{count} {level}" for level, count in sorted(counts.items()))
    lines = [f"{len(rows)} rows: {summary}.", "", "| row | level | requirement | shown by |"]
    lines.append("|---|---|---|---|")
    lines += [_line(row, evidence[row["id"]]) for row in rows]
    return INTRODUCTION + "\n".join(lines) + "\n"


def requirements() -> list[Mapping[str, Any]]:
    """The requirement rows."""
    return json.loads((_HERE / "requirements.json").read_text(encoding="utf-8"))["rows"]


def evidence_by_row() -> dict[str, Mapping[str, Any]]:
    """What is said for each row."""
    entries = YAML(typ="safe").load(_HERE / "evidence.yaml")
    return {str(row): entry for entry in entries for row in entry["rows"]}


def unknown_tests() -> Iterator[str]:
    """Tests that are named but do not exist."""
    for named in sorted({t for e in evidence_by_row().values() for t in e.get("tests", ())}):
        file, _, name = named.partition("::")
        tree = ast.parse((_TESTS / file).read_text(encoding="utf-8"))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        if name not in defined:
            yield named


def _line(row: Mapping[str, Any], evidence: Mapping[str, Any]) -> str:
    said = [f"`{test}`" for test in evidence.get("tests", ())]
    if "reason" in evidence:
        said.append(evidence["reason"])
    text = row["requirement"].replace("|", "\\|").replace("<", "&lt;")
    return f"| [{row['id']}]({row['url']}) | {row['conformance']} | {text} | {'<br>'.join(said)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
