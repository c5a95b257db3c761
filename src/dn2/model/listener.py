"""What a model learns from people after it was made, and the versions that this leaves."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any, Self

from dn2.errors import InputError
from dn2.extras import import_above
from dn2.inputs.verdicts import verdicts_of
from dn2.model.feedback import hear
from dn2.model.heard import Feedback, feedback_of
from dn2.model.joining import Joining
from dn2.model.recalibrating import recalibrated
from dn2.model.scorer import Scorer
from dn2.store.versions import Version, undo, versions_of
from dn2.system.processes import PerProcess
from dn2.system.progress import Shown, shown


class Listener(Scorer):
    """The methods of a model that take verdicts and know its versions: see `dn2.model.model.Model`."""

    _changing: PerProcess[threading.RLock]

    def feedback(
        self, verdicts: Any, inputs: Any = None, *, names: Iterable[str] | None = None, progress: Shown = None
    ) -> Feedback:
        """Take back what people said of scored items.

        Items told to be normal become neighbours that never calibrate, for they were chosen by their scores; where they
        were drawn to be audited they calibrate.  With the first of them the items that calibrate are no neighbours any
        more.  Defects become a test, and never neighbours.

        Parameters
        ----------
        verdicts : path, dict or list of Verdict
            A file with the columns item and verdict, and perhaps path, audit, kind, part and per, as the page of
            results writes it; or verdicts by item: `normal`, `defect` or `unsure`.
        inputs : path, iterable of paths, or items from memory, default=None
            What the items were scored from; by default their files, as the verdicts say.
        names : iterable of str, default=None
            What items from memory are called, as in `score`.
        progress : callable or False, default=None
            Called with (done, total); None shows a bar in a notebook and nothing in a script, False nothing.

        Returns
        -------
        feedback : Feedback
            What came of them: how many defects are caught, which are missed, and what audits measure.

        Raises
        ------
        InputError
            For verdicts that contradict each other or earlier ones, for items none of which is found, and for series.
        ReferenceTooSmall
            Where the false-alarm rate takes more calibrating items than there are; nothing is changed then.

        Examples
        --------
        >>> import dn2, numpy
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(300, 4)))
        >>> model.feedback({"new kind": "normal"}, [[9, 0, 0, 0]], names=["new kind"]).neighbors
        ['new kind']
        >>> model.score_one([9, 0, 0, 0.1]).is_anomaly
        False
        """
        with self._changing.get(), shown(progress, "listening") as tell:
            before = self.state
            heard = hear(before, verdicts_of(verdicts), inputs, None if names is None else list(names), tell)
            feedback = feedback_of(before, heard)
            self.state = heard.state
        return feedback

    def recalibrate(
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
        """Let fresh normal items calibrate, once the camera, the light or the supplier is another.

        Half of them, or as many as reach the rate best, calibrate and are no neighbours; the others are neighbours, as
        all earlier items still are, none of which calibrates any more.

        Parameters
        ----------
        inputs : path, iterable of paths, or items from memory
            Normal items of now, drawn as new ones come and not by their scores.
        names, part, per, exclude, mask
            As in `add`.
        progress : callable or False, default=None
            Called with (done, total); None shows a bar in a notebook and nothing in a script, False nothing.

        Returns
        -------
        self : Model

        Raises
        ------
        InputError
            For a name that the model has already, if nothing is readable, and for series; nothing is changed then.
        ReferenceTooSmall
            Where the false-alarm rate takes more new items; nothing is changed then.

        Examples
        --------
        >>> import dn2, numpy
        >>> rng = numpy.random.default_rng(0)
        >>> model = dn2.fit(rng.normal(size=(800, 4)), false_alarm_rate=0.05)
        >>> darker = rng.normal(size=(1800, 4)) - 2
        >>> len(model.score(darker[800:]).anomalies)
        865
        >>> len(model.recalibrate(darker[:800], names=map(str, range(800))).score(darker[800:]).anomalies)
        65
        """
        with self._changing.get(), shown(progress, "calibrating") as tell:
            self.state = recalibrated(self.state, Joining(inputs, names, part, per, exclude, mask), tell)
        return self

    def history(self) -> list[Version]:
        """List the versions of the saved model, the oldest first; the last is the model as it is saved.

        Returns
        -------
        versions : list of Version
            Of each what was done, when, and how many items there were then; the first was fitted.  None of a model that
            was never saved.

        Raises
        ------
        ModelError
            If the saved model is missing or damaged.

        Examples
        --------
        >>> import dn2, numpy, os, tempfile
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(os.path.join(folder, "normal.dn2"))
        ...     model.remove("row 7").save(os.path.join(folder, "normal.dn2"))
        ...     [(version.change, version.items) for version in model.history()]
        [('', 200), ('1 item removed', 199)]
        """
        origin = self.state.origin
        return [] if origin is None else versions_of(origin.folder)

    def undo(self) -> Version:
        """Take the last saved change back: the model in its folder, and this one, are as they were before, to the bit.

        Returns
        -------
        version : Version
            What the model is now.

        Raises
        ------
        InputError
            For a model that was never saved, and one without earlier versions.
        ModelError
            If the saved model is missing or damaged.

        Examples
        --------
        >>> import dn2, numpy, os, tempfile
        >>> model = dn2.fit(numpy.random.default_rng(0).normal(size=(200, 4)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(os.path.join(folder, "normal.dn2"))
        ...     model.remove("row 7").save(os.path.join(folder, "normal.dn2"))
        ...     model.undo().items, len(model.items)
        (200, 200)
        """
        with self._changing.get():
            origin = self.state.origin
            if origin is None:
                raise InputError("a model that was never saved has no earlier version: save it before it is changed")
            version = undo(origin.folder)
            cache = getattr(self.kind.embedder, "opened_cache", None)
            self.state = import_above("dn2.model.loading").read(origin.folder, cache, origin.backbone).state
        return version
