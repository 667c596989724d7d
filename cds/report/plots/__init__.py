"""The pictures of the report: SVG with real text, drawn on the server by matplotlib."""

from __future__ import annotations

from cds.report.plots.picture import FIGURES, Shape, picture

__all__ = ["FIGURES", "Shape", "picture"]
