"""Why an image was found: what in it, and in the query, makes the two alike to the encoder."""
