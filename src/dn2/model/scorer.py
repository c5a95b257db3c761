"""The part of a model that does not change it: scoring, evaluation and description."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dn2.errors import UnreadableItem
from dn2.inputs.label_columns import labelling
from dn2.inputs.leaving_out import leaving_out
from dn2.inputs.memory import rename
from dn2.kinds.exchange import Belonging
from dn2.model.belonging import belonging_of, warn_of_unlabelled
from dn2.model.described import Described
from dn2.model.exporting import export
from dn2.model.known import KnownScores
from dn2.model.part_rows import rows_of_parts
from dn2.model.scoring import check_apart, find_items, how_to_decide, score_found, shift_of
from dn2.model.words import shift_in_words
from dn2.results.decisions import decide
from dn2.results.evaluation import Evaluation
from dn2.results.results import Results
from dn2.results.rows import Row
from dn2.system.progress import Shown, shown

logger = logging.getLogger("dn2")


class Scorer(Described):
    """The methods of a model that score items: see `dn2.model.model.Model`."""

    def score(
        self,
        inputs: Any,
        *,
        names: Iterable[str] | None = None,
        part: str | Sequence[Any] | bool | None = None,
        per: str | Sequence[Any] | None = None,
        false_alarm_rate: float | None = None,
        warn_rate: float | None = None,
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
        part : True, str or list of n labels, default=None
            Decide each part as well, see `Results.parts`: by the rule of the model, where it is True, or by a rule or
            labels as for `dn2.fit`.  Reference items of the same part are no neighbours; by default the model's rule
            tells them, where it has one.
        per : str or list of n labels, default=None
            The product, line or camera of each item, for a model that was fitted with `per`: by default by the model's
            rule.
        false_alarm_rate : float in (0, 1), default=None
            Decide at this rate instead of the model's.
        warn_rate : float in (0, 1), default=None
            A laxer rate, to warn at: `decision` is then `reject`, `warn` or `accept`.
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
            If nothing is found, names do not fit, or rates do not go together.
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
        decided = how_to_decide(now, false_alarm_rate, warn_rate, fdr)
        rules = now.rules.resolve(part, per)
        with shown(progress, "scoring") as tell:
            with leaving_out(exclude), labelling(*rules):
                found_items = find_items(now.kind, inputs, tell)
            found_items = found_items if names is None else rename(found_items, names)
            belonging = belonging_of(*rules, found_items)
            warn_of_unlabelled(belonging, found_items)
            results = score_found(self, now, found_items, belonging, memory, tell)
        if (shift := shift_of(results)) is not None:
            logger.warning("%s", shift_in_words(shift, now.kind.many))
        if part is not None and part is not False:
            results = replace(results, parts=rows_of_parts(now, results.rows))
        return decided(results)

    def score_one(
        self,
        item: Any,
        *,
        part: str | None = None,
        per: str | None = None,
        false_alarm_rate: float | None = None,
        warn_rate: float | None = None,
    ) -> Row:
        """Score one item in about the time that its embedding takes, as a camera over a line needs it.

        The calling thread does all of it, any number of threads at once; nothing is cached, nor read or written but a
        picture that is named by its path.

        Parameters
        ----------
        item : object
            A picture: an array of uint8, a picture of Pillow, the bytes of a file, or its path; a row: a dict or a
            Series of pandas; a text; or a vector of shape (d,).
        part, per : str, default=None
            Labels of what the item belongs to, where the model's items do: its part, which is then none of its
            neighbours, and its product, line or camera.
        false_alarm_rate : float in (0, 1), default=None
            Decide at this rate instead of the model's.
        warn_rate : float in (0, 1), default=None
            A laxer rate, to warn at: see `score`.

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
        rate = now.rate(false_alarm_rate, warn_rate)
        now.rules.resolve(part, per)
        labels = (None if label is None else [str(label)] for label in (part, per))
        row = now.kind.score_one(now, item, Belonging(*labels))
        if row.error is not None:
            raise UnreadableItem(row.error)
        return decide(row, rate, warn_rate)

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
            rules = now.rules.resolve(None, None)
            with leaving_out(exclude), labelling(*rules):
                found_items = [find_items(now.kind, inputs, tell) for inputs in (normal, anomalous)]
            check_apart(*found_items)
            results = [
                score_found(self, now, items_of_truth, belonging_of(*rules, items_of_truth), None, tell)
                for items_of_truth in found_items
            ]
        n_reference = [result.reference_items for result in results]
        rows = [[row for row in result if row.p_value is not None] for result in results]
        figures = np.array([(row.anomaly_score, row.p_value) for rows_of_truth in rows for row in rows_of_truth], float)
        scores, p_values = figures.reshape(-1, 2).T
        parts = None if rules[0] is None else [row.part for rows_of_truth in rows for row in rows_of_truth]
        truth = np.repeat([False, True], [len(rows_of_truth) for rows_of_truth in rows])
        unreadable = [row for result in results for row in result.unreadable]
        return KnownScores(scores, p_values, truth, unreadable, n_reference[0], n_reference[1], parts)

    def evaluate(
        self,
        normal: Any,
        anomalous: Any,
        *,
        warn_rate: float | None = None,
        exclude: str | Sequence[str] = (),
        progress: Shown = None,
    ) -> tuple[Evaluation, list[Row]]:
        """Score items known to be normal and anomalous, and compare.

        Parameters
        ----------
        normal, anomalous : path, iterable of paths, or items from memory
            As in `score`.
        warn_rate : float in (0, 1), default=None
            A laxer rate, to warn at: what it decides is measured, too.
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
        self.state.rate(None, warn_rate)  # a bad one is refused before the work
        known = self.score_known(normal, anomalous, exclude=exclude, progress=progress)
        return known.evaluate(self.false_alarm_rate, warn_rate), known.unreadable

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | Iterable[str] | None = None,
        overwrite: bool = False,
    ) -> dict[str, Any]:
        """Write the whole decision as files that need no dn2: from pixels to the score, the map and the neighbours.

        Parameters
        ----------
        path : path
            The folder, which is made: `decision.onnx`, `decision.xml` with `decision.bin`, and `decision.json`, which
            says how to use them.
        format : str or iterable of str, default=None
            `onnx` or `openvino`; both by default.
        overwrite : bool, default=False
            Replace an export that is there.

        Returns
        -------
        about : dict
            What `decision.json` holds; `proof` says how the files compared with the model on some pictures.

        Raises
        ------
        InputError
            For a model that is not one of single pictures with an exact search, and a folder that holds other files.
        BackboneError
            If the files decide otherwise than the model; nothing is written then.
        MissingExtra
            For ONNX without the package onnx.

        Examples
        --------
        >>> import dn2, numpy, os, tempfile
        >>> frames = numpy.random.default_rng(0).integers(0, 255, (12, 32, 32, 3), numpy.uint8)
        >>> model = dn2.fit(frames, backbone="lite0@32")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     about = model.export(os.path.join(folder, "decision"), format="openvino")
        >>> sorted(about["files"])
        ['decision.bin', 'decision.xml']
        """
        return export(self.state, Path(path), format, overwrite)
