"""The `dn2` command: exit statuses, and one clear line for every error."""

from __future__ import annotations

import logging
import sys

from dn2.errors import Dn2Error


def main() -> None:
    """Run the command line and exit with the status of the contract.

    0 done; 1 an anomaly was found and --fail-on-anomaly given; 2 bad usage or nothing usable; 3 done, but some items
    could not be read; 130 interrupted."""
    logging.basicConfig(level=logging.WARNING, format="dn2: %(message)s", stream=sys.stderr)
    logging.getLogger("dn2").setLevel(logging.INFO)
    try:
        from dn2.cli.app import app

        app()
    except Dn2Error as error:
        print(f"dn2: {error}", file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print("dn2: out of memory; give fewer items at a time", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
