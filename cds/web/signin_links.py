"""Links that open one report without a sign-in, for a short time: only where a client allows it.

The link carries an opaque evaluation id, the second at which it ends, and a code over both and the
client that only this service can make. Nothing in it concerns a patient; but whoever has it sees
the report, which is why it is off unless a client's `report_link_minutes` is set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cds.settings import ClientSettings
from cds.store import Cipher

_KEY = re.compile(r"(\d{1,11})-([0-9a-f]{64})")
_PURPOSE = "report link"
_REPORT = re.compile(r"/evaluations/([0-9a-f-]{36})")


def with_signed_links(
    response: Mapping[str, Any], client: ClientSettings | None, cipher: Cipher, now: datetime
) -> Mapping[str, Any]:
    """The response of a hook with links that open; the ledger keeps it without their keys."""
    if client is None or client.report_link_minutes is None:
        return response
    expires = now + timedelta(minutes=client.report_link_minutes)
    cards = [
        {**card, "links": [_signed(link, client, cipher, expires) for link in card["links"]]}
        if card.get("links")
        else card
        for card in response["cards"]
    ]
    return {**response, "cards": cards}


def expiry_of(
    key: str, client: ClientSettings, evaluation: str, cipher: Cipher, now: datetime
) -> datetime | None:
    """Until when a key opens an evaluation of a client; None when it does not."""
    read = _KEY.fullmatch(key)
    if read is None or client.report_link_minutes is None:
        return None
    second, code = read.groups()
    genuine = cipher.confirms(code, _PURPOSE, client.id, evaluation, second)
    expires = datetime.fromtimestamp(int(second), UTC)
    # A key that outlives what is allowed now was made when more was allowed.
    longest = now + timedelta(minutes=client.report_link_minutes)
    return expires if genuine and now < expires <= longest else None


def _signed(
    link: Mapping[str, Any], client: ClientSettings, cipher: Cipher, expires: datetime
) -> Mapping[str, Any]:
    report = _REPORT.search(urlsplit(link["url"]).path)
    if link.get("type") != "absolute" or report is None:
        return link
    second = str(int(expires.timestamp()))
    code = cipher.mac(_PURPOSE, client.id, report[1], second)
    return {**link, "url": f"{link['url']}/open/{second}-{code}"}
