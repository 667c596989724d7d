"""Who looked at which patient's data: kept before the page is shown, or it is not shown."""

from __future__ import annotations

from cds.services import Services
from cds.store import DatabaseError, Look, Way
from cds.telemetry import error_fields, log
from cds.web.errors import refuse
from cds.web.signin import Visitor


def note(services: Services, visitor: Visitor, what: str, evaluation: str | None = None) -> None:
    """Record that this visitor is shown something; a Refusal where it cannot be recorded."""
    if visitor.client is None:
        way = Way.MACHINE
    else:
        way = Way.SIGNED_IN if visitor.evaluation is None else Way.LINK
    look = Look(services.clock.now(), what, way, visitor.client, visitor.user, evaluation)
    try:
        services.store.record_look(look)
    except DatabaseError as error:
        log().error("look-not-recorded", client=visitor.client, **error_fields(error))
        raise refuse(
            503, "look-not-recorded", "That you look at this cannot be recorded now, so it is not "
            "shown. Try again in a moment."
        ) from None  # fmt: skip
