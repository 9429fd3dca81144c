"""Expected shortfall and value-at-risk of results, counted in whole scenarios."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from crossmargin.core.tails import tail_count
from crossmargin.errors import BadRecord, InputError
from crossmargin.kernels.tail_means import tail_mean, value_at_risk

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

__all__ = ["expected_shortfall", "value_at_risk_at"]


def expected_shortfall(
    pnl: Float[np.ndarray, "*shape scenarios"], confidence: Decimal | str
) -> float | Float[np.ndarray, "*shape"]:
    """Return the mean loss of the worst scenarios, in whole scenarios ("discrete").

    Parameters
    ----------
    pnl : ndarray of float32 or float64, shape (..., scenarios)
        Profit and loss, gain-positive; of one portfolio or of several.
    confidence : Decimal or str
        Between 0 and 1, as it is printed: "0.99". The tail holds ⌈(1 − confidence) × scenarios⌉ of them,
        counted exactly; a binary float is refused, as (1 − 0.99) × 1,000 in float64 is more than 10.

    Returns
    -------
    float, or ndarray of float64, shape (...)
        Loss-positive: the mean of the worst scenarios, added in float64 in ascending order.

    Raises
    ------
    InputError
        If a result is NaN or infinite, there is no scenario, or the confidence is no such number.

    Examples
    --------
    >>> import numpy as np
    >>> expected_shortfall(np.array([3.0, -5.0, 1.0, -2.0]), "0.5")
    3.5
    """
    return _measured(pnl, confidence, tail_mean)


def value_at_risk_at(
    pnl: Float[np.ndarray, "*shape scenarios"], confidence: Decimal | str
) -> float | Float[np.ndarray, "*shape"]:
    """Return the loss in the best scenario of the tail; arguments and errors as ``expected_shortfall``."""
    return _measured(pnl, confidence, value_at_risk)


def _measured(
    pnl: Float[np.ndarray, "*shape scenarios"],
    confidence: Decimal | str,
    measure: Callable[[Float[np.ndarray, " scenarios"], int], float],
) -> float | Float[np.ndarray, "*shape"]:
    results = _numbers(pnl)
    if not results.ndim or not results.shape[-1]:
        raise _refused("pnl", str(results.shape), "at least one scenario")
    if not np.isfinite(results).all():
        at = np.argwhere(~np.isfinite(results))[0].tolist()
        raise _refused("pnl", f"{results[tuple(at)]} at {at}", "finite numbers")
    count = _tail(confidence, results.shape[-1])
    rows = np.ascontiguousarray(results.reshape(-1, results.shape[-1]))
    measured = np.array([measure(row, count) for row in rows]).reshape(results.shape[:-1])
    return measured if measured.ndim else float(measured)


def _numbers(pnl: object) -> Float[np.ndarray, "*shape scenarios"]:
    """Return results as float32 or float64."""
    rule = "an array of real numbers, none of them masked"
    try:
        results = np.asarray(pnl)
    except ValueError as error:
        raise _refused("pnl", type(pnl).__name__, rule) from error
    if results.dtype.kind not in "iuf" or np.ma.is_masked(pnl):
        raise _refused("pnl", str(results.dtype), rule)
    return results if results.dtype in (np.float32, np.float64) else results.astype(np.float64)


def _tail(confidence: Decimal | str, scenario_count: int) -> int:
    try:
        return tail_count(confidence, scenario_count)
    except (AssertionError, ValueError, ArithmeticError) as error:
        rule = 'a decimal above 0 and below 1, as text: "0.99"'
        raise _refused("confidence", str(confidence)[:40], rule) from error


def _refused(field: str, value: str, rule: str) -> InputError:
    return InputError([BadRecord(file="expected_shortfall", line=0, field=field, value=value, rule=rule)])
