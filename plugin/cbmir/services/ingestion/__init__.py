"""Files to pictures and rows: found, converted, known by whose they are, and recorded."""
