"""The composition root and the use cases: answer a hook, replay a decision."""

from cds.services.wiring import (
    Services,
    SetupFailed,
    build_services,
    live_knowledge,
    open_store,
    prepare,
)

__all__ = [
    "Services",
    "SetupFailed",
    "build_services",
    "live_knowledge",
    "open_store",
    "prepare",
]
