"""Exponentially weighted variances: the kernel, its twin, an independent library and hand-worked numbers."""

from __future__ import annotations

import numpy as np
import pytest
from arch.univariate import EWMAVariance

from crossmargin.kernels.ewma import ewma_variances, ewma_variances_numpy

KERNELS = pytest.mark.parametrize("kernel", [ewma_variances, ewma_variances_numpy], ids=["numba", "numpy"])


@KERNELS
def test_by_hand(kernel):
    """0.01 and 0.03 start at (1 + 9) / 2 = 5; then 0.5 × 5 + 0.5 × 1 = 3, 0.5 × 3 + 0.5 × 9 = 6, 6 / 2 = 3."""
    returns = np.array([[0.01], [0.03], [0.0]])
    variances = kernel(returns, np.ones(returns.shape, np.bool_), 0.5, 2)
    assert variances[:, 0] * 1e4 == pytest.approx([5, 3, 6, 3], rel=1e-14)


@KERNELS
def test_a_day_without_a_return_changes_nothing(kernel):
    returns = np.array([[9.0], [0.01], [9.0], [0.03], [0.0], [9.0]])
    valid = returns < 1
    variances = kernel(returns, valid, 0.5, 2)[:, 0] * 1e4
    assert variances == pytest.approx([5, 5, 3, 3, 6, 3, 3], rel=1e-14)


@KERNELS
def test_nothing_known_is_no_variance(kernel):
    assert kernel(np.zeros((3, 2)), np.zeros((3, 2), np.bool_), 0.9, 5).tolist() == [[0.0, 0.0]] * 4
    assert kernel(np.zeros((0, 2)), np.zeros((0, 2), np.bool_), 0.9, 5).tolist() == [[0.0, 0.0]]
    assert kernel(np.zeros((3, 0)), np.zeros((3, 0), np.bool_), 0.9, 5).shape == (4, 0)


@pytest.mark.parametrize("warm_up_days", [1, 75, 10_000])
@pytest.mark.parametrize("decay", [0.5, 0.94, 0.999])
def test_the_kernel_is_its_twin(decay, warm_up_days):
    """Both add in the same order; the last bits may differ where the compiler fuses a product and a sum."""
    rng = np.random.default_rng(7)
    returns = rng.standard_normal((1500, 9)) * 10.0 ** rng.integers(-6, 3, 9)
    valid = rng.random(returns.shape) < 0.9
    valid[:, 3] = False
    variances = ewma_variances(returns, valid, decay, warm_up_days)
    reference = ewma_variances_numpy(returns, valid, decay, warm_up_days)
    np.testing.assert_allclose(variances, reference, rtol=1e-13, atol=0)
    strided = ewma_variances(np.asfortranarray(returns), valid[:, :], decay, warm_up_days)
    assert strided.tobytes() == variances.tobytes()


@pytest.mark.parametrize("decay", [0.9, 0.97])
def test_agrees_with_arch(decay):
    """The same recursion in the package arch, started from our starting value."""
    returns = np.random.default_rng(3).standard_t(4, 800) * 0.01
    ours = ewma_variances(returns[:, None], np.ones((800, 1), np.bool_), decay, 100)[:, 0]
    model = EWMAVariance(decay)
    bounds = np.tile([0.0, 1e6], (800, 1))
    theirs = model.compute_variance(np.empty(0), returns, np.empty(800), float(ours[0]), bounds)
    np.testing.assert_allclose(ours[:-1], theirs, rtol=1e-12)
