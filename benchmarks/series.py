"""How well anomalies in series are found, beside other methods: NAB's series against themselves, SKAB's against their
first points.

Run: python benchmarks/series.py

These are `dn2 bench series nab.npz --rivals` and `dn2 bench series skab.npz --rivals --reference 400`.  The length of
windows and the weight of their level were chosen on these two sets (weights 0.3, 0.5, 0.7 and 1 tried on the finished
code, windows of 50 to 400 points and weights 0, 0.3 and 1 before): the figures are no independent test of that choice.
"""

from __future__ import annotations

from collections.abc import Sequence

from common import begin
from dn2.bench.table import to_markdown
from dn2.cli.progress import progress
from dn2.kinds.series.bench.data import read_labelled
from dn2.kinds.series.bench.protocol import series
from dn2.kinds.series.kind import USUAL_NEIGHBORS as N_NEIGHBORS

SETS = {"nab/nab.npz": 0, "skab/skab.npz": 400}  # how many of the first points are the reference


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    run = begin(__doc__, arguments)
    report = run.report("series")
    for name, known in SETS.items():
        sets = read_labelled(run.need(name))
        if run.smallest:  # without rivals: stumpy compiles itself for half a minute
            sets = sets[:1]
        result = series(sets, N_NEIGHBORS, not run.smallest, known, progress_of=progress)
        result.title = name
        report.say()
        report.say(to_markdown(result).rstrip())
    report.save()


if __name__ == "__main__":
    main()
