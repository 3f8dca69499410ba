"""What labels add to a text, for programs that have no tokenizer."""

import itertools

import pytest
from tiny import tiny_processor

from sottovoce.speech.subwords import labels_of


@pytest.mark.parametrize("family", ["wav2vec2", "parakeet_ctc"])
def test_joined_pieces_are_the_decoded_text(tmp_path, family):
    labels = labels_of(tiny_processor(tmp_path, family).tokenizer)
    sounding = [label for label in sorted(labels.written) if label != labels.blank]
    for frames in itertools.permutations(sounding, 3):
        text = "".join(labels.pieces[label] for label in frames)
        assert " ".join(text.split()) == labels.decode(frames)
