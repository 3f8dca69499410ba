"""The autopilot on a tiny recogniser."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from program import Ended, save_checkpoint, save_speech, sottovoce, write_manifest

from sottovoce.errors import InputError, Interrupted
from sottovoce.models.checkpoint import load
from sottovoce.pipelines import lossless
from sottovoce.pipelines.joint import compress
from sottovoce.pipelines.lossless import bisected, ladder
from sottovoce.pipelines.measured import scored
from sottovoce.pipelines.question import Question
from sottovoce.plan import STORABLE_BITS
from sottovoce.recipe import Recipe
from sottovoce.report.record import RunRecord, SizeTried, System
from sottovoce.runtime.recognition import recognise
from sottovoce.scoring import Transcripts, matched_pairs, score
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.splitting import halves

QUICK = ("--steps", 2, "--evaluations", 1, "--seconds-per-batch", 1, "--learning-rate", 1e-6)


class _Place:
    """A start point, and dev speech of which it recognises one utterance in three."""

    def __init__(self, folder: Path) -> None:
        self.start = save_checkpoint(folder / "start")
        self.train = save_speech(folder / "train", 8)
        path = save_speech(folder / "dev", 25)
        records = [json.loads(line) for line in path.read_text().splitlines()][1:]
        records = [{**one, "id": f"dev-{one['id']}"} for one in records]
        self.unheard = write_manifest(path, records)
        heard = recognise(load(self.start), read_corpus(path)).transcripts.utterances
        for one in records[::3]:
            one["text"] = " ".join(heard[one["id"]][1])
        self.dev = write_manifest(path.with_name("dev.jsonl"), records)
        self.out = folder / "small"

    def run(self, *changes: object) -> Ended:
        return sottovoce(
            *("compress", self.start, "--train", self.train, "--dev", self.dev, "--lossless"),
            *("--out", self.out, *QUICK, *changes),
        )

    @property
    def record(self) -> RunRecord:
        return RunRecord.from_json(json.loads((self.out / "metrics.json").read_text()))


@pytest.fixture
def place(tmp_path: Path, one_thread: None) -> _Place:
    return _Place(tmp_path)


def _passing(monkeypatch: pytest.MonkeyPatch, passes: Callable[[float], bool]) -> list[float]:
    """Sizes pass as told; the list of those that are asked about."""
    asked: list[float] = []
    original = lossless._decided

    def decided(folder: Path, before: Any, bits: float, question: Question) -> SizeTried:
        asked.append(bits)
        return replace(original(folder, before, bits, question), passed=passes(bits))

    monkeypatch.setattr(lossless, "_decided", decided)
    return asked


@pytest.mark.parametrize(
    ("widths", "sizes"),
    [
        ((2, 4, 8), (2, 2.25, 2.5, 2.75, 3, 3.5, 4, 5, 6, 7, 8)),
        ((1.6, 2, 4), (1.6, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.5, 4)),
        ((1, 1.6), (1, 1.25, 1.5, 1.6)),
        ((4,), (4,)),
        ((1.6,), (1.6,)),
    ],
)
def test_the_sizes_suit_the_candidates(widths: tuple[float, ...], sizes: tuple[float, ...]) -> None:
    assert ladder(widths) == sizes


def test_whatever_the_candidates_four_compressions_are_enough() -> None:
    for low, high in combinations(STORABLE_BITS, 2):
        rungs = ladder((low, high))
        for least in rungs:
            walked = bisected(rungs, lambda bits, least=least: _tried(bits, bits >= least))
            assert len(walked) <= 4
            assert least in [one.bits for one in walked]


def _tried(bits: float, passed: bool) -> SizeTried:
    figures = {"bytes": 1, "wer": 0.1, "change": 0.0, "p": 1.0, "seconds": 1.0}
    return SizeTried(bits=bits, verdict="inconclusive", passed=passed, **figures)


@pytest.mark.parametrize("least", [2.0, 3.5, 8.0])
def test_the_smallest_size_that_passes_is_delivered(
    place: _Place, monkeypatch: pytest.MonkeyPatch, least: float
) -> None:
    asked = _passing(monkeypatch, lambda bits: bits >= least)
    ended = place.run()
    assert ended.status == 0, ended.err
    assert least in asked
    assert len(asked) <= 4
    record = place.record
    assert [one.bits for one in record.tried] == asked
    assert [one.passed for one in record.tried] == [bits >= least for bits in asked]
    assert least - 0.35 < record.systems[-1].nominal_bits <= least
    assert record.recipe["bits"] == least
    assert not place.out.with_name("small.unfinished").exists()
    assert f"{least:g} bits" in ended.out
    assert "How the size was found" in (place.out / "report.html").read_text()


def test_the_verdict_is_given_on_speech_that_decided_nothing(place: _Place) -> None:
    assert place.run("--alpha", 0.2, "--detectable", 0.4).status == 0
    decide, judge = halves(read_corpus(place.dev))
    systems = [load(place.start), load(place.out)]
    before, after = (scored(one, judge, "system", None) for one in systems)
    record = place.record
    expected = matched_pairs(before, after, 0.2, 0.4)
    (told,) = record.comparisons
    assert (told.p, told.verdict, told.sentence) == (
        *(expected.p, expected.verdict, expected.sentence),
    )
    assert record.evaluated_on.endswith("second part")
    assert record.systems[-1].words == after.words
    before, after = (scored(one, decide, "system", None) for one in systems)
    (found,) = [one for one in record.tried if one.bits == record.recipe["bits"]]
    assert found.wer == after.wer
    assert found.change == pytest.approx(after.errors / before.errors - 1)


def test_a_size_that_the_other_part_calls_worse_is_given_up(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _passing(monkeypatch, lambda bits: bits >= 2.5 and bits != 2.75)
    original, powers = lossless.comparison, []

    def compared(baseline: Any, after: Any, *question: float) -> Any:
        powers.append(question[-1])
        told = original(baseline, after, *question)
        return replace(told, verdict="worse" if len(powers) == 1 else "inconclusive")

    monkeypatch.setattr(lossless, "comparison", compared)
    assert place.run().status == 0
    # 2.5 is refused; 2.75 was not tried before and does not pass; 3 does, though not tried before
    assert asked == [3.5, 2.5, 2.0, 2.25, 2.75, 3.0]
    assert powers == pytest.approx([0.8, 0.9])  # a second look may miss half as much
    record = place.record
    assert record.recipe["bits"] == 3.0
    assert [one.bits for one in record.tried] == asked
    judged = {one.bits: one.judged for one in record.tried if one.judged}
    assert judged == {2.5: "worse", 3.0: "inconclusive"}
    assert record.seconds == pytest.approx(sum(one.seconds for one in record.tried))
    assert "these called 1 smaller size worse before" in (place.out / "report.html").read_text()


def test_sizes_are_held_against_the_baseline_too(
    place: _Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flawless(recogniser: Any, corpus: Any, name: str, console: Any) -> Any:
        own = scored(recogniser, corpus, name, console)
        return score(own.reference, own.reference) if name.startswith("faultless") else own

    monkeypatch.setattr(lossless, "scored", flawless)
    ended = place.run("--baseline", save_checkpoint(tmp_path / "faultless"))
    assert ended.status == 2
    assert "no size passes" in ended.err


def test_one_error_more_than_none_is_a_loss(tmp_path: Path) -> None:
    reference = {"a": ("", ("b", "c")), "b": ("", ("c",))}
    faultless = score(*[Transcripts("system", reference)] * 2)
    Transcripts("compressed", {**reference, "b": ("", ("b",))}).write_trn(
        tmp_path / "compressed.trn"
    )
    system = System("compressed", 100, 4.0, 4.1, 0.1, 0.05, 0.15, "speaker", 1, 0, 0, 10)
    record = RunRecord(
        **dict.fromkeys(("version", "created", "command", "source", "evaluated_on", "device"), ""),
        **dict.fromkeys(("comparisons", "layers", "history", "got_worse"), ()),
        **{"systems": (system,), "recipe": {}, "seconds": 1.0},
    )
    (tmp_path / "metrics.json").write_text(json.dumps(record.to_json()))
    found = lossless._decided(tmp_path, [faultless], 4.0, Question())
    assert (found.change, found.passed) == (1.0, False)


def test_an_interrupted_search_goes_on(place: _Place, monkeypatch: pytest.MonkeyPatch) -> None:
    made, original = [], lossless.compress

    def interrupted(*given: Any, **named: Any) -> RunRecord:
        made.append(given[4].bits)
        if len(made) == 2:
            raise Interrupted("interrupted")
        return original(*given, **named)

    monkeypatch.setattr(lossless, "compress", interrupted)
    assert place.run().status == 130
    save_speech(place.train.parent, 7)
    refused = place.run("--resume")
    assert refused.status == 2
    assert "not started with the same training speech;" in refused.err
    save_speech(place.train.parent, 8)
    assert place.run("--resume").status == 0
    assert made[2] == made[1]
    assert len(set(made)) == len(made) - 1


@pytest.mark.parametrize(("candidates", "least"), [("4", 4.0), ("1,1.6,2", 1.0)])
def test_candidates_need_no_size_beside_them(
    place: _Place, monkeypatch: pytest.MonkeyPatch, candidates: str, least: float
) -> None:
    """Also where the default size lies outside them."""
    asked = _passing(monkeypatch, lambda bits: True)
    ended = place.run("--candidates", candidates)
    assert ended.status == 0, ended.err
    assert asked[-1] == place.record.recipe["bits"] == least
    assert place.record.systems[-1].nominal_bits == least


def test_a_recipe_without_a_size_is_for_the_search_alone(place: _Place) -> None:
    with pytest.raises(InputError, match="no size: give bits"):
        compress(place.start, place.train, place.dev, place.out, Recipe(bits=None))
    assert not list(place.out.parent.glob("small*"))


def test_where_no_size_passes_it_says_so(place: _Place, monkeypatch: pytest.MonkeyPatch) -> None:
    _passing(monkeypatch, lambda bits: False)
    ended = place.run()
    assert ended.status == 2
    assert "no size passes: 8 bits" in ended.err
    assert not place.out.exists()
    _passing(monkeypatch, lambda bits: bits == 8)
    monkeypatch.setattr(lossless, "compress", None)  # another question needs no training
    ended = place.run("--detectable", 0.2, "--resume")
    assert ended.status == 0, ended.err


def test_a_start_point_that_recognises_nothing_is_refused_before_any_training(
    place: _Place, updates: list[int]
) -> None:
    ended = place.run("--dev", place.unheard)
    assert ended.status == 2
    assert f"{place.start} recognises nothing of dev/speech, first part (WER 1" in ended.err
    assert "fine-tune it first" in ended.err
    assert (updates, place.out.with_name("small.unfinished").exists()) == ([], False)


def test_a_plain_compression_of_it_warns_and_its_papers_say_so(place: _Place) -> None:
    ended = sottovoce(
        *("compress", place.start, "--train", place.train, "--dev", place.unheard),
        *("--out", place.out, *QUICK),
    )
    assert ended.status == 0, ended.err
    (note,) = place.record.notes
    assert "recognises nothing of dev/speech (WER 1" in note
    assert f"warning: {note}\n" in ended.err


def test_too_few_words_are_told_of_before_any_training(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: Any, **named: Any) -> RunRecord:
        raise Interrupted("interrupted")

    monkeypatch.setattr(lossless, "compress", interrupted)
    ended = place.run()
    assert ended.status == 130
    assert "warning: dev/dev, second part has " in ended.err
    assert "by experience 197 are the fewest to detect a loss of 10.0%" in ended.err


def test_what_cannot_be_asked_is_refused(place: _Place, tmp_path: Path) -> None:
    for dials, told in (
        (("--alpha", 0), "alpha is 0"),
        (("--detectable", 1.5), "detectable is 1.5"),
        (("--bits", 3), "--lossless searches for the size that --bits sets"),
        (("--eta", 0.1), "--lossless searches for the size that --eta sets"),
        (("--baseline", tmp_path / "none"), "none"),
        (("--dev", place.train), "train/speech holds 8 utterances of"),
        (("--dev", save_speech(tmp_path / "few", 11)), "holds 1 utterance of"),
    ):
        ended = place.run(*dials)
        assert ended.status == 2, ended.err
        assert told in ended.err
        assert list(tmp_path.glob("small*")) == []
