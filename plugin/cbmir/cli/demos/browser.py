"""A page is opened for whoever sits before this machine."""

from __future__ import annotations

import os
import sys
import webbrowser


def show(url: str) -> bool:
    """Open a page in the browser; False where there is no screen, or no browser that would show it."""
    if not _has_screen():
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False


def _has_screen() -> bool:
    """Whether a window can be opened: else a browser of the terminal would take the terminal over."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
