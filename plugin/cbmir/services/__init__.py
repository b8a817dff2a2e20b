"""The use cases, one plain function each: what the command line and the workers call."""
