"""The basis of one recorded decision, for the link on its cards.

It holds patient data. Until users can sign in, it is shown only where calls need no token either:
on this machine, without registered clients.
"""

from __future__ import annotations

import re

from flask import Blueprint, Response, request

from cds.services import Services
from cds.store import CipherError
from cds.web.auth import Gate
from cds.web.errors import json_response, refuse

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def blueprint(services: Services, gate: Gate) -> Blueprint:
    """The route of recorded decisions."""
    routes = Blueprint("evaluations", __name__)

    @routes.get("/evaluations/<evaluation>")
    def evaluation(evaluation: str) -> Response:
        if not gate.open_loopback:
            raise refuse(403, "sign-in", "Decisions are read with `imatinib-tdm replay`.")
        gate.admit(request, request.path)
        try:
            found = services.store.decision(evaluation) if _UUID.fullmatch(evaluation) else None
        except CipherError:
            found = None  # written under another key: for this service it does not exist
        if found is None or found.body is None:
            raise refuse(404, "not-found", "There is no such evaluation.", "url")
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
