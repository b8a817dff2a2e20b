"""A plan of what to train on, what each kind of training makes of it, and the encoder that is stored."""
