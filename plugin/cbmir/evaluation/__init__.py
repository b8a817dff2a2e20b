"""Retrieval metrics, reports and figures."""
