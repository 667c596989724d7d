"""The pictures: valid SVG with real text that any page may show."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
from matplotlib.dates import num2date
from msgspec.structs import replace

from cds.assess import Assessment
from cds.report import Shape, curves, picture
from cds.report.plots import FIGURES, canvas, level

SVG = "{http://www.w3.org/2000/svg}"
Assessed = Callable[[str], Assessment]


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("figure", list(FIGURES))
@pytest.mark.parametrize("shape", list(Shape))
def test_a_picture_needs_no_inline_style_no_script_and_nothing_from_elsewhere(
    assessed: Assessed, figure: str, shape: Shape
):
    svg = picture(assessed("cml-low-trough"), figure, shape=shape)
    root = ET.fromstring(svg)
    for node in root.iter():
        assert node.tag not in (f"{SVG}style", f"{SVG}script", f"{SVG}foreignObject")
        assert "style" not in node.attrib
        for name, value in node.attrib.items():
            if name.endswith("href"):
                assert value.startswith("#")
    assert not re.search(r"https?://(?!www\.w3\.org)", svg)


def test_every_picture_of_every_story_can_be_drawn(assessed: Assessed, stories):
    """Whatever the plotting library warns of is an error here."""
    drawn = [
        picture(assessed(story), figure, shape=shape)
        for story in stories
        for figure in FIGURES
        for shape in Shape
    ]
    assert sum(svg is not None for svg in drawn) > len(stories)


def test_a_picture_has_a_title_a_description_and_real_text(assessed: Assessed):
    svg = picture(assessed("cml-low-trough"))
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    named = {
        node.get("id"): node.text for node in root if node.tag in (f"{SVG}title", f"{SVG}desc")
    }
    assert set(root.get("aria-labelledby").split()) == set(named)
    assert "720 ng/mL" in named["level-wide-description"]
    assert "concentration (ng/mL)" in texts(svg)


def test_every_reference_inside_a_picture_leads_somewhere(assessed: Assessed):
    for figure in FIGURES:
        svg = picture(assessed("cml-low-trough"), figure)
        ids = re.findall(r'\bid="([^"]+)"', svg)
        wanted = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg))
        assert len(ids) == len(set(ids))
        assert wanted <= set(ids)


def test_the_same_assessment_gives_the_same_picture(assessed: Assessed):
    first = picture(assessed("cml-low-trough"), "interval")
    assert picture(assessed("cml-low-trough"), "interval") == first


def test_pictures_drawn_at_the_same_time_do_not_disturb_each_other(assessed: Assessed):
    assessment = assessed("cml-low-trough")
    alone = {name: picture(assessment, name) for name in FIGURES}
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda name: (name, picture(assessment, name)), [*FIGURES] * 3))
    assert all(svg == alone[name] for name, svg in together)


def test_the_dose_asked_about_is_drawn_beside_the_current_one(assessed: Assessed, knowledge):
    from cds.report import WhatIf, imagine

    assessment = assessed("cml-low-trough")
    question = WhatIf(amount_mg=500.0, interval_h=24.0)
    asked = imagine(assessment, question, knowledge.rulebook, knowledge.models).option
    legend = " ".join(texts(picture(assessment, "interval", imagined=asked, sample_h=4.0)))
    assert "(current)" in legend
    assert "(what-if)" in legend
    assert "(best fit)" not in legend
    assert "next sample asked about" in legend


@pytest.mark.parametrize("story", ["child-body-surface", "duplicate-orders"])
def test_where_there_is_no_model_no_curve_is_drawn(assessed: Assessed, story: str):
    assert picture(assessed(story)) is None
    assert picture(assessed(story), "interval") is None


def test_a_doubtful_fit_is_not_drawn_as_this_patient(doubtful: Assessment):
    legend = " ".join(texts(picture(doubtful)))
    assert "patients like this one" in legend
    assert "this patient (" not in legend
    assert picture(doubtful, "interval") is None


def test_the_curve_of_the_picture_is_the_curve_of_the_library(assessed: Assessed):
    """Leaving out doses long gone, as pictures do, must not move the curve."""
    posterior = assessed("cml-low-trough").exposure.posterior
    hours = np.linspace(-110.0, -14.0, 25)
    drawn = curves.over_time(posterior, hours)
    assert drawn.line == pytest.approx(posterior.predict(hours), rel=1e-6)
    assert drawn.quantiles == pytest.approx(posterior.quantiles(hours, curves.PROBS), rel=5e-3)


def test_the_picture_ends_where_the_doses_are_no_longer_known(assessed: Assessed):
    """Past the present no dose is known, and the curve would fall as if the drug were stopped."""
    assessment = assessed("inducer-stopped")  # its level was drawn two hours ago
    with canvas.drawing("test"):
        figure = level.draw(assessment, 7.6, 3.7, narrow=False)
    last = num2date(figure.axes[0].get_xlim()[1])
    assert last - assessment.now <= timedelta(hours=2)


def test_the_interval_ends_at_the_trough_of_the_table(assessed: Assessed):
    import pk

    exposure = assessed("cml-low-trough").exposure
    drawn = curves.over_interval(exposure.posterior, pk.Regimen(400.0, 24.0), np.array([24.0]))
    assert drawn.line[0] == pytest.approx(exposure.current.trough_ng_ml, rel=1e-6)
    low, high = drawn.quantiles[0, 0], drawn.quantiles[-1, 0]
    assert low == pytest.approx(exposure.current.trough_low_ng_ml, rel=1e-6)
    assert high == pytest.approx(exposure.current.trough_high_ng_ml, rel=1e-6)


def test_a_process_that_shows_no_picture_does_not_load_the_plotting_library():
    code = "import sys, cds.web.app, cds.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_results_measured_more_than_once_are_drawn_over_time_with_their_units(assessed: Assessed):
    svg = picture(assessed("hepatotoxicity"), "labs")
    assert svg is not None
    said = texts(svg)
    for words in ("ALT", "AST", "bilirubin", "U/L"):
        assert words in said
    description = FIGURES["labs"].words(assessed("hepatotoxicity"))
    assert "ALT from" in description
    assert "(3 results)" in description


def test_an_interacting_medicine_stands_on_the_axis_of_the_results(assessed: Assessed):
    svg = picture(assessed("inducer-stopped"), "labs")
    assert svg is not None
    assert "interacting" in texts(svg)


def test_results_measured_once_have_no_course_to_draw(assessed: Assessed):
    assert picture(assessed("gist-gastrectomy"), "labs") is None


def test_a_wide_range_of_results_is_drawn_on_a_logarithmic_axis(assessed: Assessed):
    assessment = assessed("cml-low-trough")
    spread = [lab for lab in assessment.record.labs if lab.key == "bcr_abl_is"]
    labs = tuple(
        replace(lab, value=value) for lab, value in zip(spread, (50.0, 1.0, 0.01), strict=True)
    )
    wide = replace(assessment, record=replace(assessment.record, labs=labs))
    svg = picture(wide, "labs")
    assert svg is not None
    assert any("10" in text for text in texts(svg))
