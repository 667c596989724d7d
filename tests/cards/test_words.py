"""Text from the record can never act as markup, and numbers read as a clinician writes them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cds.cards import words

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](https://evil.example)",
    "![x](https://evil.example/p.png)",
    "https://evil.example/a",
    "www.evil.example",
    "javascript:alert(1)",
    "a | b | c",
    "**bold** `code` # heading",
    "&lt;b&gt;",
    "line\n\n# heading",
]


def rendered(markdown: str) -> str:
    """Render as the most permissive client does: HTML through, links made, tables on."""
    permissive = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
    return permissive.render(markdown)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_the_record_is_shown_exactly_and_never_as_markup(text: str) -> None:
    html = rendered(words.plain(text))

    assert html.startswith("<p>")
    inside = html.removeprefix("<p>").removesuffix("</p>\n")
    assert "<" not in inside


@given(st.text(max_size=80))
def test_no_text_whatever_opens_a_tag_a_link_or_a_cell(text: str) -> None:
    plain = words.plain(text)

    assert "<" not in plain
    assert "://" not in plain
    assert "\n" not in plain
    html = rendered(f"x {plain}")
    assert html.count("<") == 2, html


@given(st.text(st.characters(max_codepoint=127), max_size=40) | st.sampled_from(HOSTILE))
def test_a_text_that_is_handed_on_as_it_is_would_not_have_been_changed(text: str) -> None:
    assert words.plain(text) == words._escaped(text)


@given(
    st.lists(
        st.sampled_from(
            ["mailto:", "XMPP:", "javaScript:", "data:", ":", " ", "metadata:", "a", "é", "_", "\n"]
        ),
        max_size=8,
    ).map("".join)
)
def test_a_scheme_is_broken_wherever_a_word_begins_with_it_and_nowhere_else(text: str) -> None:
    scheme = re.compile(r"\b(mailto|xmpp|javascript|data):", re.IGNORECASE)

    assert words.authored(f"x {text}y") == "X " + scheme.sub(r"\1&#58;", f"{text}y")


@pytest.mark.parametrize("text", HOSTILE[:7])
def test_a_value_inside_a_rules_text_cannot_bring_html_links_or_images(text: str) -> None:
    markdown = words.authored(f"Please ask about {text}.")

    assert rendered(markdown).count("<") == 2
    assert "://" not in markdown


def test_a_rules_emphasis_and_lists_survive() -> None:
    html = rendered(words.authored("**Ask first.**\n\n- missed doses\n- ANC < 1.0"))

    assert "<strong>Ask first.</strong>" in html
    assert html.count("<li>") == 2
    assert "ANC &lt; 1.0" in html


def test_a_sign_that_the_engine_has_escaped_is_shown_once() -> None:
    assert "ANC &lt; 1" in rendered(words.authored(r"ANC \< 1"))


def test_a_summary_has_fewer_than_140_characters_and_ends_at_a_word() -> None:
    cut = words.summary("imatinib " * 40)

    assert len(cut) <= 139
    assert cut.endswith("imatinib…")


def test_a_summary_that_fits_is_kept() -> None:
    assert words.summary("X" * 139) == "X" * 139
    assert len(words.summary("X" * 140)) == 139


def test_a_sentence_may_begin_with_a_medicine_that_rules_write_small() -> None:
    assert words.summary("rifampicin lowers it") == "Rifampicin lowers it"
    assert words.authored("rifampicin lowers it") == "Rifampicin lowers it"


def test_a_summary_is_one_line_without_tags() -> None:
    assert words.summary("ANC < 1.0\nfor <b>Tom</b>") == "ANC < 1.0 for ‹b>Tom‹/b>"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "&lt;1"), (0.99, "&lt;1"), (1, "1"), (99, "99"), (99.6, "&gt;99")]
)
def test_a_model_never_claims_certainty(value: float, shown: str) -> None:
    assert words.percent(value) == shown


@pytest.mark.parametrize(
    ("hours", "said"), [(24.0, "once daily"), (12.0, "twice daily"), (36.0, "every 36 h")]
)
def test_an_interval_is_said_as_a_pharmacist_says_it(hours: float, said: str) -> None:
    assert words.interval(hours) == said


def test_small_negative_numbers_are_not_minus_zero() -> None:
    assert words.number(-0.2) == "0"
    assert words.number(-1.6) == "-2"
