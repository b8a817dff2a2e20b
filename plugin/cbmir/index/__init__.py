"""Features to nearest neighbours."""
