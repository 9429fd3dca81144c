"""Run every benchmark in one go, print the results and rewrite ``docs/benchmarks.md``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from aggregation import bench_aggregation, bench_what_if
from american_options import bench_american_options
from compiled import compile_kernels
from cross_margin import bench_cross_margin
from european import bench_european
from machine import describe, in_fresh_process, read_bandwidth
from margin_many import bench_margining
from market import make_rpf01
from read_rpf01 import bench_reading
from report import Row, Table, to_markdown
from rolling import bench_rolling_margins
from span_many import bench_span_margining
from span_market import make_positional, make_spn
from span_reading import bench_span_positional, bench_span_xml
from whole_market import bench_whole_market

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> None:
    """Measure the machine, then each benchmark against it."""
    path = in_fresh_process(make_rpf01)
    in_fresh_process(compile_kernels, path)
    spn, positional = in_fresh_process(make_spn), in_fresh_process(make_positional)
    bandwidth = in_fresh_process(read_bandwidth)
    memory = Table(
        "Memory bandwidth",
        "1 GiB of float64, read once by all cores.",
        [Row("read", f"{bandwidth / 1e9:.1f} GB/s")],
    )
    tables = [
        memory,
        bench_reading(path, bandwidth),
        bench_margining(path, bandwidth),
        bench_span_xml(spn, bandwidth),
        bench_span_positional(positional, bandwidth),
        bench_span_margining(bandwidth),
        bench_european(bandwidth),
        bench_american_options(),
        bench_aggregation(bandwidth),
        bench_what_if(),
        bench_whole_market(bandwidth),
        bench_cross_margin(),
        bench_rolling_margins(bandwidth),
    ]
    page = to_markdown(describe(), datetime.now(tz=UTC).date().isoformat(), tables)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
