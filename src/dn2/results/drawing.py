"""Style and files of all figures: readable without colour, the same bytes when drawn again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dn2.errors import MissingExtra
from dn2.results.writing import choose_writer
from dn2.store.cache import default_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind tell apart; markers and dashes tell lines apart without colour.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 2)), (0, (6, 3)))

WIDTH = 7.2  # inches; with 110 dots an inch about as wide as a README
DOTS_PER_INCH = 110


def import_figure() -> Any:
    """Import matplotlib's `Figure`, which draws without any global state.  Raises MissingExtra.

    The list of fonts that matplotlib makes at its first import goes into dn2's cache folder; only where the user has a
    folder of settings for matplotlib are that folder and its settings used."""
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "matplotlib")
    redirected = not ("matplotlib" in sys.modules or "MPLCONFIGDIR" in os.environ or settings.exists())
    if redirected:
        os.environ["MPLCONFIGDIR"] = str(default_path().parent / "matplotlib")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("drawing a figure needs matplotlib; run: pip install 'dn2[bench]'") from error
    finally:
        if redirected:
            del os.environ["MPLCONFIGDIR"]
    return Figure


def check_figure(path: Path) -> str:
    """Check early that a figure can be written.

    Returns its kind, `png` or `svg`, by the ending of its name.  Raises InputError, MissingExtra."""
    import_figure()
    return choose_writer(path, {".png": "png", ".svg": "svg"}, "a figure")


def save_figure(figure: Figure, kind: str, path: Path) -> None:
    """Write a figure; kind : `png` or `svg`.  The same figure gives the same bytes: no date, no random identifiers."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "dn2", "svg.fonttype": "none"}):
        plain = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(path, format=kind, dpi=DOTS_PER_INCH, metadata=plain)
