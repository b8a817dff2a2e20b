"""Versions of features: one encoder answers, others are prepared beside it, switched to, and freed."""
