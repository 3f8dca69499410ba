"""Random systems, and what NIST's SCTK says of them.

Run as a program it writes `sctk_expectations.json` anew, so that the tests have SCTK's word where
the program itself (Debian and Ubuntu: `apt install sctk`) is absent:

    python tests/scoring/make_sctk_expectations.py
"""

import json
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

EXPECTATIONS = Path(__file__).with_name("sctk_expectations.json")

Texts = dict[str, str]
"""Utterance, as `speaker-utterance`, -> its words."""


@dataclass(frozen=True)
class Trial:
    """A reference and systems that recognised it, each named."""

    reference: Texts
    systems: dict[str, Texts]


def random_trial(seed: int, utterances: int, longest: int, letters: str) -> Trial:
    """Eight systems, from perfect to hardly usable; the fewer letters, the more words repeat.

    Among them two with the same output ("first", "same") and two whose errors differ by one in
    every segment ("perfect", "echo", which adds a word to the end of each utterance).
    """
    rng = random.Random(seed)
    speakers = [f"s{number}" for number in range(rng.randint(1, 6))]
    reference = {
        f"{rng.choice(speakers)}-u{number}": " ".join(
            rng.choice(letters) for _ in range(rng.randint(0, longest))
        )
        for number in range(utterances)
    }
    first = _recognised(rng, reference, 0.1, letters)
    systems = {
        "perfect": reference,
        "echo": {name: f"{text} {rng.choice(letters)}" for name, text in reference.items()},
        "first": first,
        "same": first,
        "silent": {name: text if rng.random() < 0.9 else "" for name, text in first.items()},
    }
    for name, rate in (("close", 0.1), ("good", 0.06), ("poor", 0.5)):
        systems[name] = _recognised(rng, reference, rate, letters)
    return Trial(reference, systems)


def _recognised(rng: random.Random, reference: Texts, rate: float, letters: str) -> Texts:
    return {name: _corrupted(rng, text.split(), rate, letters) for name, text in reference.items()}


def _corrupted(rng: random.Random, words: list[str], rate: float, letters: str) -> str:
    heard: list[str] = []
    while rng.random() < rate / 2:
        heard.append(rng.choice(letters))
    for word in words:
        error = rng.choice("SDI") if rng.random() < rate else ""
        if error != "D":
            heard.append(rng.choice(letters) if error == "S" else word)
        while error == "I":
            heard.append(rng.choice(letters))
            error = rng.choice(["I", ""])
    return " ".join(heard)


def sctk_alignments(trial: Trial, folder: Path) -> tuple[dict[str, dict[str, str]], str]:
    """sclite's edits of each system and utterance, such as "CCSDI", and its SGML of all systems."""
    _write_trn(folder / "reference.trn", trial.reference)
    sgml, edits = "", {}
    for system, texts in trial.systems.items():
        _write_trn(folder / f"{system}.trn", texts)
        files = ["-r", "reference.trn", "trn", "-h", f"{system}.trn", "trn", system]
        aligned = _sctk(["sclite", "-i", "spu_id", *files, "-o", "sgml", "stdout"], folder)
        edits[system] = {
            utterance: "".join(re.findall(r"([CSDI]),(?:\"\w+\")?,(?:\"\w+\")?", pairs))
            for utterance, pairs in re.findall(r'<PATH id="\((.+?)\)".*\n(.*)\n', aligned)
        }
        sgml += aligned
    return edits, sgml


def sctk_tests(trial: Trial, sgml: str, folder: Path) -> dict[str, dict[str, float | str]]:
    """sc_stats's figures as it prints them, for every pair of systems ("a b")."""
    _sctk(["sc_stats", "-p", "-t", "mapsswe", "-v", "-n", "figures"], folder, sgml)
    _sctk(["sc_stats", "-p", "-t", "mapsswe", "-u", "-n", "p"], folder, sgml)
    figures = (folder / "figures.stats.mapsswe").read_text()
    p_of = dict(_p_values((folder / "p.stats.unified").read_text(), list(trial.systems)))
    tests: dict[str, dict[str, float | str]] = {}
    for a, b, segments, rest in re.findall(
        r"MTCH_PR_RESULTS \(systems: (\w+) (\w+)\) \(# segs: (\d+)\)(.*)", figures
    ):
        mean, sd, z = re.findall(r"\((?:mean|std dev|Z Stat): +(\S+)\)", rest)
        tests[f"{a} {b}"] = {
            "segments": int(segments),
            "mean": float(mean),
            "sd": float(sd),
            "z": float(z),
            "p": p_of[a, b],
        }
    if len(tests) != len(list(combinations(trial.systems, 2))):
        raise RuntimeError("sc_stats printed fewer comparisons than there are pairs of systems")
    return tests


def _p_values(report: str, systems: list[str]) -> Iterator[tuple[tuple[str, str], str]]:
    """(row's system, column's system), and p as printed ("0.144" or "<0.001")."""
    for line in report.splitlines():
        if not re.match(r"\|\s+MP\s+\|\|", line):
            continue
        row, *cells = line.split("||")[1].split("|")
        for column, cell in zip(systems, cells, strict=True):
            if cell.strip():
                yield (row.strip(), column), cell.split()[1]


def _write_trn(path: Path, texts: Texts) -> None:
    path.write_text("".join(f"{text} ({name})\n" for name, text in texts.items()))


def _sctk(arguments: list[str], folder: Path, given: str = "") -> str:
    done = subprocess.run(
        ["sctk", *arguments], cwd=folder, input=given, capture_output=True, text=True, check=True
    )
    return done.stdout


def main() -> None:
    """Write the stored expectations."""
    stored = []
    for seed, (utterances, longest, letters) in enumerate(
        [(60, 12, "abcdefgh"), (40, 8, "ab"), (12, 20, "abcdefghijklmnopqrst")]
    ):
        trial = random_trial(seed, utterances, longest, letters)
        with TemporaryDirectory() as folder:
            edits, sgml = sctk_alignments(trial, Path(folder))
            tests = sctk_tests(trial, sgml, Path(folder))
        stored.append(
            {"reference": trial.reference, "systems": trial.systems, "edits": edits, "tests": tests}
        )
    EXPECTATIONS.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
