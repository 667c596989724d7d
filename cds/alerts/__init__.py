"""New levels: notification -> durable work -> the same assessment -> whoever should know.

    receiver -> queue -> events    what was filed, and whose is it
                      -> patients  read, assess, compare with what was last said
                      -> effects   Task and others at the FHIR server, webhook

`attach` lets a web application receive; `build_alerts` gives a process that works.
"""

from cds.alerts.settings import AlertSettings, load_alert_settings
from cds.alerts.wiring import AlertServices, attach, build_alerts, listen_for_messages

__all__ = [
    "AlertServices",
    "AlertSettings",
    "attach",
    "build_alerts",
    "listen_for_messages",
    "load_alert_settings",
]
