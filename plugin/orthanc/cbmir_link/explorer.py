# SPDX-License-Identifier: AGPL-3.0-or-later
"""The button "Similar images" in Orthanc Explorer."""

from __future__ import annotations

import json
from pathlib import Path

SCRIPT = Path(__file__).with_name("explorer.js")


def buttons(browser_url: str) -> str:
    """JavaScript that Orthanc Explorer runs: links to cbmir on the pages of studies, series and instances."""
    return f"{SCRIPT.read_text('utf-8')}\ncbmirButtons({json.dumps(browser_url)});\n"
