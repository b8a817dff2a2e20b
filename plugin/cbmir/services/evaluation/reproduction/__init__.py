"""The paper's experiment: which images, which networks, what is looked at after each epoch, what came of it."""
