"""`cbmir train`, `extract` and `encoders`. Services are imported when a command runs: they take their time."""
