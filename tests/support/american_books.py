"""Arguments of the kernel of American options, made from terms a reader knows."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass

import numpy as np
from european_options import NO_GAPS, factors_of, groups_of, pairs_of

from crossmargin.kernels.american_pairs import american_pairs, deviation_ranges, pair_premiums
from crossmargin.kernels.american_premium import fit_premiums

ERROR = {np.float32: 1e-5, np.float64: 1e-5}  # of the larger of spot and strike


@dataclass(frozen=True)
class Book:
    """Options of some groups and their scenarios; options lie group after group, prices are over no base."""

    years: np.ndarray  # (groups,)
    rates: np.ndarray
    yields: np.ndarray
    spots: np.ndarray  # (options,)
    strikes: np.ndarray
    volatilities: np.ndarray
    log_return: np.ndarray  # (groups, scenarios)
    factor: np.ndarray
    smile: float = 0.0
    sizes: tuple[int, ...] = ()

    @property
    def group(self):
        sizes = self.sizes or (self.spots.size // self.years.size,) * self.years.size
        return np.repeat(np.arange(self.years.size), sizes)

    def arguments(self, kind):
        """Return groups, pairs, factors and fits."""
        group, interest, income = self.group, self.rates * self.years, self.yields * self.years
        pairs = pairs_of(
            np.float64,
            self.spots * np.exp(-income[group]),
            self.strikes * np.exp(-interest[group]),
            self.volatilities * np.sqrt(self.years[group]),
            smile=self.smile * np.sqrt(self.years[group]),
        )
        none = np.zeros_like(self.spots)
        pairs = pairs._replace(call_base=none, put_base=none)
        groups = groups_of(*np.bincount(group, minlength=self.years.size))
        factors = factors_of(np.float64, self.log_return, self.factor)
        fits = fit_premiums(interest, income, *deviation_ranges(groups, pairs, factors))
        rows = {"call_row", "put_row"}
        narrow = {n: c if n in rows else c.astype(kind) for n, c in pairs._asdict().items()}
        factors = factors_of(kind, self.log_return, self.factor)
        return groups, pairs._replace(**narrow), factors, fits

    def prices(self, kind, kernel=american_pairs):
        """Return prices of calls and puts, options × scenarios each, and the fits."""
        groups, pairs, factors, fits = self.arguments(kind)
        premiums = pair_premiums(fits, self.rates * self.years, self.yields * self.years, kind)
        cube = np.full((2 * self.spots.size, self.factor.shape[1]), np.nan, kind)
        kernel(groups, pairs, factors, premiums, NO_GAPS, cube)
        return cube[::2].astype(np.float64), cube[1::2].astype(np.float64), fits

    def moved(self):
        """Return spot and volatility of each option in each scenario."""
        log_return = self.log_return[self.group]
        volatility = self.volatilities[:, None] * self.factor[self.group] + self.smile * log_return
        return self.spots[:, None] * np.exp(log_return), volatility


class QuantLibAmerican:
    """QuantLib's fixed-point engine of one option at a time."""

    def __init__(self):
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message=r"builtin type \w+ has no __module__ attribute", category=DeprecationWarning
            )
            ql = importlib.import_module("QuantLib")
        self.ql, self.today = ql, ql.Date(15, 6, 2026)
        ql.Settings.instance().evaluationDate = self.today
        counter = ql.Actual365Fixed()
        self.quotes = [ql.SimpleQuote(value) for value in (1.0, 0.0, 0.0, 0.2)]
        spot, income, interest, level = (ql.QuoteHandle(quote) for quote in self.quotes)
        self.process = ql.BlackScholesMertonProcess(
            spot,
            ql.YieldTermStructureHandle(ql.FlatForward(self.today, income, counter)),
            ql.YieldTermStructureHandle(ql.FlatForward(self.today, interest, counter)),
            ql.BlackVolTermStructureHandle(
                ql.BlackConstantVol(self.today, ql.NullCalendar(), level, counter)
            ),
        )
        engine = ql.QdFpAmericanEngine
        # its schemes stop after so many steps; 40 are enough to settle, where its own 8 or 10 may not be
        self.settled = engine(self.process, ql.QdFpTanhSinhIterationScheme(40, 30, 1e-10))
        self.accurate = engine(self.process, engine.accurateScheme())
        self.high = engine(self.process, engine.highPrecisionScheme())
        self.fast = engine(self.process, engine.fastScheme())

    def price(self, engine, side, spot, strike, volatility, days, rate, income):
        ql = self.ql
        for quote, value in zip(self.quotes, (spot, income, rate, volatility), strict=True):
            quote.setValue(float(value))
        kind = ql.Option.Call if side > 0 else ql.Option.Put
        exercise = ql.AmericanExercise(self.today, self.today + int(days))
        option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, float(strike)), exercise)
        option.setPricingEngine(engine)
        return option.NPV()
