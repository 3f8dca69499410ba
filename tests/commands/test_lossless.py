"""The autopilot on a tiny recogniser."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from program import Ended, save_checkpoint, save_speech, sottovoce, write_manifest

from sottovoce.commands import lossless, prepared
from sottovoce.commands import scored_systems as measured
from sottovoce.commands.compress import compress
from sottovoce.commands.criterion import LosslessCriterion
from sottovoce.commands.lossless import bisect, ladder, power_of_look, upwards
from sottovoce.commands.scored_systems import evaluate_recogniser
from sottovoce.config.recipe import Recipe
from sottovoce.errors import InputError, Interrupted
from sottovoce.loading import load, load_checkpoint
from sottovoce.quantization.plan import STORABLE_BITS
from sottovoce.record import Comparison, RunRecord, System, TriedSize
from sottovoce.runtime.recognition import recognise
from sottovoce.scoring import Score, Transcripts, matched_pairs, score
from sottovoce.speech.corpora import read_corpus
from sottovoce.speech.splitting import split_in_halves
from sottovoce.training import loop

QUICK = ("--steps", 2, "--evaluations", 1, "--seconds-per-batch", 1, "--learning-rate", 1e-6)

SEEDED = torch.Generator().manual_seed(0)


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
            walked = bisect(rungs, lambda bits, least=least: _tried(bits, bits >= least))
            assert len(walked) <= 4
            assert least in [one.bits for one in walked]


def _tried(bits: float, passed: bool) -> TriedSize:
    figures = {"bytes": 1, "wer": 0.1, "change": 0.0, "p": 1.0, "seconds": 1.0}
    return TriedSize(bits=bits, verdict="inconclusive", passed=passed, **figures)


def _judged(bits: float, verdict: str) -> tuple[RunRecord, Score]:
    """A record of a size with a verdict, as `upwards` is told of it."""
    told = Comparison("input", "MAPSSWE", 9, 0.0, 1.0, 0.1, verdict, "")
    empty = dict.fromkeys(("version", "created", "command", "source", "evaluated_on", "device"), "")
    nothing = dict.fromkeys(("systems", "layers", "history", "got_worse"), ())
    record = RunRecord(**empty, **nothing, recipe={"bits": bits}, seconds=0.0, comparisons=(told,))
    reference = Transcripts("reference", {"a": ("", ("b",))})
    return record, score(reference, reference)


def test_a_size_that_the_other_part_calls_worse_is_given_up() -> None:
    """2.5 is; 2.75 was not tried and does not pass; 3 does, though it was not tried before."""
    asked, looked = [], []

    def tried(bits: float) -> TriedSize:
        asked.append(bits)
        return _tried(bits, bits >= 2.5 and bits != 2.75)

    def judged(bits: float, looks: int) -> tuple[RunRecord, Score]:
        looked.append((bits, looks))
        return _judged(bits, "worse" if bits == 2.5 else "inconclusive")

    rungs = ladder((2, 4, 8))
    walked = bisect(rungs, tried)
    assert asked == [3.5, 2.5, 2.0, 2.25]
    found = upwards([one for one in rungs if one >= 2.5], walked, tried, judged)
    assert found is not None
    assert asked == [3.5, 2.5, 2.0, 2.25, 2.75, 3.0]
    assert looked == [(2.5, 0), (3.0, 1)]
    assert found[0].recipe["bits"] == 3.0
    assert {one.bits: one.judged for one in found[0].tried if one.judged} == {
        2.5: "worse",
        3.0: "inconclusive",
    }
    assert found[0].seconds == len(asked)
    assert upwards(rungs, walked, tried, lambda bits, _: _judged(bits, "worse")) is None


def test_a_later_look_at_the_same_speech_may_miss_half_as_much() -> None:
    assert [power_of_look(looks) for looks in range(3)] == pytest.approx([0.8, 0.9, 0.95])


@pytest.mark.parametrize("detectable", [0.1, 0.09])
def test_the_smallest_size_that_passes_is_delivered(place: _Place, detectable: float) -> None:
    ended = place.run("--detectable", detectable)
    assert ended.status == 0, ended.err
    record = place.record
    passed = [one.bits for one in record.tried if one.passed]
    assert 0 < len(record.tried) <= 4
    assert [one.passed for one in record.tried] == [
        one.change <= detectable / 2 and one.verdict != "worse" for one in record.tried
    ]
    least = min(passed)
    assert (len(passed) < len(record.tried)) == (detectable == 0.09)  # both kinds are met
    assert least - 0.35 < record.systems[-1].nominal_bits <= least
    assert record.recipe["bits"] == least
    assert not place.out.with_name("small.unfinished").exists()
    assert f"{least:g} bits" in ended.out
    assert "How the size was found" in (place.out / "report.html").read_text()


def test_the_checkpoint_is_loaded_once_and_scored_once_on_either_part(
    place: _Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, heard = [], []

    def counting_load(source: Any, *decoding: Any) -> Any:
        loaded.append(source)
        return load_checkpoint(source, *decoding)

    def counting_recognise(engine: Any, corpus: Any, **named: Any) -> Any:
        heard.append((named.get("name"), corpus.name))
        return recognise(engine, corpus, **named)

    monkeypatch.setattr(prepared, "load_checkpoint", counting_load)
    monkeypatch.setattr(measured, "recognise", counting_recognise)
    assert place.run("--finetune", "start").status == 0
    assert [str(one) for one in loaded] == [str(place.start)]
    parts = [part for name, part in heard if name == "input checkpoint"]
    assert len(parts) == len(set(parts)) == 2


def test_the_verdict_is_given_on_speech_that_decided_nothing(place: _Place) -> None:
    assert place.run("--alpha", 0.2, "--detectable", 0.4).status == 0
    decide, judge = split_in_halves(read_corpus(place.dev))
    systems = [load(place.start), load(place.out)]
    before, after = (evaluate_recogniser(one, judge, "system", None) for one in systems)
    record = place.record
    expected = matched_pairs(before, after, 0.2, 0.4)
    (told,) = record.comparisons
    assert (told.p, told.verdict, told.sentence) == (
        *(expected.p, expected.verdict, expected.sentence),
    )
    assert record.evaluated_on.endswith("second part")
    assert record.systems[-1].words == after.words
    before, after = (evaluate_recogniser(one, decide, "system", None) for one in systems)
    (found,) = [one for one in record.tried if one.bits == record.recipe["bits"]]
    assert found.wer == after.wer
    assert found.change == pytest.approx(after.errors / before.errors - 1)


def test_sizes_are_held_against_the_baseline_too(place: _Place, tmp_path: Path) -> None:
    """The baseline makes no errors: the transcripts are what it hears."""
    worse = load(place.start)
    with torch.no_grad():
        for one in worse.model.parameters():
            one.add_(0.1 * one.std() * torch.randn(one.shape, generator=SEEDED))
    worse.model.save_pretrained(tmp_path / "worse")
    worse.processor.save_pretrained(tmp_path / "worse")
    heard = recognise(load(place.start), read_corpus(place.dev)).transcripts.utterances
    records = [json.loads(line) for line in place.dev.read_text().splitlines()]
    for one in records:
        one["text"] = " ".join(heard[one["id"]][1])
    write_manifest(place.dev, records)
    baseline, place.start = place.start, tmp_path / "worse"
    ended = place.run("--candidates", 4, "--detectable", 0.99, "--baseline", baseline)
    assert ended.status == 2
    assert "no size passes: 4 bits" in ended.err
    ended = place.run("--candidates", 4, "--detectable", 0.99, "--resume")
    assert ended.status == 0, ended.err


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
    found = lossless._decided(tmp_path, [faultless], 4.0, LosslessCriterion())
    assert (found.change, found.passed) == (1.0, False)


def test_an_interrupted_search_goes_on(place: _Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of three sizes is finished then, and the second half trained."""
    made, original = [], loop.make_update

    def interrupted(*given: Any) -> Any:
        made.append(1)
        if len(made) == 4:
            raise Interrupted("interrupted")
        return original(*given)

    monkeypatch.setattr(loop, "_SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(loop, "make_update", interrupted)
    assert place.run().status == 130
    unfinished = place.out.with_name("small.unfinished")
    assert (unfinished / "3.5 bits" / "metrics.json").is_file()
    assert not (unfinished / "2.5 bits").exists()
    assert len(list((unfinished / "shared").glob("pass 1, */state.safetensors"))) == 2
    save_speech(place.train.parent, 7)
    refused = place.run("--resume")
    assert refused.status == 2
    assert "not started with the same training speech;" in refused.err
    save_speech(place.train.parent, 8)
    assert place.run("--resume").status == 0
    assert len(made) == 2 + 1 + 1 + 1 + 2  # the fourth is made again
    whole = place.out
    place.out = whole.with_name("whole")
    assert place.run().status == 0
    name = "model.safetensors"
    assert (whole / name).read_bytes() == (place.out / name).read_bytes()


@pytest.mark.parametrize(("candidates", "least"), [("4", 4.0), ("1,1.6,2", 1.0)])
def test_candidates_need_no_size_beside_them(place: _Place, candidates: str, least: float) -> None:
    """Also where the default size lies outside them."""
    ended = place.run("--candidates", candidates, "--detectable", 0.99)
    assert ended.status == 0, ended.err
    assert [one.passed for one in place.record.tried][-1]
    assert place.record.tried[-1].bits == place.record.recipe["bits"] == least
    assert place.record.systems[-1].nominal_bits == least


def test_a_recipe_without_a_size_is_for_the_search_alone(place: _Place) -> None:
    with pytest.raises(InputError, match="no size: give bits"):
        compress(place.start, place.train, place.dev, place.out, Recipe(bits=None))
    assert not list(place.out.parent.glob("small*"))


def test_where_no_size_passes_it_says_so_and_may_be_asked_less(
    place: _Place, updates: list[int]
) -> None:
    harmful = ("--learning-rate", 1e-2)
    ended = place.run(*harmful)
    assert ended.status == 2
    assert "no size passes: 8 bits" in ended.err
    assert "or allow a larger loss (--detectable) and go on with: sottovoce" in ended.err
    assert not place.out.exists()
    trained = len(updates)
    ended = place.run(*harmful, "--detectable", 0.99, "--resume")
    assert ended.status == 0, ended.err
    assert place.record.tried[0].bits == 3.5
    trained_anew = {one.bits for one in place.record.tried} - {3.5, 6, 7, 8}
    assert len(updates) == trained + 2 * len(trained_anew)


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
    def interrupted(*given: Any) -> None:
        raise Interrupted("interrupted")

    monkeypatch.setattr(loop, "make_update", interrupted)
    ended = place.run()
    assert ended.status == 130
    assert "warning: dev/dev, second part has " in ended.err
    assert "by experience 197 are the fewest to detect a loss of 10.0%" in ended.err


def test_what_cannot_be_asked_is_refused(place: _Place, tmp_path: Path) -> None:
    for options, told in (
        (("--alpha", 0), "alpha is 0"),
        (("--detectable", 1.5), "detectable is 1.5"),
        (("--bits", 3), "--lossless searches for the size that --bits sets"),
        (("--eta", 0.1), "--lossless searches for the size that --eta sets"),
        (("--baseline", tmp_path / "none"), "none"),
        (("--dev", place.train), "train/speech holds 8 utterances of"),
        (("--dev", save_speech(tmp_path / "few", 11)), "holds 1 utterance of"),
    ):
        ended = place.run(*options)
        assert ended.status == 2, ended.err
        assert told in ended.err
        assert list(tmp_path.glob("small*")) == []
