"""Positional SPAN files built by hand: real CME lines, and a file of HSI futures and options like HKEX's of 2013."""

from __future__ import annotations

import gzip
import math
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HKEX_HEADER = "0 HKEX  20130314II20843201303140843U2             C CUST"
"""Header of a real file of 14 March 2013."""

CME_HEADER = "0 CME   20250620SE     202506201407U2YNCLR        C CUST  H HEDGE 1 CORE  M MAINT "

CME_LINES = {
    "1": "1 CBT  01",
    "T": "T CLPCUSD$0000001063",
    "3": "3 06    1001202507202507022025082025080320250920250904202510202511  100010001100",
    "C": "C 06    1001030000100011401A021502B031601A",
    "4": "4 YM    10010120250600000010000000                            00001701001001001",
    "5": "5 CME       06    07    14    31    3CC   71    76    7CC   AUW   BCF   ",
    "6": (
        "6 ALL00010980000NYMNNY-HH 0010000ANYMNNY-HP 0010000B"
        "                                    04NYMNNY-NG          S00100000001"
    ),
    "81": (
        "81CBT06        06        FUT 202507            000000000000+00000+00567-00567-00567+00567+"
        "01133-01133-01133+00000000284100N"
    ),
    "82": (
        "82CBT06        06        OOFC202507   202507   000014500000+00000+00000+00000+00000+00000+00000+"
        "00000+002500000139100++10000+C"
    ),
    "S": "S 07    20020120250720250702202508202812                                          2",
}
"""Real CME lines of June 2025; the S with the tier count that one transcription of it had lost."""

CME_FILE = [
    CME_HEADER,
    CME_LINES["T"],
    CME_LINES["1"],
    "1 NYM  07",
    "2 CBT 06    0USD$PN   06        FUT   06        OOF",
    CME_LINES["3"],
    "3 06    10142025072025071520250820250816202509202512",
    CME_LINES["C"],
    "E 06    0000100002502509   010000A2512   020000B2603   010000A",
    (
        "P CBT06        FUTSOYBEAN MEAL F 003000  000010000000000000000001USD$STD 00    "
        "SOYBEAN MEAL FUTURES               YFFUT  DELIV"
    ),
    (
        "P CBT06        OOFSOYBEAN MEAL OP003000  000010000000000000000001USD$STD 00AMER"
        "SOYBEAN MEAL OPTIONS Long dated    YFEQTY DELIV                 0000001000000000  "
    ),
    "2 CBT YM    0USD$PN   YM        FUT",
    CME_LINES["4"],
    "2 CBT 07    0USD$FN   07        FUT",
    CME_LINES["S"],
    "2 NYM NY-HH 0USD$PN   HH        FUT",
    "2 NYM NY-HP 0USD$PN   HP        FUT",
    "2 NYM NY-NG 0USD$PN   NG        FUT",
    CME_LINES["5"],
    CME_LINES["6"],
    CME_LINES["81"],
    (
        "82CBT06        06        FUT 202507            000000001133+01700-01700-01700+01700+01683-01683+10000+"
        "000000000284100++10000+C"
    ),
    CME_LINES["82"].replace("82CBT", "81CBT", 1)[:96] + "00000+00000+" + "00000000139100N",
    CME_LINES["82"],
]
"""A whole file around the real lines."""

SCAN_RANGE, SIZE, VOLATILITY, VOLATILITY_RANGE = 1706, 50, 0.22, 0.05
PRICES = {"201303": 22_000.0, "201304": 22_050.0, "201306": 22_150.0}
YEARS = {"201303": 0.04, "201304": 0.12, "201306": 0.29}
EXTREME, COVERED = 2.0, 0.35
MOVES = [(move / 3, side) for move in (0, 1, -1, 2, -2, 3, -3) for side in (1, -1)]


def place(*pieces: tuple[int, str]) -> str:
    """A line with each text from its column on, from 1."""
    width = max(column + len(text) - 1 for column, text in pieces)
    line = [" "] * width
    for column, text in pieces:
        line[column - 1 : column - 1 + len(text)] = text
    return "".join(line)


def write(path: Path, lines: list[str], ending: str = "\n") -> Path:
    """Write lines as a file."""
    path.write_bytes("".join(line + ending for line in lines).encode("latin-1"))
    return path


def gzipped(path: Path) -> Path:
    """The file, gzipped, under a name that does not say so."""
    target = path.with_suffix(".packed")
    target.write_bytes(gzip.compress(path.read_bytes()))
    return target


def zipped(path: Path, *names: str) -> Path:
    """The file, in a zip once for each name."""
    target = path.with_suffix(".rpf")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(path, name)
    return target


def black(future: float, strike: float, volatility: float, years: float, right: str) -> float:
    """Undiscounted Black value of an option on a future."""
    spread = volatility * math.sqrt(years)
    d1 = math.log(future / strike) / spread + spread / 2
    call = future * _normal(d1) - strike * _normal(d1 - spread)
    return call if right == "C" else call - future + strike


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def option_losses(month: str, strike: float, right: str) -> list[int]:
    """Loss of one long option in the sixteen scenarios, in whole HK$."""
    future, years = PRICES[month], YEARS[month]
    now = black(future, strike, VOLATILITY, years, right)
    scenarios = [(move, side, 1.0) for move, side in MOVES]
    scenarios += [(EXTREME, 0, COVERED), (-EXTREME, 0, COVERED)]
    return [
        round(
            weight
            * SIZE
            * (
                now
                - black(
                    future + move * SCAN_RANGE, strike, VOLATILITY + side * VOLATILITY_RANGE, years, right
                )
            )
        )
        for move, side, weight in scenarios
    ]


def future_losses() -> list[int]:
    """Loss of one long future in the sixteen scenarios, in whole HK$."""
    losses = [round(-move * SCAN_RANGE * SIZE) for move, _ in MOVES]
    return [*losses, *(round(-move * COVERED * SCAN_RANGE * SIZE) for move in (EXTREME, -EXTREME))]


def array_lines(contract: list[tuple[int, str]], losses: list[int], tail: str) -> list[str]:
    """Records 81 and 82, or 83 and 84 where a value needs more than five digits."""
    wide = max(abs(loss) for loss in losses) > 99_999
    digits = 8 if wide else 5
    values = [f"{abs(loss):0{digits}d}{'-' if loss < 0 else '+'}" for loss in losses]
    first, second = ("83", "84") if wide else ("81", "82")
    return [
        place((1, first), *contract, (55, "".join(values[:9]))),
        place((1, second), *contract, (55, "".join(values[9:]) + tail)),
    ]


def hsi_lines(strikes: int = 3) -> list[str]:
    """A file of HSI futures and options as of 2013: no records P, S, E and 6, whole points, no sizes."""
    lines = [
        HKEX_HEADER,
        "T USD$HKDH0007750000",
        "1 HKF  01",
        place((1, "2 HKF HSI   0HKDHFN"), (23, "HSI       FUT0+"), (39, "HSI       OOP0+")),
        place((1, "3 HSI   1001"), (13, "201303209912"), (69, "100010001250")),
        "C HSI   1001020012800010101A020101B",
        place((1, "4 HSI   0100"), (63, "0001500"), (70, "1001001002")),
    ]
    for month, years in YEARS.items():
        for kind, months in (("FUT", [(19, month)]), ("OOP", [(28, month)])):
            lines.append(
                place(
                    (1, "B HKFHSI"),
                    (16, kind),
                    *months,
                    (37, f"{round(VOLATILITY * 1e6):08d}{round(VOLATILITY_RANGE * 1e6):08d}{SCAN_RANGE:05d}"),
                    (58, "0200003500"),
                    (68, f"00000{round(years * 1e6):07d}003968010000"),
                )
            )
    for month, price in PRICES.items():
        contract = [(3, "HKFHSI"), (16, "HSI"), (26, "FUT"), (30, month), (48, "0000000")]
        lines += array_lines(contract, future_losses(), f"10000+00000000{round(price):07d}+")
        for step in range(strikes):
            for right in "CP":
                strike = 200 * (round(price / 200) + step - strikes // 2)
                contract = [
                    (3, "HKFHSI"),
                    (16, "HSI"),
                    (26, "OOP" + right),
                    (39, month),
                    (48, f"{strike:07d}"),
                ]
                value = black(price, strike, VOLATILITY, YEARS[month], right)
                sign = "+" if right == "C" else "-"
                tail = f"05000{sign}{round(VOLATILITY * 1e6):08d}{round(value):07d}+"
                lines += array_lines(contract, option_losses(month, strike, right), tail)
    return lines
