"""The pages for people: server-rendered, usable without JavaScript; scripts only make them live."""

from __future__ import annotations

from cbmir_web.pages import archives, encoders, explanations, jobs, library, quarantine, search, similar, upload
from cbmir_web.pages.blueprint import blueprint

__all__ = [
    "archives",
    "blueprint",
    "encoders",
    "explanations",
    "jobs",
    "library",
    "quarantine",
    "search",
    "similar",
    "upload",
]
