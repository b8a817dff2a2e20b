"""Content-based medical image retrieval over a hospital's own archive."""

__version__ = "0.1.0"
