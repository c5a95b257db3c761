"""The pages on which people look after models: which are in service, what changed, drift, and who said what."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from urllib.parse import quote

from dn2.errors import Dn2Error
from dn2.report.page import SERVED, definitions, page_text, read_part
from dn2.results.words import count_in_words, rate_in_words
from dn2.serve.served import ServedModel
from dn2.serve.service import Service
from dn2.store.versions import Version, versions_of

MOST_LISTED = 100  # verdicts, changes, items since a change


def part(name: str) -> str:
    """Read a file of this package."""
    return (files("dn2.serve") / name).read_text(encoding="utf-8")


def _small_page(title: str, body: str, person: str | None) -> str:
    who = (
        ""
        if person is None
        else f'<form method="post" action="/logout"><button>Sign out {html.escape(person)}</button></form>'
    )
    top = f'<header><p class="brand">dn2 · deep nearest neighbours</p><h1>{html.escape(title)}</h1>{who}</header>'
    said = '<p id="served-said" class="served-said" role="status"></p>'
    return page_text(
        title, f'{top}<main id="content" class="served" tabindex="-1">{said}{body}</main>', style=part("served.css"),
        scripts=[read_part("elements.js"), part("served.js")], calls=SERVED,
    )  # fmt: skip


def login_page(is_wrong: bool) -> str:
    """Return the page on which a person signs in."""
    wrong = '<p class="notice" role="alert">Nobody has this token.</p>' if is_wrong else ""
    field = (
        '<label>Token <input name="token" type="password" autocomplete="current-password" required autofocus></label>'
    )
    return _small_page(
        "Sign in", f'{wrong}<form method="post" action="/login">{field}<button>Sign in</button></form>', None
    )


def overview_page(service: Service, person: str) -> str:
    """Return the page that lists the models in service."""
    rows = []
    for served in service.models.by_name.values():
        about, (waiting, judged) = served.about(), service.store.counts(served.name)
        address = quote(served.name, safe="")
        rows.append(
            [
                f'<a href="/review/{address}/model">{html.escape(served.name)}</a>',
                f"{about['reference_items']:,} {html.escape(served.state.kind.many)}",
                html.escape(rate_in_words(served.rate)),
                f'<a href="/review/{address}">{waiting:,} to judge</a>, {judged:,} judged',
                html.escape(drift_in_words(served)),
            ]
        )
    heads = ("model", "reference set", "false alarms", "items", "drift")
    return _small_page("Models in service", _table("models", heads, rows), _signed(service, person))


def model_page(service: Service, served: ServedModel, person: str) -> str:
    """Return the page of a model: its versions, what changed and what came of it, drift, and who said what."""
    store, address = service.store, quote(served.name, safe="")
    waiting, judged = store.counts(served.name)
    problem = f'<p class="notice" role="alert">{html.escape(served.problem)}</p>' if served.problem else ""
    facts = definitions(
        [
            ("version", served.version),
            ("false-alarm rate", rate_in_words(served.rate)),
            ("to judge", f"{waiting:,}"),
            ("judged, not taken in", f"{judged:,}"),
        ]
    )
    ask = "Take the last change of the model back?"
    off = "" if judged else " disabled"
    actions = (
        f'<p><a href="/review">All models</a> · <a href="/review/{address}">Judge items</a></p>'
        f'<p><button data-post="/v1/models/{address}/feedback"{off}>Take '
        f"{count_in_words(judged, 'verdict', 'verdicts')} into the model</button> "
        f'<button data-post="/v1/models/{address}/undo" data-ask="{ask}">Roll back</button></p>'
    )
    versions = [
        [html.escape(_when(one.at)), f"{one.items:,}", html.escape(one.change or "fitted, or copied")]
        for one in reversed(_versions(served))
    ]
    changes = [
        [html.escape(_when(one.at)), html.escape(one.person), html.escape("; ".join(one.words))]
        for one in store.changes(served.name, MOST_LISTED)
    ]
    said = [
        [html.escape(_when(one.at)), html.escape(one.person), html.escape(one.verdict or "taken back"),
         html.escape(one.kind), f'<a href="/review/{address}?open={one.item}">{one.item}</a>']
        for one in store.said(served.name, MOST_LISTED)
    ]  # fmt: skip
    body = (
        f"{problem}{facts}{actions}"
        f"{_section('Versions', _table('versions', ('when (UTC)', 'items', 'what'), versions))}"
        f"{_section('What people changed', _table('changes', ('when (UTC)', 'who', 'what came of it'), changes))}"
        f"{_section('Drift', _drift(served))}"
        f"{_section('Verdicts', _table('verdicts', ('when (UTC)', 'who', 'verdict', 'kind', 'item'), said))}"
    )
    return _small_page(served.name, body, _signed(service, person))


def _versions(served: ServedModel) -> list[Version]:
    """Return the versions in the folder of a model; none while it cannot be read, which `problem` says."""
    try:
        return versions_of(served.folder)
    except Dn2Error:
        return []


def drift_in_words(served: ServedModel) -> str:
    """Say whether the stream of a model has changed."""
    monitor = served.monitor
    if monitor is None:
        return "not watched"
    return f"no change in {monitor.n_seen:,} items" if monitor.alarm is None else str(monitor.alarm)


def _drift(served: ServedModel) -> str:
    words = f"<p>{html.escape(drift_in_words(served))}</p>"
    alarm = None if served.monitor is None else served.monitor.alarm
    if alarm is None:
        return words
    since = [one for one in served.recent if one.number >= alarm.since.number][:MOST_LISTED]
    rows = [
        [f"{one.number:,}", html.escape(one.item), "" if one.p_value is None else f"{one.p_value:.3g}",
         "flagged" if one.is_anomaly else ""]
        for one in since
    ]  # fmt: skip
    way = (
        "<p>Look at the items since then. If they are normal, let fresh normal items calibrate: "
        "<code>dn2 recalibrate MODEL NORMALS</code>.</p>"
    )
    return words + way + _table("items since the change", ("number", "item", "p-value", ""), rows)


def _signed(service: Service, person: str) -> str | None:
    return person if service.people.are_known else None


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _table(label: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table of cells that are HTML."""
    if not rows:
        return '<p class="quiet">None.</p>'
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _when(at: str) -> str:
    return at[:19].replace("T", " ")
