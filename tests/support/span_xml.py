"""SPAN parameters as SPAN XML holds them, made from a seed, and comparison of what was read back."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from crossmargin.formats.span.xml_writer import write_spn
from crossmargin.models.span.parameters import DEFAULT_SCAN_POINTS, SPAN_KEYS, SPAN_SCHEMAS, SpanParameters

if TYPE_CHECKING:
    from pathlib import Path

MONTHS = [f"20260{month}" for month in range(1, 8)]
BYTES_OF_AN_OPTION = 325


def table(name, rows=()):
    return pl.DataFrame(list(rows), schema=SPAN_SCHEMAS[name], orient="row")


def parameters(series=(), losses=(), **tables):
    """Return parameters of rows in the order of the schemas; tables not given are empty."""
    tables = {name: table(name, tables.get(name, ())) for name in SPAN_SCHEMAS if name != "scan_points"} | {
        "scan_points": tables.get("scan_points", DEFAULT_SCAN_POINTS),
        "series": series if isinstance(series, pl.DataFrame) else table("series", series),
    }
    return SpanParameters(
        organization="XCH",
        business_date=date(2026, 1, 5),
        settlement="final",
        source_format="",
        losses=np.array(losses, np.float64).reshape(-1, 16),
        **tables,
    )


def large_parameters(options: int, *, seed: int = 1, commodities: int = 40) -> SpanParameters:
    """Return about so many options on physicals, in seven months each, with a future beside each month."""
    random = np.random.default_rng(seed)
    strikes = max(options // (commodities * len(MONTHS) * 2), 1)
    codes = [f"C{number:03}" for number in range(commodities)]
    rows = []
    for code in codes:
        rows += [
            (
                "X",
                code,
                "FUT",
                code,
                "",
                month,
                "",
                month,
                0.0,
                1.0,
                1.0,
                50.0,
                "futures",
                100.0,
                None,
                10.0,
                0.05,
                0.2,
            )
            for month in MONTHS
        ]
        rows += [
            ("X", code, "OOP", code, right, month, "", month, 10.0 * strike, 0.5, 1.0, 50.0, "premium", 2.5, 0.2, 10.0, 0.05, 0.2)
            for month in MONTHS
            for strike in range(1, strikes + 1)
            for right in "CP"
        ]  # fmt: skip
    losses = random.normal(0, 5_000, (len(rows), 16)).round(2)
    styles = {"FUT": "futures", "OOP": "premium"}
    return parameters(
        rows,
        losses,
        commodities=[
            (code, "X", code, "HKD", "premium", False, 0.0, "sum", "normal", "none", "none", *[1.0] * 6)
            for code in codes
        ],
        products=[
            ("X", code, kind, code, code, "HKD", 50.0, style)
            for kind, style in styles.items()
            for code in codes
        ],
    )


def write_large(path: Path, megabytes: float, *, seed: int = 1) -> None:
    """Write a file of about so many megabytes, nearly all of it options."""
    write_spn(large_parameters(round(megabytes * 1e6 / BYTES_OF_AN_OPTION), seed=seed), path)


def canonical(given: SpanParameters) -> dict[str, object]:
    """Return parameters without what a file does not tell: order of rows, numbers of spreads and legs, source."""
    found: dict[str, object] = {
        "organization": given.organization,
        "business_date": given.business_date,
        "settlement": given.settlement,
    }
    for name in SPAN_SCHEMAS:
        if name not in {"skipped", "series", *SPREADS, *SPREADS.values()}:
            found[name] = sorted(given.table(name).rows())
    keys = SPAN_KEYS["series"]
    series = given.series.with_columns(losses=pl.Series(given.losses, dtype=pl.List(pl.Float64)))
    found["series"] = series.sort(keys).rows()
    for name, legs in SPREADS.items():
        of_spread = {}
        for row in given.table(legs).sort("spread", "leg").iter_rows():
            of_spread.setdefault(row[0], []).append(row[2:])
        rows = [(row[1:], of_spread.get(row[0])) for row in given.table(name).iter_rows()]
        found[name] = (
            sorted(rows, key=lambda row: str(row[0][:2]))
            if name == "intra_spreads"
            else sorted(rows, key=str)
        )
    return found


SPREADS = {"intra_spreads": "intra_legs", "inter_spreads": "inter_legs"}

POINTS = "".join(
    f"<scanPointDef><point>{point}</point>"
    f"<priceScanDef><mult>{'-1' if price < 0 else '1'}</mult><numerator>{abs(price)}</numerator>"
    "<denominator>3</denominator></priceScanDef>"
    f"<volScanDef><mult>{volatility}</mult></volScanDef><weight>{weight}</weight>"
    f"<pairedPoint>{paired}</pairedPoint></scanPointDef>"
    for point, price, volatility, weight, paired in [
        *[
            (2 * pair + side, price, volatility, 1, 2 * pair + 3 - side)
            for pair, price in enumerate([0, 1, -1, 2, -2, 3, -3])
            for side, volatility in ((1, 1), (2, -1))
        ],
        (15, 9, 0, 0.33, 15),
        (16, -9, 0, 0.33, 16),
    ]
)


def risk_array(first: float, delta: float = 1.0, rate: int = 1) -> str:
    values = "".join(f"<a>{first + place}</a>" for place in range(16))
    return f"<ra><r>{rate}</r>{values}<d>{delta}</d></ra>"


RATE_CLASSES = """\
<pbRateDef><r>9</r><isCust>1</isCust><acctType>M</acctType><isM>1</isM><pbc>CORE</pbc></pbRateDef>
<pbRateDef><r>1</r><isCust>0</isCust><acctType>N</acctType><isM>1</isM><pbc>CORE</pbc></pbRateDef>
<pbRateDef><r>3</r><isCust>1</isCust><acctType>M</acctType><isM>0</isM><pbc>CORE</pbc></pbRateDef>
<pbRateDef><r>4</r><isCust>1</isCust><acctType>H</acctType><isM>1</isM><pbc>CORE</pbc></pbRateDef>
<pbRateDef><r>5</r><isCust>1</isCust><acctType>S</acctType><isM>0</isM><pbc>CORE</pbc></pbRateDef>
"""

SAMPLE = f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<!-- one of everything -->
<spanFile>
<spanVersion>4.00</spanVersion><fileFormat>4.00</fileFormat><created>202601051800</created>
<definitions><currencyDef><currency>HKD</currency></currencyDef></definitions>
<pointInTime>
<date>20260105</date><isSetl>1</isSetl><setlQualifier>early</setlQualifier><time>1800</time><run>0</run>
<clearingOrg>
<ec>XCO</ec><name>Sample house</name><isContractScale>1</isContractScale><capAnov>1</capAnov>
<lookAheadDays>1</lookAheadDays>
<curConv><fromCur>USD</fromCur><toCur>HKD</toCur><factor>7.8</factor></curConv>
{RATE_CLASSES}
<pointDef><r>1</r>{POINTS}<deltaPointDef><point>1</point></deltaPointDef></pointDef>
<exchange><exch>XEX</exch><name>Sample exchange</name>
<phyPf><pfId>1</pfId><pfCode>IDX</pfCode><currency>HKD</currency><cvf>1</cvf><valueMeth>EQTY</valueMeth>
  <phy><cId>1</cId><pe>000000</pe><p>20000</p>{risk_array(0)}</phy></phyPf>
<phyPf><pfId>2</pfId><pfCode>BARE</pfCode><currency>HKD</currency><valueMeth>EQTY</valueMeth>
  <phy><cId>1</cId><p>5</p></phy></phyPf>
<debtPf><pfId>3</pfId><debt><cId>1</cId></debt></debtPf>
<futPf><pfId>4</pfId><pfCode>HSI</pfCode><name>Index &amp; future</name><currency>HKD</currency><cvf>50</cvf>
  <valueMeth>FUT</valueMeth><undPf><exch>XEX</exch><pfId>1</pfId><s>A</s><i>1</i></undPf>
  <fut><cId>1</cId><pe>202601</pe><p>20010.5</p><d>1</d><v>0.21</v><sc>1</sc><setlDate>20260129</setlDate>
    <t>0.07</t><undC><exch>XEX</exch><pfId>1</pfId><cId>1</cId><s>A</s><i>1</i></undC>
    <scanRate><r>2</r><priceScan>9</priceScan></scanRate>
    <scanRate><r>1</r><priceScan>1500</priceScan><volScan>0.05</volScan></scanRate>{risk_array(100)}</fut>
  <fut><cId>2</cId><pe>202602</pe><cvf>10</cvf><sc>0.2</sc>{risk_array(200, 1, 2)}{risk_array(300)}</fut>
</futPf>
<oopPf><pfId>5</pfId><pfCode>HSI</pfCode><exercise>EURO</exercise><currency>HKD</currency><cvf>50</cvf><cab>0</cab>
  <valueMeth>EQTY</valueMeth><priceModel>BS</priceModel>
  <series><pe>20260129</pe><v>0.3</v><t>0.066</t><cvf>40</cvf><sc>2</sc>
    <undC><exch>XEX</exch><pfId>1</pfId><cId>1</cId><s>A</s><i>1</i></undC>
    <scanRate><r>1</r><priceScan>1400</priceScan><volScan>0.06</volScan></scanRate>
    <opt><cId>1</cId><o>C</o><k>20000.00</k><p>450</p><pq>0</pq><d>0.5</d><v>0.2</v><val>1</val>{risk_array(1, 0.5)}</opt>
    <opt><cId>2</cId><o>P</o><k>20000</k><p>440</p><cvf>30</cvf><sc>0.5</sc>{risk_array(-5.5, -0.49)}</opt>
    <opt><cId>3</cId><o>P</o><k>100</k><p>0</p></opt>
  </series></oopPf>
<oofPf><pfId>6</pfId><pfCode>HSO</pfCode><currency>HKD</currency><cvf>50</cvf><cab>0</cab>
  <valueMeth>FUTDA</valueMeth><priceModel>BS</priceModel>
  <series><pe>202601</pe><sc>1</sc><undC><exch>XEX</exch><pfId>4</pfId><cId>2</cId><s>A</s><i>1</i></undC>
    <opt><cId>1</cId><o>C</o><k>-1e1</k><p>1.5</p>{risk_array(7, 0.25)}</opt></series></oofPf>
<cmbPf><pfId>7</pfId><pfCode>CAL</pfCode><currency>HKD</currency><valueMeth>FUT</valueMeth>
  <cmb><cId>1</cId><pe>202603</pe>{risk_array(8, 0)}</cmb></cmbPf>
<oocPf><pfId>8</pfId><pfCode>OCA</pfCode><currency>HKD</currency><cab>0</cab><valueMeth>FUT</valueMeth><priceModel/>
  <series><pe>202602</pe><sc>1</sc><undC><exch>XEX</exch><pfId>7</pfId><cId>1</cId><s>A</s><i>1</i></undC>
    <opt><cId>1</cId><o>P</o><k>5</k><p>1</p>{risk_array(9, -0.1)}</opt></series></oocPf>
</exchange>
<ccDef><cc>HSI</cc><name>Index</name><currency>HKD</currency><riskExponent>2</riskExponent><capAnov>0</capAnov>
  <procMeth>NORMAL</procMeth><wfprMeth>SCANRANGE_CAP</wfprMeth><spotMeth>NORMAL</spotMeth><somMeth>MAX</somMeth>
  <pfLink><exch>XEX</exch><pfId>4</pfId><pfCode>HSI</pfCode><pfType>FUT</pfType><sc>1</sc></pfLink>
  <pfLink><exch>XEX</exch><pfId>1</pfId><sc>1</sc></pfLink>
  <pfLink><exch>XEX</exch><pfId>5</pfId><pfType>OOP</pfType><sc>0.1</sc></pfLink>
  <pfLink><exch>XEX</exch><pfId>6</pfId><sc>1</sc></pfLink>
  <pfLink><exch>XEX</exch><pfId>3</pfId><pfType>DEBT</pfType><sc>1</sc></pfLink>
  <adjRate><r>9</r><baseR>1</baseR><val>1.1</val></adjRate><adjRate><r>3</r><baseR>9</baseR><val>1.25</val></adjRate>
  <adjRate><r>4</r><baseR>9</baseR><val>2</val></adjRate><adjRate><r>5</r><baseR>1</baseR><val>1.5</val></adjRate>
  <scanTiers><tier><tn>1</tn><sPe>202601</sPe><ePe>202612</ePe></tier></scanTiers>
  <intraTiers><tier><tn>1</tn><sPe>202601</sPe><ePe>202601</ePe></tier><tier><tn>2</tn><sPe>202602</sPe></tier></intraTiers>
  <interTiers><tier><tn>1</tn><sPe>202601</sPe><ePe>202612</ePe></tier></interTiers>
  <somTiers><tier><tn>1</tn><ePe>202603</ePe><rate><r>2</r><val>1</val></rate><rate><r>1</r><val>70</val></rate></tier>
    <tier><tn>2</tn><sPe>202604</sPe><rate><r>1</r><val>90</val></rate></tier></somTiers>
  <rateTiers><tier><tn>1</tn></tier></rateTiers>
  <dSpread><spread>2</spread><chargeMeth>F</chargeMeth><rate><r>1</r><val>19650</val></rate>
    <tLeg><cc>HSI</cc><tn>1</tn><rs>A</rs><i>1</i></tLeg><tLeg><cc>HSI</cc><tn>2</tn><rs>B</rs><i>2</i></tLeg></dSpread>
  <dSpread><spread>1</spread><chargeMeth>P</chargeMeth>
    <pmpsRate><r>1</r><val>425</val><pmRate>0</pmRate><psRate>0</psRate></pmpsRate>
    <pLeg><cc>HSI</cc><pe>202601</pe><rs>A</rs><i>1</i></pLeg><pLeg><cc>HSI</cc><pe>202602</pe><rs>B</rs><i>1</i></pLeg>
  </dSpread>
  <spotRate><r>1</r><pe>202601</pe><sprd>10</sprd><outr>20</outr></spotRate>
  <spotRate><r>2</r><pe>202601</pe><sprd>1</sprd><outr>2</outr></spotRate>
</ccDef>
<ccDef><cc>CAL</cc><currency>USD</currency>
  <pfLink><exch>XEX</exch><pfId>7</pfId><sc>1</sc></pfLink><pfLink><exch>XEX</exch><pfId>8</pfId><sc>1</sc></pfLink>
  <somTiers><tier><tn>0</tn><rate><r>1</r><val>55</val></rate></tier></somTiers></ccDef>
<superSpreads><dSpread><spread>1</spread><spreadType>DEFAULT</spreadType><chargeMeth>F</chargeMeth>
  <rate><r>1</r><val>500</val></rate><tLeg><cc>HSI</cc><tn>1</tn><rs>A</rs><i>1</i></tLeg>
  <tLeg><cc>CAL</cc><tn>1</tn><rs>B</rs><i>3</i></tLeg></dSpread></superSpreads>
<interSpreads>
  <dSpread><spread>5</spread><chargeMeth>W</chargeMeth><rate><r>1</r><val>0.6</val></rate>
    <tLeg><cc>HSI</cc><tn>0</tn><rs>A</rs><i>1</i><rate><r>1</r><val>0.5</val></rate></tLeg>
    <tLeg><cc>CAL</cc><tn>0</tn><rs>B</rs><i>2</i></tLeg></dSpread>
  <dSpread><spread>6</spread><chargeMeth>W</chargeMeth><rate><r>1</r><val>0.6</val></rate>
    <rpLeg><cc>HSI</cc><rpNum>1</rpNum><rs>A</rs><i>1</i></rpLeg></dSpread>
  <sSpread><spread>7</spread><isTargetReq>1</isTargetReq><numLegsReq>3</numLegsReq><applyFxRisk>0</applyFxRisk>
    <rate><r>1</r><val>0.7</val></rate><sLeg><cc>CAL</cc><isTarget>1</isTarget></sLeg>
    <sLeg><cc>HSI</cc><isTarget>0</isTarget><isRequired>1</isRequired><i>2</i></sLeg></sSpread>
</interSpreads>
</clearingOrg>
<businessFunction><busFuncType>XM</busFuncType><ec>XCO</ec><name>Cross</name><finalizeMeth>BY</finalizeMeth>
{RATE_CLASSES}<pointDef><r>1</r>{POINTS}</pointDef>
<busFuncCoLink><ec>XCO</ec><busFuncExchLink><exch>XEX</exch>
  <bfPfLink><pfId>4</pfId><bfC><cId>2</cId>{risk_array(-900, 0.9)}</bfC><bfC><cId>77</cId>{risk_array(0)}</bfC></bfPfLink>
  <bfPfLink><pfId>5</pfId><bfSeries><pe>20260129</pe><bfC><cId>1</cId>{risk_array(-1, 0.4)}</bfC></bfSeries></bfPfLink>
</busFuncExchLink></busFuncCoLink>
<ccDef><cc>ALL</cc><currency>HKD</currency>
  <pfLink><exch>XEX</exch><pfId>4</pfId><sc>1</sc></pfLink><pfLink><exch>XEX</exch><pfId>5</pfId><sc>1</sc></pfLink></ccDef>
</businessFunction>
<portfolio><firm>F</firm><ecPort><ec>XCO</ec><ccPort><cc>HSI</cc></ccPort></ecPort></portfolio>
</pointInTime>
</spanFile>
"""
