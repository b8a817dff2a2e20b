"""Which images of the archive look like this one: the question, where it is searched, and the answer."""
