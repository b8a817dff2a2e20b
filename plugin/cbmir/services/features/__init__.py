"""Features of the stored pictures: extracted by one worker or by several, and exchanged as JSON."""
