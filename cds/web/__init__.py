"""The door of the service: Flask translates HTTP to calls and back, and decides nothing."""

from cds.web.app import create_app

__all__ = ["create_app"]
