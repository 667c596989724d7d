"""What a list in a genetic result says of each of its items."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from cds.fhir.genes import _shared, _Verdict


@given(st.lists(st.none() | st.sampled_from(list(_Verdict)), max_size=12))
def test_an_item_without_a_verdict_shares_that_of_the_last_before_else_of_the_first_after(
    verdicts: list[_Verdict | None],
) -> None:
    def nearest(place: int) -> Iterator[_Verdict | None]:
        yield from reversed(verdicts[: place + 1])
        yield from verdicts[place + 1 :]

    assert list(_shared(verdicts)) == [
        next((v for v in nearest(place) if v is not None), None) for place in range(len(verdicts))
    ]
