import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import naive
from dn2.errors import InputError
from dn2.results.evaluation import evaluate

SCORES = np.array([1.0, 4, 3, 2, 5, 6])
P_VALUES = np.array([0.9, 0.02, 0.3, 0.5, 0.01, 0.04])
TRUTH = np.array([False, False, False, True, True, True])


def test_figures_by_hand():
    """By score, falling: anomalous 6, 5, normal 4, 3, anomalous 2, normal 1."""
    found = evaluate(SCORES, P_VALUES, TRUTH, 0.02)
    assert (found.n_normal, found.n_anomalous) == (3, 3)
    assert found.roc_auc == pytest.approx(7 / 9)  # pairs in the right order: 3 + 3 + 1
    assert found.average_precision == pytest.approx((1 / 1 + 2 / 2 + 3 / 5) / 3)
    assert found.fpr_at_95_tpr == pytest.approx(2 / 3)  # all three are found at 2, and two normals with them
    assert found.false_alarm_rate == 0.02
    assert found.false_alarms == pytest.approx(1 / 3)  # a p-value equal to the rate is an alarm
    assert found.detected == pytest.approx(1 / 3)
    assert (found.warn_rate, found.false_alarms_or_warnings, found.detected_or_warned) == (None, None, None)
    warned = evaluate(SCORES, P_VALUES, TRUTH, 0.01, 0.04)
    assert (warned.false_alarms, warned.detected) == pytest.approx((0, 1 / 3))
    assert (warned.false_alarms_or_warnings, warned.detected_or_warned) == pytest.approx((1 / 3, 2 / 3))


def test_a_perfect_separation():
    found = evaluate(np.array([1.0, 2, 3, 4]), np.array([0.5, 0.4, 0.01, 0.01]), np.array([0, 0, 1, 1]), 0.05)
    assert (found.roc_auc, found.average_precision, found.fpr_at_95_tpr) == (1, 1, 0)
    assert (found.false_alarms, found.detected) == (0, 1)


def test_scores_all_equal_tell_nothing():
    found = evaluate(np.ones(4), np.ones(4), np.array([0, 1, 0, 0]), 0.05)
    assert (found.roc_auc, found.average_precision, found.fpr_at_95_tpr) == (0.5, 0.25, 1)


def test_95_percent_of_20_anomalies_are_19():
    truth = np.arange(40) % 2 == 1
    scores = np.where(truth, 10.0, 5.0)
    scores[1] = 0  # the one anomaly that may be missed
    assert evaluate(scores, np.ones(40), truth, 0.5).fpr_at_95_tpr == 0
    scores[3] = 1  # one too many: to find one of the two, every normal is flagged
    assert evaluate(scores, np.ones(40), truth, 0.5).fpr_at_95_tpr == 1


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=40))
def test_roc_figures_equal_naive(items):
    scores, truth = [float(score) for score, _ in items], [is_anomalous for _, is_anomalous in items]
    assume(any(truth) and not all(truth))
    found = evaluate(np.array(scores), np.ones(len(items)), np.array(truth), 0.5)
    assert found.roc_auc == pytest.approx(naive.roc_auc(scores, truth))
    assert found.fpr_at_95_tpr == pytest.approx(naive.fpr_at_tpr(scores, truth, 0.95))


@pytest.mark.parametrize(("truth", "got"), [([0, 0], "2 and 0"), ([1, 1, 1], "0 and 3"), ([], "0 and 0")])
def test_a_class_without_items_is_refused(truth, got):
    with pytest.raises(InputError, match=f"needs normal and anomalous items, got {got}"):
        evaluate(np.ones(len(truth)), np.ones(len(truth)), np.array(truth), 0.1)
