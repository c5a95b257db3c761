"""Write dn2.kinds.keywords, which tells type checkers the options of all kinds: `make keywords`."""

from __future__ import annotations

import sys
from pathlib import Path

from dn2.kinds.keyword_options import source

HERE = Path(__file__).resolve().parents[1] / "src" / "dn2" / "kinds" / "keywords.py"

if __name__ == "__main__":
    HERE.write_text(source(), encoding="utf-8")
    sys.stderr.write(f"{HERE} written\n")
