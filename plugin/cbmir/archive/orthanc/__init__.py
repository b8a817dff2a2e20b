"""Orthanc, by its own REST API: it logs what comes, and counts what it has."""

from cbmir.archive.orthanc.archive import OrthancArchive

__all__ = ["OrthancArchive"]
