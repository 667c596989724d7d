"""The level report: one assessment laid out for a pharmacist to check, question and print.

Values in, values out: what the pages, the files for export and the command line show is decided
here; `cds.web` only turns it into HTML.
"""

from __future__ import annotations

from cds.report.plots import Shape, picture
from cds.report.report import LevelReport, level_report
from cds.report.what_if import WhatIf, WhatIfError, imagine, read_what_if

__all__ = [
    "LevelReport",
    "Shape",
    "WhatIf",
    "WhatIfError",
    "imagine",
    "level_report",
    "picture",
    "read_what_if",
]
