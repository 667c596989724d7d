"""Put the pictures that the browser tests took into the documentation: `make pictures`."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

PICTURES = ("demo-hospital", "level-report", "safety-board", "worklist")
MOST_BYTES = 200_000
_ROOT = Path(__file__).parents[2]
_TAKEN = _ROOT / "test-output" / "screenshots"
_COLOURS = 128


def main() -> None:
    """Copy each with few colours; exits with 1 if one is still too large for a page."""
    too_large = []
    for name in PICTURES:
        target = _ROOT / "docs" / "pictures" / f"{name}.png"
        with Image.open(_TAKEN / f"picture-{name}.png") as taken:
            taken.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(
                target, optimize=True
            )
        size = target.stat().st_size
        sys.stdout.write(f"{target.relative_to(_ROOT)}  {size / 1000:.0f} kB\n")
        if size >= MOST_BYTES:
            too_large.append(name)
    if too_large:
        sys.exit(f"larger than {MOST_BYTES / 1000:.0f} kB: {', '.join(too_large)}")


if __name__ == "__main__":
    main()
