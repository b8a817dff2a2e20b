"""The parts of `cbmir.services.reproduce`: which images, which networks, what is looked at after each epoch."""
