"""`python -m dn2`: the command line."""

from dn2.cli import main

if __name__ == "__main__":
    main()
