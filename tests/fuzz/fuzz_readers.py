"""Coverage-guided fuzzing of the readers; see docs/how-to/fuzz-the-readers.md.

``python tests/fuzz/fuzz_readers.py [TARGET ...] [--seconds N] [--findings FOLDER]`` runs one target after the
other, each in a process of its own that starts from the seeds and the stored corpus. A run goes on
after a finding: one input of each kind of failure is kept, and the exit status is 1 in the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAMES = (
    "rpf01",
    "positions",
    "corporate_actions",
    "participant",
    "span_positional",
    "span_xml",
    "span_positions",
    "span_settings",
)
INPUT_SECONDS = 10
MEMORY_MB = 3072
INPUT_BYTES = 24_000
ACCEPTED_KEPT = 200
PER_TARGET_GRACE_SECONDS = 120
COUNT_EVERY = 64

# What tends to be special: to a number, a code, a date, a table of TOML, an element of XML.
TELLING = (
    b"", b"0", b"-0", b"-1", b"1", b"00", b"000000", b"99", b"999999", b"202513", b"20250230", b"00010101",
    b"99991231", b"1e308", b"1e-320", b"-1e400", b"inf", b"nan", b"NaN", b"9007199254740993", b"9" * 20, b"0" * 16,
    b"1.5", b"-0.00000000001", b"+1", b".5", b"5.", b"0x1F", b"1_000", b"true", b"\xef\xbb\xbf", b"\xc2\xa0", b"\0",
    b"\x1a", b"\r\n", b"\r", b"\n\n", b"\t", b" ", b"      ", b"-", b"+", b"A", b"C", b"P", b"&#0;", b"&#x85;", b"<!---->",
    b"<![CDATA[1]]>", b"&lt;", b'"', b"'", b'"""', b"[", b"]", b"{}", b"=", b"\xff", b"\\u0000", b"\\ud800",
)  # fmt: skip
DIGIT = re.compile(rb"[0-9]")
WORD = re.compile(rb"[^\s,<>=\"'\[\]]+")


def mutated(content: bytes, chance: random.Random, bytewise) -> bytes:
    """Change a file by lines, by words or by columns as its formats have them, or by bytes."""
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        kind = chance.randrange(9)
        lines = content.splitlines(keepends=True) or [b""]
        row, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        if kind == 0:
            content = bytewise(content)
        elif kind == 1:
            lines[row : row + 1] = chance.choice(
                [[], [lines[row]] * 2, [lines[other]], [lines[row], lines[other]]]
            )
            content = b"".join(lines)
        elif kind == 2:
            first = chance.randrange(max(len(lines[row]), 1))
            last = first + chance.choice([1, 1, 2, 5, 8])
            piece = chance.choice(
                [
                    lines[other][first:last],
                    bytes(chance.choices(b"0123456789", k=last - first)),
                    bytes(chance.choices(b" 0-+AZ9", k=last - first)),
                    chance.choice([b" ", b"0", b"9"]) * (last - first),
                ]
            )
            lines[row] = lines[row][:first] + piece + lines[row][last:]
            content = b"".join(lines)
        elif kind <= 4 and (digits := list(DIGIT.finditer(content))):
            at = chance.choice(digits).start()
            content = content[:at] + bytes(chance.choices(b"0123456789")) + content[at + 1 :]
        else:
            words = list(WORD.finditer(content))
            if not words:
                content = bytewise(content)
                continue
            found = chance.choice(words)
            new = chance.choice(TELLING) if kind < 7 else chance.choice(words).group()
            content = content[: found.start()] + new + content[found.end() :]
    return content


def fuzz(name: str, arguments: list[str], findings: Path) -> None:
    """Run one target in this process; libFuzzer ends it."""
    if name == "rpf01":
        os.environ["NUMBA_DISABLE_JIT"] = "1"  # so that the kernels, as Python, tell what they cover
    import atheris

    # Compiled functions cannot call back into the instrumentation.
    kernels = [f"crossmargin.kernels.{path.stem}" for path in (ROOT / "src/crossmargin/kernels").glob("*.py")]
    with atheris.instrument_imports(
        include=["crossmargin", "tomllib"], exclude=[] if name == "rpf01" else kernels
    ):
        import reader_contract

    target = reader_contract.TARGETS[name]
    met: set[str] = set()
    accepted: list[bytes] = []
    counts = {"read": 0, "unwritable": 0, "refused": 0, "findings": 0}
    folder = tempfile.TemporaryDirectory()

    def one_input(content: bytes) -> None:
        try:
            outcome = reader_contract.outcome(target, content, Path(folder.name))
            counts[outcome] += 1
            if outcome == "read" and len(accepted) < ACCEPTED_KEPT:
                accepted.append(content)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of a native library is no Exception
            counts["findings"] += 1
            keep(error, content)
        if sum(counts.values()) % COUNT_EVERY == 0:
            (findings / f"{name}.json").write_text(json.dumps(counts))

    def keep(error: BaseException, content: bytes) -> None:
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if "crossmargin" in frame.filename or "reader_contract" in frame.filename
        ]
        where = [f"{frame.filename}:{frame.lineno}" for frame in frames]
        kind = f"{type(error).__name__} {re.sub('[0-9]+', '', str(error))[:30] if len(frames) < 3 else ''} {where}"
        mark = hashlib.sha256(kind.encode()).hexdigest()[:12]
        if mark in met:
            return
        met.add(mark)
        (findings / f"{name}-{mark}").write_bytes(content)
        text = "".join(traceback.format_exception(error))
        (findings / f"{name}-{mark}.txt").write_text(text, errors="backslashreplace")
        sys.stderr.write(f"FINDING {name}-{mark}: {type(error).__name__}: {str(error)[:200]}\n")

    def mutate(content: bytes, longest: int, seed: int) -> bytes:
        """Start from a file that is accepted half of the time: most of what covers anything is refused."""
        chance = random.Random(seed)
        if accepted and chance.random() < 0.5:
            content = chance.choice(accepted)
        return mutated(content, chance, lambda some: atheris.Mutate(some, longest))[:longest]

    atheris.Setup([sys.argv[0], *arguments], one_input, custom_mutator=mutate)
    atheris.Fuzz()


def run(name: str, seconds: int, findings: Path, corpus: Path) -> int:
    """Run one target in a process of its own; return how many kinds of failure it met."""
    import reader_contract

    for number, seed in enumerate(reader_contract.TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    stored = reader_contract.CORPUS / name
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={INPUT_BYTES}",
        f"-artifact_prefix={findings}/{name}-",
        "-len_control=0",
        "-mutate_depth=2",
        "-print_final_stats=1",
        str(corpus),
        *([str(stored)] if stored.exists() else []),
    ]
    log = findings / f"{name}.log"
    with log.open("wb") as stream:
        ended = subprocess.run(
            [sys.executable, __file__, name, "--findings", str(findings), "--", *options],
            stderr=stream,
            stdout=stream,
            check=False,
            env=os.environ | {"POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
            timeout=seconds + PER_TARGET_GRACE_SECONDS,
        )
    text = log.read_text(errors="replace")
    executed = re.findall(r"stat::number_of_executed_units: (\d+)", text)
    counts = findings / f"{name}.json"
    found = sorted(path.name for path in findings.glob(f"{name}-*") if path.suffix != ".txt")
    print(
        f"{name}: {executed} executions, {counts.read_text() if counts.exists() else ''}, status {ended.returncode}, {found}",
        flush=True,
    )
    return len(found) + (ended.returncode != 0)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the readers.")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--findings", type=Path)
    own, options = sys.argv[1:], []
    if "--" in own:
        own, options = own[: own.index("--")], own[own.index("--") + 1 :]
    given = parser.parse_args(own)
    if options:
        fuzz(given.targets[0], options, given.findings)
    given.findings.mkdir(parents=True, exist_ok=True)
    bad = 0
    for name in given.targets or NAMES:
        corpus = given.findings / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        bad += run(name, given.seconds, given.findings, corpus)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(main())
