"""A plan of what to train on, and what each kind of training makes of it; `cbmir.services.train` stores it."""
