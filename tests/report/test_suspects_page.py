"""The page of suspects: static, whole, and harmless whatever items are called."""

from dataclasses import replace
from pathlib import Path

import numpy as np

import dn2
from dn2.report import suspects_page
from dn2.report.suspects_page import write_suspects_page


def test_names_are_shown_as_text_and_the_less_anomalous_are_counted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(suspects_page, "MOST_SUSPECTS", 2)
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows[:6] += [[9, 0, 0], [0, 9, 0], [0, 0, 9], [-9, 0, 0], [0, -9, 0], [0, 0, -9]]
    model = dn2.fit(rows, contaminated=True, drop=0.1)
    hostile = [item._replace(name=f"<script>{item.name}&\ud800") for item in model.items]
    state = replace(model.state, items=hostile)
    write_suspects_page(tmp_path / "aside.html", state, "'my model'; rm")
    page = (tmp_path / "aside.html").read_text(encoding="utf-8")
    shown = [suspect.item for suspect in state.suspects()[:2]]
    assert all(f'<div class="name">&lt;script&gt;{name[8:-2]}&amp;\\ud800</div>' in page for name in shown)
    assert page.count("<script>") == 1  # the page's own
    assert page.count('class="card anomalous"') == 2
    assert f"And {len(state.suspects()) - 2} less anomalous" in page
    assert "dn2 readmit &#x27;my model&#x27;; rm ITEM" in page
