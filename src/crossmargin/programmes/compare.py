"""Several programmes side by side on one market and day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmargin.errors import BadRecord, InputError
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.opening import open_houses
from crossmargin.programmes.result import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from crossmargin.models.market import Market
    from crossmargin.programmes.houses import Houses, HouseSettings
    from crossmargin.programmes.programme import Programme
    from crossmargin.programmes.result import ProgrammeResult

__all__ = ["compare", "compare_on", "require_names"]


def compare(
    market: Market,
    programmes: Sequence[Programme],
    as_of: date,
    settings: HouseSettings | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Evaluate programmes on a market.

    Parameters
    ----------
    market : Market
        Accounts, positions, instruments and histories.
    programmes : sequence of Programme
        In the order of the result.
    as_of : date
        The day of positions and marks; nothing after it is looked at.
    settings : HouseSettings, optional
        How the houses' models are made; the defaults unless given.
    note : callable, optional
        Told the name of each stage as it begins.
    """
    return compare_on(open_houses(market, as_of, settings, note), programmes, note)


def compare_on(
    houses: Houses, programmes: Sequence[Programme], note: Callable[[str], None] = lambda _: None
) -> Comparison:
    """Evaluate programmes on houses that are open; arguments as ``compare``.

    Raises
    ------
    InputError
        If there is no programme, or two have one name.
    """
    require_names(programmes)
    if not houses.accounts.books.rows.size:
        rule = f"at least one position on {houses.as_of}"
        raise InputError([BadRecord(file="market", line=0, field="positions", value="none", rule=rule)])
    results: list[ProgrammeResult] = []
    for programme in programmes:
        note(f"evaluate {programme.name}")
        results.append(evaluate(programme, houses))
    return Comparison(
        market=houses.market.name,
        data_note=houses.market.data_note,
        results=tuple(results),
        findings=houses.findings,
    )


def require_names(programmes: Sequence[Programme]) -> None:
    """Refuse no programme, and two of one name: results are told apart by it.

    Raises
    ------
    InputError
        Listing every name that stands twice.
    """
    names = [programme.name for programme in programmes]
    if bad := [name for place, name in enumerate(names) if name in names[:place]] or ([] if names else [""]):
        rule = "at least one programme, each with a name of its own"
        raise InputError(
            BadRecord(file="programmes", line=0, field="name", value=name, rule=rule) for name in bad
        )
