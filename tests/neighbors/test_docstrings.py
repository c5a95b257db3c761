"""The docstrings of what users call: numpydoc, with examples that run."""

import doctest
import inspect
import re

import pytest

import dn2

PUBLIC = {
    "KNNDetector": (dn2.KNNDetector, ("fit", "add", "remove", "readmit", "kneighbors", "anomaly_score", "p_value")),
    "more of KNNDetector": (dn2.KNNDetector, ("contributions", "score_samples", "decision_function", "predict")),
    "Calibration": (dn2.Calibration, ("p_value", "rate", "threshold", "reachable", "as_dict")),
}
DOCUMENTED = [(owner, name) for owner, names in PUBLIC.values() for name in names]


def sections(text):
    """Return the names of numpydoc's sections."""
    return re.findall(r"^(\w+)\n-+$", inspect.cleandoc(text), re.MULTILINE)


def parameters(text):
    """Return the entries of numpydoc's Parameters, by name, with what follows the colon."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+$|\Z)", inspect.cleandoc(text), re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^(\w+) : (.+)$", section[1], re.MULTILINE)) if section else {}


@pytest.mark.parametrize("owner", [dn2.KNNDetector, dn2.Calibration])
def test_the_parameters_of_a_class_are_documented_with_type_and_default(owner):
    signature = inspect.signature(owner).parameters
    documented = parameters(owner.__doc__)
    assert list(documented) == list(signature)
    for name, parameter in signature.items():
        if parameter.default is not inspect.Parameter.empty:
            assert f"default={parameter.default!r}" in documented[name]
    assert {"Parameters", "References", "Examples"} <= set(sections(owner.__doc__))


@pytest.mark.parametrize(("owner", "name"), DOCUMENTED)
def test_the_parameters_and_results_of_a_method_are_documented(owner, name):
    method = getattr(owner, name)
    expected = [one for one in inspect.signature(method).parameters if one != "self"]
    assert list(parameters(method.__doc__)) == expected
    assert "Returns" in sections(method.__doc__)
    assert owner is dn2.Calibration or "Examples" in sections(method.__doc__)


def test_every_method_of_the_estimator_is_in_the_list():
    own = {name for cls in dn2.KNNDetector.__mro__ if cls.__module__.startswith("dn2.") for name in vars(cls)}
    methods = {name for name in own if name[0] != "_" and callable(getattr(dn2.KNNDetector, name))}
    methods -= {"set_fit_request", "set_predict_request"}  # scikit-learn's own, for keywords
    assert methods == {name for owner, name in DOCUMENTED if owner is dn2.KNNDetector}


@pytest.mark.parametrize("owner", [dn2.KNNDetector, dn2.Calibration])
def test_the_examples_run(owner):
    names = [name for other, name in DOCUMENTED if other is owner]
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(verbose=False)
    tests = [test for one in (owner, *(getattr(owner, name) for name in names)) for test in finder.find(one, globs={})]
    assert sum(len(test.examples) for test in tests) >= (3 if owner is dn2.Calibration else 20)
    for test in tests:
        assert runner.run(test).failed == 0, test.name
