"""Answers handed back to the archive as documents, and out of it as teaching files."""
