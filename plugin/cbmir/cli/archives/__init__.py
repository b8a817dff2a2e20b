"""`cbmir archive`: the archives (PACS) that are followed, a module a subcommand."""
