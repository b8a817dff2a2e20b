"""Files that were ingested or set aside once are read again, from where they came from."""
