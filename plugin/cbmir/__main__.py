"""`python -m cbmir`: the command line, also where no script was installed."""

from cbmir.cli.main import main

if __name__ == "__main__":
    main()
