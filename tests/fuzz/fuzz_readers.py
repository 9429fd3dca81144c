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
import zlib
from pathlib import Path

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "src" / "crossmargin" / "kernels"
PACKAGES = ["crossmargin", "tomllib"]
OURS = ("crossmargin", "reader_contract")
NAMES = (
    "rpf01",
    "positions",
    "corporate_actions",
    "participant",
    "span_positional",
    "span_xml",
    "span_positions",
    "span_settings",
    "market",
)
INPUT_SECONDS = 10
MEMORY_MB = 3072
INPUT_BYTES = 24_000
ACCEPTED_KEPT = 200
ACCEPTED_SHARE = 0.5
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


class Findings:
    """One input of each kind of failure, with its traceback, and how many inputs ended how."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.met: set[str] = set()
        self.counts = {"read": 0, "unwritable": 0, "refused": 0, "broken": 0}

    def count(self, outcome: str) -> None:
        self.counts[outcome] += 1
        if sum(self.counts.values()) % COUNT_EVERY == 0:
            (self.folder / f"{self.name}.json").write_text(json.dumps(self.counts))

    def keep(self, error: BaseException, content: bytes) -> None:
        """Keep what fails in a new place: another type, or another way there through our own files."""
        self.count("broken")
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if any(part in frame.filename for part in OURS)]
        way = [(frame.filename, frame.lineno) for frame in ours]
        mark = hashlib.sha256(repr((type(error), way)).encode()).hexdigest()[:12]
        if mark in self.met:
            return
        self.met.add(mark)
        (self.folder / f"{self.name}-{mark}").write_bytes(content)
        text = "".join(traceback.format_exception(error))
        (self.folder / f"{self.name}-{mark}.txt").write_text(text, errors="backslashreplace")


def fuzz(name: str, arguments: list[str], folder: Path) -> None:
    """Run one target in this process; libFuzzer ends it."""
    compiled = name != "rpf01"
    if not compiled:
        os.environ["NUMBA_DISABLE_JIT"] = "1"  # so that the kernels, as Python, tell what they cover
    import atheris  # noqa: PLC0415  (Python 3.11 only)

    # A compiled function cannot call the instrumentation.
    kernels = [f"crossmargin.kernels.{path.stem}" for path in KERNELS.glob("*.py")]
    with atheris.instrument_imports(PACKAGES, exclude=kernels if compiled else []):
        import reader_contract  # noqa: PLC0415  (instruments what it imports)

    target = reader_contract.TARGETS[name]
    findings = Findings(name, folder)
    accepted: list[bytes] = []

    def one_input(content: bytes) -> None:
        try:
            write = zlib.crc32(content) % target.dear == 0
            outcome = reader_contract.outcome(target, content, Path(scratch), write=write)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  (a panic of a native library is no Exception)
            findings.keep(error, content)
        else:
            findings.count(outcome)
            if outcome == "read" and len(accepted) < ACCEPTED_KEPT:
                accepted.append(content)

    def mutate(content: bytes, longest: int, seed: int) -> bytes:
        """Start from an accepted file half of the time: most of what covers anything new is refused."""
        chance = random.Random(seed)  # noqa: S311
        if accepted and chance.random() < ACCEPTED_SHARE:
            content = chance.choice(accepted)
        return mutated(content, chance, lambda some: atheris.Mutate(some, longest))[:longest]

    with tempfile.TemporaryDirectory() as scratch:
        atheris.Setup([sys.argv[0], *arguments], one_input, custom_mutator=mutate)
        atheris.Fuzz()


def run(name: str, seconds: int, folder: Path) -> int:
    """Run one target in a process of its own; return how many kinds of failure it met."""
    import reader_contract  # noqa: PLC0415  (must not be imported before it can be instrumented)

    corpus = folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{name}[.-]*"):
        old.unlink()
    for number, seed in enumerate(reader_contract.TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    stored = reader_contract.CORPUS / name
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={INPUT_BYTES}",
        f"-artifact_prefix={folder}/{name}-",
        "-len_control=0",
        "-mutate_depth=2",
        "-print_final_stats=1",
        str(corpus),
        *([str(stored)] if stored.exists() else []),
    ]
    log = folder / f"{name}.log"
    with log.open("wb") as stream:
        ended = subprocess.run(  # noqa: S603  (this file)
            [sys.executable, __file__, name, "--findings", str(folder), "--", *options],
            stdout=stream,
            stderr=stream,
            check=False,
            env=os.environ | {"POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
        )
    executed = re.search(r"number_of_executed_units: (\d+)", log.read_text(errors="replace"))
    counts = folder / f"{name}.json"
    found = sorted(path for path in folder.glob(f"{name}-*") if path.suffix != ".txt")
    told = [
        f"{name}: {executed[1] if executed else 'unknown'} executions",
        counts.read_text() if counts.exists() else "",
        f"exit status {ended.returncode}",
        *map(str, found),
    ]
    sys.stdout.write("\n  ".join(told) + "\n")
    sys.stdout.flush()
    return len(found) + (ended.returncode != 0)


def main() -> int:
    own, options = sys.argv[1:], []
    if "--" in own:  # the process of one target, with options of libFuzzer
        own, options = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser(description="Fuzz the readers of files.")
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}; all unless given"
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"), help="folder")
    given = parser.parse_args(own)
    if strange := set(given.targets) - set(NAMES):
        parser.error(f"no target {', '.join(sorted(strange))}")
    given.findings.mkdir(parents=True, exist_ok=True)
    if options:
        fuzz(given.targets[0], options, given.findings)
    bad = sum(run(name, given.seconds, given.findings) for name in given.targets or NAMES)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(main())
