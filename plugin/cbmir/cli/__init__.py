"""The command line: a module a subcommand, or a few of them; a folder where they are many."""
