"""URLs of object stores: what they name, what is refused, and what of them is shown."""

from __future__ import annotations

import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dn2.errors import Dn2Error, InputError, MissingExtra
from dn2.system.naming import absolute, without_options
from dn2.system.stores import Store, StoredPath, name_stored, parse_url

SECRETS = "wJalrXUtnFEMI"

# Keys as people make them, without the empty parts that no path has.
KEYS = st.lists(st.text(st.characters(exclude_categories=("C",), exclude_characters="/"), min_size=1), min_size=1)


def test_a_url_names_a_bucket_a_key_and_how_the_store_is_reached():
    found = parse_url("s3://parts/line 1/good/?region=eu-west-1&endpoint_override=localhost:9000&scheme=http")
    options = (("endpoint_override", "localhost:9000"), ("region", "eu-west-1"), ("scheme", "http"))
    assert found == StoredPath(Store("s3", "parts", options), "line 1/good")
    assert str(found) == "s3://parts/line 1/good"
    assert parse_url("gcs://parts") == parse_url("gs://parts/") == StoredPath(Store("gs", "parts"), "")
    assert parse_url("gs://anonymous@parts/a").store.options == (("anonymous", "anonymous"),)


@given(KEYS)
def test_a_path_in_a_store_is_named_again_by_its_url_and_by_its_pickle(parts):
    path = StoredPath(Store("s3", "parts"), "/".join(parts))
    assert parse_url(str(path)) == path
    assert pickle.loads(pickle.dumps(path)) == path  # noqa: S301
    assert absolute(str(path)) == str(path)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"s3://AKIA:{SECRETS}@parts/good", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (f"s3://{SECRETS}@parts/good", "must have no keys"),
        (f"s3://AKIA:{SECRETS}/+{SECRETS}@parts/good", "'s3://parts/good' must be s3://BUCKET/PATH"),
        (f"s3://parts/good?access_key={SECRETS}", "has the option 'access_key', and a URL of s3 has endpoint_override"),
        (f"gs://parts/good?region={SECRETS}", "a URL of gs has endpoint_override, scheme"),
        (f"s3://parts/good?{SECRETS}", "is no URL of an object store"),
        (f"s3://parts/good#{SECRETS}", "# is written %23"),
        ("s3:///good", "must be s3://BUCKET/PATH"),
        ("s3://[parts/good", "is no URL"),
        ("s3://parts/*.png", "write * as %2A"),
        ("s3://parts/g[o]d", "globs match no objects"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_secrets(url, words):
    with pytest.raises(InputError) as refused:
        parse_url(url)
    assert words in str(refused.value)
    assert SECRETS not in str(refused.value)


def test_what_is_shown_of_a_url_has_neither_keys_nor_options():
    assert without_options(f"s3://AKIA:{SECRETS}/+@parts/a.png?x={SECRETS}#y") == "s3://parts/a.png"
    assert without_options("s3://parts/a@b.png") == "s3://parts/a@b.png"
    assert str(Dn2Error(f"no 's3://{SECRETS}@parts' nor s3:/AKIA:{SECRETS}@parts")) == "no 's3://parts' nor s3:/parts"


def test_only_texts_become_paths_in_a_store():
    assert name_stored("good/s3://a") == "good/s3://a"
    assert name_stored(b"s3://a") == b"s3://a"
    assert name_stored("https://parts/a") == "https://parts/a"


def test_without_pyarrow_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
    with pytest.raises(MissingExtra, match=r"pip install 'dn2\[stores\]'"):
        _ = parse_url("s3://parts/good").objects
