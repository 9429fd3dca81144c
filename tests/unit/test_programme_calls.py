"""What houses call under a programme, account by account, against what they call today."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache

import numpy as np
import polars as pl
import pytest
from programme_market import (
    FUND,
    FUTURE,
    LARGE,
    OTHER_FUTURE,
    STOCK,
    base_market,
    cash,
    cents,
    futures,
    houses_of,
    market_of,
    option,
    options,
    programme,
    sample,
    sample_houses,
)

from crossmargin.cli.app import app
from crossmargin.core.rounding import to_minor
from crossmargin.errors import InputError
from crossmargin.formats.programme_files import designs
from crossmargin.models.expected_shortfall.tails import tail_mean
from crossmargin.models.market import HOUSES
from crossmargin.programmes.compare import compare
from crossmargin.programmes.eligibility import joint_accounts
from crossmargin.programmes.evaluate import evaluate
from crossmargin.programmes.joint_margin import joint_margin
from crossmargin.programmes.programme import (
    GUARANTEES,
    MODES,
    Attribution,
    Default,
    Eligibility,
    Joint,
    Saving,
)

OPEN = Saving(minimum=0.0, cap=1.0)
NO_SAVING = Saving(minimum=0.0, cap=0.0)
JOINING = [mode for mode in MODES if mode != "silo"]
SPLIT = [mode for mode in JOINING if mode != "merged_ccp"]
SHORTFALLS = ("expected_shortfall",) * 3
