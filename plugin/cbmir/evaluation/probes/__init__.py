"""Probes for self-deception: what else than the content of the images may explain a good figure."""
