"""The part of a model that scores items."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dn2.errors import InputError, UnreadableItem
from dn2.inputs.label_columns import labelling
from dn2.inputs.leaving_out import leaving_out
from dn2.inputs.memory import rename
from dn2.kinds.exchange import Belonging
from dn2.model.audits import check_audit
from dn2.model.belonging import belonging_of, warn_of_unlabelled
from dn2.model.evaluating import Evaluated
from dn2.model.part_rows import rows_of_parts
from dn2.model.scoring import find_items, how_to_decide, score_found, shift_of
from dn2.model.words import shift_in_words
from dn2.results.decisions import decide
from dn2.results.results import Results
from dn2.results.rows import Row
from dn2.system.interface import option
from dn2.system.progress import Shown, shown
from dn2.system.workers import working

logger = logging.getLogger("dn2")


class Scorer(Evaluated):
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
        audit: int | None = None,
        exclude: str | Sequence[str] = (),
        maps: str | os.PathLike[str] | None = None,
        mask: Any = None,
        on: str | None = None,
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
        audit : int, default=None
            Draw one item in so many, or one part, at random, for a person to judge whatever its score, see `feedback`:
            `audit` of its row is true then.
        exclude : str or iterable of str, default=()
            Globs of files and folders in the folders given that are no items; see `dn2.fit`.
        maps : path, default=None
            A folder: of a model of patches, the anomaly map of each picture is written into it as the picture is
            scored, a PNG in 16 bits, and a JPEG of the picture with the map laid over it; `maps.json` says the scale.
        mask : path or list of n masks, default=None
            Of a model that was fitted with a mask for each picture: where these are looked at, by a folder of masks, or
            by a list of them, paths or pictures in memory.
        on : str, default=None
            The cluster whose workers score, see `dn2.fit`.
        progress : callable or False, default=None
            None shows a bar in a notebook and nothing in a script, False nothing; else called with (done, total).

        Returns
        -------
        results : Results
            A row an item, in their order; of an item that cannot be read, one with its error.

        Raises
        ------
        InputError
            If nothing is found, names do not fit, or rates do not go together; and for maps that cannot be written.
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
        check_audit(now, audit)
        if maps is not None and on is not None:
            raise InputError(f"workers of a cluster write no maps: leave out {option('maps')}, or {option('on')}")
        scoring = now if maps is None else replace(now, kind=now.kind.writing_maps(Path(maps)))
        rules = now.rules.resolve(part, per)
        with working(on), shown(progress, "scoring") as tell:
            with leaving_out(exclude), labelling(*rules):
                found_items = find_items(now.kind, inputs, tell)
            found_items = found_items if names is None else rename(found_items, names)
            found_items = now.kind.masked(found_items, mask)
            belonging = belonging_of(*rules, found_items)
            warn_of_unlabelled(belonging, found_items)
            results = score_found(self, scoring, found_items, belonging, memory, tell, audit)
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
        mask: Any = None,
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
        mask : path or picture in memory, default=None
            Where the picture is looked at, of a model that was fitted with a mask for each.

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
        row = now.kind.score_one(now, now.kind.masked_one(item, mask), Belonging(*labels))
        if row.error is not None:
            raise UnreadableItem(row.error)
        return decide(row, rate, warn_rate)
