"""A model: an embedder, a detector, and the items that the detector calls normal."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from dn2.errors import InputError
from dn2.extras import import_above
from dn2.kinds.exchange import ReferenceItem
from dn2.kinds.kind import Kind
from dn2.model.belonging import Rules, label, membership_of
from dn2.model.joining import Joining
from dn2.model.listener import Listener
from dn2.model.named import check_names
from dn2.model.parts import propose
from dn2.model.removing import without
from dn2.model.state import Origin, State
from dn2.model.told import NOTHING_TOLD, Told
from dn2.model.words import brief_of
from dn2.model.writing import write
from dn2.neighbors.detector import Detector
from dn2.neighbors.suspicion import Suspicion
from dn2.results.rows import Row
from dn2.results.suspects import Suspect
from dn2.results.words import count_in_words
from dn2.system.interface import command
from dn2.system.naming import identity
from dn2.system.processes import PerProcess
from dn2.system.progress import Shown, shown

NO_RULES = Rules()


class Model(Listener):
    """What normal looks like; made by `dn2.fit` or `dn2.load`.

    Attributes
    ----------
    kind : Kind
        How items become vectors and evidence.
    detector : Detector
        What scores them.
    items : list of ReferenceItem
        The reference set, in the detector's order.
    unreadable : list of Row
        Rows with the error of each item that the last fit or add could not read.
    origin : Origin or None
        The saved model that this one was loaded from or saved as.

    Notes
    -----
    All of these are of one `state`, which changes replace as a whole: threads that score meanwhile see the model as it
    was before or as it is after.  Changes, of which saving is one, wait for each other.

    Examples
    --------
    >>> import dn2, numpy
    >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
    >>> len(model.items), model.false_alarm_rate
    (200, 0.01)
    """

    def __init__(
        self,
        kind: Kind[Any],
        detector: Detector,
        items: Sequence[ReferenceItem],
        *,
        unreadable: Sequence[Row] = (),
        origin: Origin | None = None,
        rules: Rules = NO_RULES,
        known: Suspicion | None = None,
        told: Told = NOTHING_TOLD,
    ) -> None:
        self.state = State(kind, detector, list(items), list(unreadable), origin, rules, known, told)
        self._changing = PerProcess(threading.RLock)

    def __repr__(self) -> str:
        now = self.state
        return f"<{brief_of(now.kind, len(now.items) - len(now.set_aside), now.false_alarm_rate)}>"

    def _repr_html_(self) -> str:
        html: str = import_above("dn2.report.notebook").model_html(self.state)
        return html

    def add(
        self,
        inputs: Any,
        *,
        names: Iterable[str] | None = None,
        part: str | Sequence[Any] | None = None,
        per: str | Sequence[Any] | None = None,
        exclude: str | Sequence[str] = (),
        mask: Any = None,
        progress: Shown = None,
    ) -> Self:
        """Add items to the reference set.

        Parameters
        ----------
        inputs : path, iterable of paths, or items from memory
            As in `score`.
        names : iterable of n str, default=None
            What items from memory are called; by default their position or their key.
        part, per : str or list of n labels, default=None
            What the items belong to, where those of the model do: a rule or labels as for `dn2.fit`; by default by the
            model's rule.
        exclude : str or iterable of str, default=()
            Globs of files and folders in the folders given that are no items; see `dn2.fit`.
        mask : path or list of n masks, default=None
            Where the items are looked at, see `score`.
        progress : callable or False, default=None
            Called with (done, total); None shows a bar in a notebook and nothing in a script, False nothing.

        Returns
        -------
        self : Model

        Raises
        ------
        InputError
            For a name that the model has already, or if nothing is readable; nothing is changed then.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> len(model.add([[1, 1, 1, 1]], names=["one more"]).items)
        201
        """
        with self._changing.get(), shown(progress, "adding") as tell:
            now = self.state
            found_items, belonging = Joining(inputs, names, part, per, exclude, mask).find(now, tell)
            new = now.kind.reference(found_items, tell)
            new_items = label(new.items, belonging, found_items)
            vectors, membership = now.kind.recalled(now.detector, new), membership_of(new_items, now.rules)
            detector = now.detector.add(vectors, membership=membership, places=new.places)
            items = now.items + new_items
            kind = new.kind.completed(detector, items, new, None, tell)
            words = (*now.changes, count_in_words(len(new_items), "item added", "items added"))
            self.state = replace(
                now, kind=kind, detector=detector, items=items, unreadable=new.unreadable, known=None, changes=words
            )
        return self

    def remove(self, names: str | Iterable[str] = (), *, part: str | Iterable[str] = (), forget: bool = False) -> Self:
        """Take items away by name; the model is then as if it never had them.

        Parameters
        ----------
        names : str or iterable of str, default=()
            Of reference items.
        part : str or iterable of str, default=()
            Parts, all items of which are taken away.
        forget : bool, default=False
            Let nothing of them remain: what the cache has of them goes at once, and with the next `save` so do all
            earlier versions of the model.  Items of verdicts can be forgotten, too.

        Returns
        -------
        self : Model

        Raises
        ------
        InputError
            For a name that the model does not have; nothing is changed then.
        ReferenceTooSmall
            If too few items would remain.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> len(model.remove(["row 7", "row 9"]).items)
        198
        """
        with self._changing.get():
            self.state = without(self.state, names, part, forget)
        return self

    def suspects(self) -> list[Suspect]:
        """List the items of a contaminated reference set that look anomalous, for a person to judge.

        Returns
        -------
        suspects : list of Suspect
            Those set aside, and those that are not, for they may be a kind of normal items; the most anomalous first.
            Each has an item, is_aside, anomaly_score and neighbors, the nearest items that are no suspects.

        Examples
        --------
        >>> import dn2, numpy
        >>> rows = numpy.random.default_rng(0).normal(size=(200, 4))
        >>> rows[:2] = [[20, 0, 0, 0], [0, -25, 0, 0]]
        >>> model = dn2.fit(rows, contaminated=True)
        >>> [(suspect.item, suspect.is_aside) for suspect in model.suspects()]
        [('row 2', True), ('row 1', True)]
        """
        return self.state.suspects()

    def readmit(self, names: str | Iterable[str]) -> Self:
        """Take items that were set aside back into the reference set, by name.

        Parameters
        ----------
        names : str or iterable of str
            Of items that are set aside, see `set_aside`.

        Returns
        -------
        self : Model

        Raises
        ------
        InputError
            For an item that is not set aside; nothing is changed then.

        Examples
        --------
        >>> import dn2, numpy
        >>> rows = numpy.random.default_rng(0).normal(size=(200, 4))
        >>> rows[:5] += 20
        >>> model = dn2.fit(rows, contaminated=True, drop=0.025)
        >>> "row 1" in model.set_aside, "row 1" in model.readmit("row 1").set_aside
        (True, False)
        """
        with self._changing.get():
            now = self.state
            identities = check_names(now, names)
            if strangers := identities - set(map(identity, now.set_aside)):
                listed = command("dn2 inspect MODEL --aside", "Model.set_aside")
                raise InputError(f"{min(strangers)!r} is not set aside; {listed} lists what is")
            places = [place for place, item in enumerate(now.items) if identity(item.name) in identities]
            detector = now.detector.readmit(places)
            kind = now.kind.completed(detector, now.items)
            words = (*now.changes, count_in_words(len(places), "item taken back", "items taken back"))
            self.state = replace(now, kind=kind, detector=detector, known=None, changes=words)
        return self

    def propose_parts(self) -> list[tuple[str, str]]:
        """Propose what reference items belong together, such as photos of one part, for you to check.

        Names tell the parts where nearest neighbours share what a field or a folder of a name says, else distances do.

        Returns
        -------
        pairs : list of (str, str)
            An item, and its part.

        Examples
        --------
        >>> import dn2, numpy
        >>> rng = numpy.random.default_rng(0)
        >>> photos = rng.normal(size=(40, 8)).repeat(3, axis=0) + rng.normal(size=(120, 8)) / 50
        >>> model = dn2.fit(photos, names=[f"tile{i // 3}_{i % 3}" for i in range(120)])
        >>> model.propose_parts()[2:4]
        [('tile0_2', 'tile0'), ('tile1_0', 'tile1')]
        """
        return list(zip((item.name for item in self.items), propose(self.state).parts, strict=True))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Save the model as a folder.  The model that it was loaded from or saved as before is replaced in one step.

        Parameters
        ----------
        path : path
            The folder, which is made.
        overwrite : bool, default=False
            Replace any other model that is there, too.

        Raises
        ------
        InputError
            For a folder that holds another model, or other files.
        ModelError
            If the saved model was changed since this one was loaded.

        Examples
        --------
        >>> import dn2, numpy, os, tempfile
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(os.path.join(folder, "normal.dn2"))
        ...     len(dn2.load(os.path.join(folder, "normal.dn2")).items)
        200
        """
        with self._changing.get():
            origin = write(self.state, Path(path), overwrite)
            known = self.state.suspicion
            self.state = replace(self.state, origin=origin, known=known, changes=(), forgets=False)
            self.state.mark_saved()
