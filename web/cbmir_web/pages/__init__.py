"""The pages for people: server-rendered, usable without JavaScript; scripts only make them live."""

from __future__ import annotations

from cbmir_web.pages import encoders, jobs, library, quarantine, search, upload
from cbmir_web.pages.blueprint import blueprint

__all__ = ["blueprint", "encoders", "jobs", "library", "quarantine", "search", "upload"]
