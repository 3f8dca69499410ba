"""Word error rates, their intervals, and the written score."""

import json
from pathlib import Path

import numpy as np
import pytest

from sottovoce.errors import InputError
from sottovoce.scoring import Score, Transcripts, score


def transcripts(name: str, texts: dict[str, str], speakers: str = "") -> Transcripts:
    """Utterance i is spoken by letter i of `speakers`; by an unknown one where there is none."""
    return Transcripts(
        name,
        {
            utterance: (speakers[index : index + 1], tuple(text.split()))
            for index, (utterance, text) in enumerate(texts.items())
        },
    )


def scored(references: list[str], hypotheses: list[str], speakers: str = "") -> Score:
    ids = [f"u{number}" for number in range(len(references))]
    return score(
        transcripts("reference", dict(zip(ids, references, strict=True)), speakers),
        transcripts("hypothesis", dict(zip(ids, hypotheses, strict=True)), speakers),
    )


def test_totals() -> None:
    found = scored(["a b c", "d e", ""], ["a x c", "e", "y z"])
    assert (found.substitutions, found.deletions, found.insertions) == (1, 1, 2)
    assert (found.errors, found.words) == (4, 5)
    assert found.wer == pytest.approx(0.8)
    assert found.alignments["u2"].insertions == 2


def test_a_rate_above_one() -> None:
    assert scored(["a"], ["a b c"]).wer == 2


def test_no_reference_word_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="reference has no words in its 2 utterances"):
        scored(["", ""], ["a", ""])


def test_utterances_that_do_not_match_are_named() -> None:
    reference = transcripts("reference", dict.fromkeys("abcdef", "word"))
    with pytest.raises(InputError, match=r"hyp lacks utterances 'b', 'c', 'd' and 2 more of ref"):
        score(reference, transcripts("hyp", {"a": "word"}))
    with pytest.raises(InputError, match="hyp holds utterance 'g', which reference lacks"):
        score(reference, transcripts("hyp", dict.fromkeys("abcdefg", "word")))


def test_the_order_of_the_hypotheses_does_not_matter() -> None:
    reference = transcripts("reference", {"a": "one two", "b": "three"})
    assert score(reference, transcripts("hyp", {"b": "three", "a": "one"})).wer == pytest.approx(
        1 / 3
    )


def test_whole_speakers_are_resampled() -> None:
    """Speaker p is always right and q always wrong, so a draw gives WER 0, 1/2 or 1."""
    references = ["a b"] * 40
    by_speaker = scored(references, ["a b"] * 20 + ["x y"] * 20, "p" * 20 + "q" * 20).interval()
    assert (by_speaker.low, by_speaker.high) == (0, 1)
    assert (by_speaker.resampled_by, by_speaker.units) == ("speaker", 2)


@pytest.mark.parametrize("speakers", ["", "p" * 200, "pq" + "r" * 100])
def test_utterances_are_resampled_where_speakers_do_not_tell(speakers: str) -> None:
    hypotheses = ["a b c d e"] * 100 + ["a b c d x"] * 100
    found = scored(["a b c d e"] * 200, hypotheses, speakers).interval()
    assert (found.resampled_by, found.units) == ("utterance", 200)
    deviation = 0.2 * np.sqrt(0.5 * 0.5 / 200)
    assert found.low == pytest.approx(0.1 - 1.96 * deviation, abs=0.002)
    assert found.high == pytest.approx(0.1 + 1.96 * deviation, abs=0.002)


def test_the_interval_is_seeded() -> None:
    found = scored(["a b c"] * 50, ["a b x", "a b c", "x b", "a", "c"] * 10)
    assert found.interval(seed=1) == found.interval(seed=1)
    assert found.interval(seed=1) != found.interval(seed=2)
    assert found.interval(level=0.5).high < found.interval().high


def test_draws_without_reference_words_are_left_out() -> None:
    found = scored(["a b", "", ""], ["a x", "", ""]).interval()
    assert (found.low, found.high) == (0.5, 0.5)


def test_the_sentence() -> None:
    found = scored(["a b c d"] * 2, ["a b c d", "a b x"], "pq")
    assert found.sentence == (
        "WER 25.00%, 95% interval 0.00% to 50.00% (2 speakers resampled): "
        "1 substituted, 1 deleted and 0 inserted in 8 words."
    )


def test_what_is_written(tmp_path: Path) -> None:
    found = scored(["a b c", ""], ["a x", "é"], "pq")
    found.write(tmp_path / "new" / "folder", real_time_factor=0.5)
    folder = tmp_path / "new" / "folder"
    assert sorted(file.name for file in folder.iterdir()) == [
        "hypothesis.trn",
        "reference.trn",
        "score.json",
    ]
    again = score(
        Transcripts.read_trn(folder / "reference.trn"),
        Transcripts.read_trn(folder / "hypothesis.trn"),
    )
    assert again.alignments == found.alignments
    record = json.loads((folder / "score.json").read_text(encoding="utf-8"))
    assert record["real_time_factor"] == 0.5
    assert record["wer"] == pytest.approx(1)
    assert record["interval"]["resampled_by"] == "speaker"
    assert record["utterances"][0] == {
        "id": "u0",
        "speaker": "p",
        "substitutions": 1,
        "deletions": 1,
        "insertions": 0,
        "words": 3,
        "pairs": [["a", "a"], ["b", None], ["c", "x"]],
    }
    assert record["utterances"][1]["pairs"] == [[None, "é"]]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="taken cannot be made"):
        scored(["a"], ["a"]).write(tmp_path / "taken")
