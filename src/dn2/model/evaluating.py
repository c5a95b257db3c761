"""The part of a model that measures it on items whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dn2.inputs.label_columns import labelling
from dn2.inputs.leaving_out import leaving_out
from dn2.model.belonging import belonging_of
from dn2.model.known import KnownScores, Truth, segment
from dn2.model.mapped import Mapped
from dn2.model.scoring import score_found
from dn2.results.evaluation import Evaluation
from dn2.results.rows import Row
from dn2.system.progress import Shown, shown


class Evaluated(Mapped):
    """The methods of a model that measure it: see `dn2.model.model.Model`."""

    def score_known(
        self,
        normal: Any = None,
        anomalous: Any = None,
        *,
        data: Any = None,
        category: str | None = None,
        images: Any = None,
        masks: Any = None,
        mask: Any = None,
        exclude: str | Sequence[str] = (),
        progress: Shown = None,
    ) -> KnownScores:
        """Score items known to be normal and anomalous.

        Parameters
        ----------
        normal, anomalous : path, iterable of paths, or items from memory
            As in `score`.
        data : path, default=None
            A labelled data set of pictures in place of both, laid out as MVTec AD, MVTec AD 2, BTech, VisA, KolektorSDD
            or KolektorSDD2, as folders of normal and anomalous pictures, or a manifest of Lookout for Vision: the
            pictures of its test, or all where it has no split.
        category : str, default=None
            Which category of such a data set.
        images : path, default=None
            The folder with the pictures of a manifest; by default its own.
        masks : path, default=None
            A folder of masks, which show where the defects are, for a model with `patches`: each at its picture's path
            or as much of the end of that as there is.
        mask : path, default=None
            A folder of masks that say where the items are looked at, see `score`.
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
        now, truth = self.state, Truth(normal, anomalous, data, category, images, masks)
        with shown(progress, "scoring") as tell:
            rules = now.rules.resolve(None, None)
            with leaving_out(exclude), labelling(*rules):
                items_known = truth.find(now.kind, tell)
            masked = [now.kind.masked(items, mask) for items in (items_known.normal, items_known.anomalous)]
            results = [
                score_found(self, now, items_of_truth, belonging_of(*rules, items_of_truth), None, tell)
                for items_of_truth in masked
            ]
        rows = [[row for row in result if row.p_value is not None] for result in results]
        figures = np.array([(row.anomaly_score, row.p_value) for rows_of_truth in rows for row in rows_of_truth], float)
        scores, p_values = figures.reshape(-1, 2).T
        parts = None if rules[0] is None else [row.part for rows_of_truth in rows for row in rows_of_truth]
        is_anomalous = np.repeat([False, True], [len(rows_of_truth) for rows_of_truth in rows])
        unreadable = [Row(name, error=error) for name, error in items_known.errors.items()]
        unreadable += [row for result in results for row in result.unreadable]
        figures_of_maps, has_regions, problems = segment(now.kind, items_known, results, now.false_alarm_rate)
        normal_reference, anomalous_reference = (result.reference_items for result in results)
        return KnownScores(
            scores,
            p_values,
            is_anomalous,
            unreadable + problems,
            normal_reference,
            anomalous_reference,
            parts,
            has_regions,
            figures_of_maps,
        )

    def evaluate(
        self,
        normal: Any = None,
        anomalous: Any = None,
        *,
        data: Any = None,
        category: str | None = None,
        images: Any = None,
        masks: Any = None,
        mask: Any = None,
        warn_rate: float | None = None,
        exclude: str | Sequence[str] = (),
        progress: Shown = None,
    ) -> tuple[Evaluation, list[Row]]:
        """Score items known to be normal and anomalous, and compare.

        Parameters
        ----------
        normal, anomalous, data, category, images, masks, mask, exclude, progress
            As in `score_known`.
        warn_rate : float in (0, 1), default=None
            A laxer rate, to warn at: what it decides is measured, too.

        Returns
        -------
        figures : Evaluation
            ROC AUC, average precision, and what was decided, at the model's rate; with masks, how well the regions of
            a model with `patches` show where the defects are.
        unreadable : list of Row
            The items that could not be read and are left out, and those whose mask could not be used, which count for
            no figure of pixels.

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
        known = self.score_known(
            normal,
            anomalous,
            data=data,
            category=category,
            images=images,
            masks=masks,
            mask=mask,
            exclude=exclude,
            progress=progress,
        )
        return known.evaluate(self.false_alarm_rate, warn_rate), known.unreadable
