"""Cards in a terminal: readable without colour, aligned, and safe against what a name contains."""

from __future__ import annotations

from typing import Any

from cds.cards.terminal import Screen, render_markdown, render_response

PLAIN = Screen(width=60)
UUID = "11111111-2222-3333-4444-555555555555"


def card(**changes: Any) -> dict[str, Any]:
    return {
        "uuid": UUID,
        "summary": "Trough low",
        "indicator": "warning",
        "source": {"label": "Us"},
        **changes,
    }


def shown(screen: Screen = PLAIN, **changes: Any) -> str:
    return render_response({"cards": [card(**changes)]}, screen)


def test_silence_is_said() -> None:
    assert render_response({"cards": []}, PLAIN) == "no cards: nothing to say"


def test_a_card_opens_with_its_indicator_and_summary() -> None:
    assert shown().startswith(" WARNING  Trough low")


def test_colour_is_used_only_when_asked_for() -> None:
    assert "\x1b[" not in shown()
    assert "\x1b[1;30;43m WARNING \x1b[0m" in shown(Screen(60, colour=True))


def test_a_table_is_set_in_columns_with_numbers_to_the_right() -> None:
    table = "| Dose | below, % |\n| --- | ---: |\n| **400 mg** | &gt;99 |\n| 1 \\| 2 | 5 |"

    assert render_markdown(table, PLAIN) == [
        "Dose    below, %",
        "------  --------",
        "400 mg       >99",
        "1 | 2          5",
    ]


def test_emphasis_entities_escapes_and_links_become_plain_text() -> None:
    lines = render_markdown(
        "**Ask** `why` \\*now\\* &lt;b&gt; [A \\[1\\]](https://x.example)", PLAIN
    )

    assert lines == ["Ask why *now* <b> A [1] <https://x.example>"]


def test_long_text_is_wrapped_and_list_items_hang() -> None:
    lines = render_markdown("- " + "word " * 30, PLAIN)

    assert len(lines) > 1
    assert all(len(line) <= 60 for line in lines)
    assert lines[1].startswith("  word")


def test_lines_of_one_paragraph_are_joined_and_breaks_are_kept() -> None:
    lines = render_markdown("One\nsentence.\n\nModel: A.  \nLimits: B.\n- item\n  goes on", PLAIN)

    assert lines == ["One sentence.", "", "Model: A.", "Limits: B.", "- item goes on"]


def test_offers_show_what_they_do_and_which_is_recommended() -> None:
    text = shown(
        suggestions=[
            {
                "label": "Order 600 mg",
                "isRecommended": True,
                "actions": [
                    {
                        "type": "update",
                        "resource": {"resourceType": "MedicationRequest", "id": "a"},
                    },
                    {"type": "delete", "resourceId": "MedicationRequest/b"},
                ],
            }
        ],
        overrideReasons=[{"code": "m", "system": "s", "display": "Will monitor"}],
    )

    assert "-> Order 600 mg (recommended)" in text
    assert "update MedicationRequest/a" in text
    assert "delete MedicationRequest/b" in text
    assert "Reasons not to: Will monitor" in text


def test_control_characters_never_reach_the_terminal() -> None:
    text = shown(
        summary="a\x1b[2Jb",
        detail="c\x1b]0;x\x07d",
        links=[{"label": "\x9b1m", "url": "https://x"}],
    )

    assert not any(c in text for c in "\x1b\x07\x9b")
