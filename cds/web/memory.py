"""Let the threads of a worker share their memory.

The C library gives each thread that allocates an area of its own and never hands it back: eight
threads that answered once held 40 MiB more than one thread did. Deciding happens one call at a time
(`cds.services.answer`), so nothing is gained by the areas; two are enough.
"""

from __future__ import annotations

import ctypes
import os

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""
_ARENAS = 2


def share_arenas() -> None:
    """Bound the areas of memory of this process and its children; call it before threads start.

    MALLOC_ARENA_MAX in the environment decides instead where somebody set it. A C library without
    the setting (musl) has no such areas.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
