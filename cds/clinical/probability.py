"""How a model's probability is written: it never claims the certainty that no model has."""


def percent(value: float) -> str:
    """Return a probability in percent as plain text: <1, 37, >99."""
    return edge(value) or f"{value:.0f}"


def edge(value: float) -> str | None:
    """Return what a probability near 0 or 100 percent is written as; None for all others."""
    if value < 1:
        return "<1"
    return ">99" if value > 99 else None
