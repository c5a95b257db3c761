"""The part of a model that does not change it: scoring, evaluation and description."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dn2.errors import InputError, UnreadableItem
from dn2.inputs.leaving_out import leaving_out
from dn2.inputs.memory import rename
from dn2.kinds.exchange import ReadColumn, ReferenceItem
from dn2.kinds.kind import Kind
from dn2.model.known import KnownScores
from dn2.model.scoring import check_apart, discover, find_items, score_found, shift_of
from dn2.model.state import Origin, State
from dn2.model.words import shift_in_words
from dn2.neighbors.calibration import Calibration, false_discoveries
from dn2.neighbors.detector import Detector
from dn2.results.evaluation import Evaluation
from dn2.results.results import Results
from dn2.results.rows import Row
from dn2.system.progress import Shown, shown

logger = logging.getLogger("dn2")


class Scorer:
    """The methods of a model that do not change it: see `dn2.model.model.Model`.

    state : the parts of the model; replaced as a whole."""

    state: State

    @property
    def kind(self) -> Kind[Any]:
        """How items become vectors and evidence."""
        return self.state.kind

    @property
    def detector(self) -> Detector:
        """What scores items."""
        return self.state.detector

    @property
    def items(self) -> list[ReferenceItem]:
        """The reference set, in the detector's order."""
        return self.state.items

    @property
    def unreadable(self) -> list[Row]:
        """Rows with the error of each item that the last fit or add could not read."""
        return self.state.unreadable

    @property
    def origin(self) -> Origin | None:
        """The saved model that this one was loaded from or saved as."""
        return self.state.origin

    @property
    def embedder(self) -> Any:
        """What turns items into vectors: an `ImageEmbedder` for pictures; None where they are vectors."""
        return self.kind.embedder

    @property
    def columns(self) -> Sequence[ReadColumn]:
        """How each column of a table was read, or why it is left out: name, words, is_compared."""
        return self.kind.columns

    @property
    def calibration(self) -> Calibration:
        """What the p-values rest on."""
        return self.state.calibration

    @property
    def false_alarm_rate(self) -> float:
        """The rate at which `score` decides by default."""
        return self.state.false_alarm_rate

    @property
    def set_aside(self) -> list[str]:
        """The names of the items that the cleaning of a contaminated reference set leaves out."""
        return self.state.set_aside

    def score(
        self,
        inputs: Any,
        *,
        names: Iterable[str] | None = None,
        false_alarm_rate: float | None = None,
        fdr: float | None = None,
        memory: str | int | None = None,
        exclude: str | Sequence[str] = (),
        progress: Shown = None,
    ) -> Results:
        """Score items: an anomaly score, a p-value, a decision and the nearest reference items for each.

        Parameters
        ----------
        inputs : path, iterable of paths, or items from memory
            A folder, files, a glob, `@list.txt`, or several of these.  From memory: pictures as arrays, pictures of
            Pillow or bytes; rows as a frame, as dicts or Series; texts as a list or a column; series as arrays, Series
            or a dict of them; vectors as an array of shape (n, d) or a list.
        names : iterable of n str, default=None
            What items from memory are called; by default their position or their key.
        false_alarm_rate : float in (0, 1), default=None
            Decide at this rate instead of the model's.
        fdr : float in (0, 1), default=None
            Decide all items together by Benjamini-Hochberg at this false-discovery rate instead.
        memory : str or int, default=None
            Such as `4GB`, see `dn2.fit`; what does not fit is refused.
        exclude : str or iterable of str, default=()
            Globs of files and folders in the folders given that are no items; see `dn2.fit`.
        progress : callable or False, default=None
            None shows a bar in a notebook and nothing in a script, False nothing; else called with (done, total).

        Returns
        -------
        results : Results
            A row an item, in their order; of an item that cannot be read, one with its error.

        Raises
        ------
        InputError
            If nothing is found, names do not fit, or both rates are given.
        ReferenceTooSmall
            For a rate that the reference set cannot support.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> results = model.score([[0, 0, 0, 0], [9, 9, 9, 9]], names=["usual", "odd"])
        >>> [(row.item, row.is_anomaly) for row in results]
        [('usual', False), ('odd', True)]
        """
        now = self.state
        if fdr is not None:
            if not now.kind.has_false_discoveries:
                raise InputError(f"p-values of {now.kind.many} have no false-discovery rate; give a false-alarm rate")
            if false_alarm_rate is not None:
                raise InputError(
                    "a false-alarm rate and a false-discovery rate are two ways to decide; give one of them"
                )
            false_discoveries(np.empty(0), fdr)  # a bad level is refused before the work, not after it
        rate = now.false_alarm_rate if false_alarm_rate is None else now.calibration.rate(false_alarm_rate)
        with shown(progress, "scoring") as tell:
            with leaving_out(exclude):
                found_items = find_items(now.kind, inputs, tell)
            results = score_found(self, now, found_items if names is None else rename(found_items, names), memory, tell)
        if (shift := shift_of(results)) is not None:
            logger.warning("%s", shift_in_words(shift, now.kind.many))
        return results.at(rate) if fdr is None else discover(results, fdr)

    def score_one(self, item: Any, *, false_alarm_rate: float | None = None) -> Row:
        """Score one item in about the time that its embedding takes, as a camera over a line needs it.

        The calling thread does all of it, any number of threads at once; nothing is cached, nor read or written but a
        picture that is named by its path.

        Parameters
        ----------
        item : object
            A picture: an array of uint8, a picture of Pillow, the bytes of a file, or its path; a row: a dict or a
            Series of pandas; a text; or a vector of shape (d,).
        false_alarm_rate : float in (0, 1), default=None
            Decide at this rate instead of the model's.

        Returns
        -------
        row : Row
            The same verdict as that of `score`.

        Raises
        ------
        UnreadableItem
            For an item that cannot be read: there is no verdict then.
        InputError
            Unless it is one item of the model's kind; for series, whose intervals need the points around them.
        ReferenceTooSmall
            For a rate that the reference set cannot support.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> model.score_one([9, 9, 9, 9]).is_anomaly
        True
        """
        now = self.state
        rate = now.false_alarm_rate if false_alarm_rate is None else now.calibration.rate(false_alarm_rate)
        row = now.kind.score_one(now, item)
        if row.p_value is None:
            raise UnreadableItem(row.error or "it has no p-value")
        return replace(row, is_anomaly=row.p_value <= rate)

    def score_known(
        self, normal: Any, anomalous: Any, *, exclude: str | Sequence[str] = (), progress: Shown = None
    ) -> KnownScores:
        """Score items known to be normal and anomalous.

        Parameters
        ----------
        normal, anomalous : path, iterable of paths, or items from memory
            As in `score`.
        exclude : str or iterable of str, default=()
            Globs of files and folders in the folders given that are no items; see `dn2.fit`.
        progress : callable or False, default=None
            None shows a bar in a notebook and nothing in a script, False nothing; else called with (done, total), for
            the normal items first.

        Returns
        -------
        known : KnownScores
            `scores`, `p_values` and `is_anomalous`, of shape (n,) each, and `unreadable`, the rows of items left out.

        Raises
        ------
        InputError
            If nothing is found, and for a file that is given as both.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> known = model.score_known(numpy.zeros((3, 4)), numpy.full((2, 4), 9.0))
        >>> known.is_anomalous.tolist()
        [False, False, False, True, True]
        """
        now = self.state
        with shown(progress, "scoring") as tell:
            with leaving_out(exclude):
                found_items = [find_items(now.kind, inputs, tell) for inputs in (normal, anomalous)]
            check_apart(*found_items)
            results = [score_found(self, now, items_of_truth, None, tell) for items_of_truth in found_items]
        n_reference = [result.reference_items for result in results]
        rows = [[row for row in result if row.error is None] for result in results]
        figures = np.array([(row.anomaly_score, row.p_value) for rows_of_truth in rows for row in rows_of_truth], float)
        scores, p_values = figures.reshape(-1, 2).T
        truth = np.repeat([False, True], [len(rows_of_truth) for rows_of_truth in rows])
        return KnownScores(
            scores, p_values, truth, [row for result in results for row in result.unreadable], *n_reference
        )

    def evaluate(
        self, normal: Any, anomalous: Any, *, exclude: str | Sequence[str] = (), progress: Shown = None
    ) -> tuple[Evaluation, list[Row]]:
        """Score items known to be normal and anomalous, and compare.

        Parameters
        ----------
        normal, anomalous : path, iterable of paths, or items from memory
            As in `score`.
        exclude : str or iterable of str, default=()
            Globs of files and folders in the folders given that are no items; see `dn2.fit`.
        progress : callable or False, default=None
            None shows a bar in a notebook and nothing in a script, False nothing; else called with (done, total), for
            the normal items first.

        Returns
        -------
        figures : Evaluation
            ROC AUC, average precision, and what was decided, at the model's rate.
        unreadable : list of Row
            The items that could not be read and are left out.

        Raises
        ------
        InputError
            If a class has no readable item, and for a file that is given as both.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> figures, unreadable = model.evaluate(numpy.zeros((3, 4)), numpy.full((2, 4), 9.0))
        >>> figures.roc_auc
        1.0
        """
        known = self.score_known(normal, anomalous, exclude=exclude, progress=progress)
        return known.evaluate(self.false_alarm_rate), known.unreadable

    def near_duplicates(self) -> list[tuple[str, str]]:
        """List the reference items that nearly are others.

        Returns
        -------
        pairs : list of (str, str)
            An item, and the one that it nearly is; of two that are each other's nearest both ways round.

        Examples
        --------
        >>> import dn2, numpy
        >>> normal = numpy.random.default_rng(0).normal(size=(200, 4))
        >>> dn2.fit(numpy.vstack([normal, normal[:1]])).near_duplicates()
        [('row 1', 'row 201'), ('row 201', 'row 1')]
        """
        return self.state.near_duplicates()

    def describe(self) -> dict[str, Any]:
        """Say what the model is: embedder, detector, calibration; the values are those of `model.json`.

        Returns
        -------
        about : dict
            `removed_in_files` counts the items taken away whose rows are still in the model's files: where much would
            have to be rewritten, a file keeps them until a quarter of its rows is gone.

        Examples
        --------
        >>> import dn2, numpy
        >>> about = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4))).describe()
        >>> about["kind"], about["dimension"], about["calibration"]["n_reference"]
        ('vector', 4, 200)
        """
        return self.state.describe()
