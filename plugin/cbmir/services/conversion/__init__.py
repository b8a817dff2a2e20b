"""A file to the pictures that are stored and encoded: how, where, and whether an earlier way made them."""
