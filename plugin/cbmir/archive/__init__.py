"""Where objects come from: files, and archives (PACS) over a network; this room never touches pixels."""
