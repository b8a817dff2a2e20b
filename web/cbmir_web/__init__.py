"""The web: pages for people, a REST API for programs. It enqueues work and reads the database, no more."""

from cbmir_web.app import create_app

__all__ = ["create_app"]
