"""Indexes of features that are kept: made, checked against the database, reported on and measured."""
