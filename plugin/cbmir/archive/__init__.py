"""Where objects come from; this room never touches pixels."""
