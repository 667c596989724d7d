"""Everything a site can set, read once from one YAML file and the environment.

Without a file the service runs with defaults meant for a laptop: SQLite in the user's data
directory, no registered client, loopback only. Secrets never need to stand in the file: each may
come from a file of its own or from the environment.
"""

from cds.settings.client import ClientSettings, Limits, Reading, SmartSettings
from cds.settings.installation import LedgerSettings, ServerSettings, Settings
from cds.settings.read import explain, load_settings
from cds.settings.yaml_file import SettingsError, read_yaml

__all__ = [
    "ClientSettings",
    "LedgerSettings",
    "Limits",
    "Reading",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "SmartSettings",
    "explain",
    "load_settings",
    "read_yaml",
]
