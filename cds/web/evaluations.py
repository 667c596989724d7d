"""The basis of one recorded decision, for the link on its cards.

It holds patient data: `cds.web.signin` says who may see which.
"""

from __future__ import annotations

import re

from flask import Blueprint, Response

from cds.services import Services
from cds.store import CipherError
from cds.web.errors import json_response, refuse
from cds.web.looks import note
from cds.web.signin import Doorkeeper

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def blueprint(services: Services, door: Doorkeeper) -> Blueprint:
    """The route of recorded decisions."""
    routes = Blueprint("evaluations", __name__)

    @routes.get("/evaluations/<evaluation>")
    def evaluation(evaluation: str) -> Response:
        visitor = door.admit()
        try:
            found = services.store.decision(evaluation) if _UUID.fullmatch(evaluation) else None
        except CipherError:
            found = None  # written under another key: for this service it does not exist
        if found is None or found.body is None or not visitor.may_see(found):
            raise refuse(404, "not-found", "There is no such evaluation.", "url")
        note(services, visitor, "decision", evaluation)
        return json_response(
            {
                "evaluation": found.evaluation,
                "at": found.at.isoformat(),
                "hook": found.hook,
                "inputDigest": found.input_digest,
                "rulebook": {
                    "version": found.rulebook_version,
                    "revision": found.rulebook_revision,
                },
                "models": dict(found.models),
                "software": found.code_version,
                "deviations": list(found.deviations),
                **found.body,
            }
        )

    return routes
