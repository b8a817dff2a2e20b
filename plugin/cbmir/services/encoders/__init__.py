"""Encoders that no training here made: shipped, added, in 8 bits; and which of all encoders answers."""
