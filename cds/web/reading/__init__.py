"""Requests as JSON -> calls as values."""

from cds.web.reading.call import read_call

__all__ = ["read_call"]
