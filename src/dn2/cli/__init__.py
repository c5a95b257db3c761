"""The command line: parse, call, print."""

from dn2.cli.main import main

__all__ = ["main"]
