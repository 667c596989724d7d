"""Who is calling: verified tokens of registered clients, or the open loopback."""

from cds.web.auth.gate import Gate
from cds.web.auth.keys import KeySet, KeySource, fetch_keys
from cds.web.auth.tokens import RejectedToken, TokenVerifier

__all__ = ["Gate", "KeySet", "KeySource", "RejectedToken", "TokenVerifier", "fetch_keys"]
