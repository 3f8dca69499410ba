import json
import random
import string

import pytest
import torch
from transformers import Wav2Vec2CTCTokenizer

from sottovoce.errors import InputError
from sottovoce.speech.labels import Labels, least_frames, new_vocabulary

LIBRISPEECH = ["<pad>", "<s>", "</s>", "<unk>", "|", *string.ascii_uppercase, "'"]
GERMAN = ["[PAD]", "[UNK]", "|", *"abcdefghijklmnopqrstuvwxyzäöüß-"]


@pytest.fixture
def tokenizer_of(tmp_path):
    def make(tokens, **options):
        path = tmp_path / "vocab.json"
        path.write_text(json.dumps({token: label for label, token in enumerate(tokens)}))
        return Wav2Vec2CTCTokenizer(path, **options)

    return make


@pytest.fixture
def labels_of(tokenizer_of):
    return lambda tokens, **options: Labels.of_tokenizer(tokenizer_of(tokens, **options))


@pytest.fixture
def english(labels_of):
    return labels_of(LIBRISPEECH)


@pytest.fixture
def german(labels_of):
    return labels_of(GERMAN, pad_token="[PAD]", unk_token="[UNK]", bos_token=None, eos_token=None)


def random_frames(size, excluded, count=300):
    source = random.Random(size)
    allowed = [label for label in range(size) if label not in excluded]
    return [
        [
            label
            for _ in range(source.randrange(30))
            for label in [source.choice(allowed)] * source.randrange(1, 4)
        ]
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("tokens", "options", "special"),
    [
        (LIBRISPEECH, {}, {1, 2, 3}),
        (LIBRISPEECH, {"do_lower_case": True}, {1, 2, 3}),
        (
            GERMAN,
            {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": None, "eos_token": None},
            {1},
        ),
        (["<pad>", "|", "a", "b", "ch", "ll", "c"], {"unk_token": "<pad>"}, set()),
    ],
)
def test_decoding_agrees_with_the_tokenizer(tokenizer_of, tokens, options, special):
    tokenizer = tokenizer_of(tokens, **options)
    labels = Labels.of_tokenizer(tokenizer)
    for frames in random_frames(len(tokens), special):
        assert labels.decode(frames) == tokenizer.decode(frames)


def test_decoding_agrees_with_the_reference_model_s_tokenizer(shared):
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(shared / "models" / "commands-wav2vec2")
    labels = Labels.of_tokenizer(tokenizer)
    assert labels.blank == 0
    for frames in random_frames(21, set()):
        assert labels.decode(frames) == tokenizer.decode(frames)
    assert labels.encode("taraju yasar") == tokenizer("taraju yasar").input_ids


def test_other_special_tokens_and_unknown_labels_are_dropped(tokenizer_of):
    tokenizer = tokenizer_of(LIBRISPEECH)
    labels = Labels.of_tokenizer(tokenizer)
    for frames in random_frames(40, set()):
        spelled = tokenizer.convert_tokens_to_string(tokenizer.convert_ids_to_tokens(frames))
        text = spelled["text"].replace("<s>", "").replace("</s>", "").replace("<unk>", "")
        assert labels.decode(frames) == text.strip()


def test_frames_may_be_a_tensor(english):
    assert english.decode(torch.tensor([5, 5, 0, 5, 4, 4, 6])) == "AA B"


@pytest.mark.parametrize("text", ["HELLO WORLD", "A", "", "IT'S  THREE'S"])
def test_what_is_encoded_decodes_to_the_normalised_text(english, text):
    labels = english.encode(text)
    frames = [frame for label in labels for frame in (label, label, english.blank)]
    assert english.decode(frames) == english.normalise(text)


def test_encoding_agrees_with_the_tokenizer(tokenizer_of):
    tokenizer = tokenizer_of(LIBRISPEECH)
    text = "IT'S A HELLO"
    assert Labels.of_tokenizer(tokenizer).encode(text) == tokenizer(text).input_ids


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world!", "HELLO WORLD"),
        ("  two\twords\u00a0here\n", "TWO WORDS HERE"),
        ("don’t `tis donʼt", "DON'T 'TIS DON'T"),
        ("well-known—or not… “so”", "WELL KNOWN OR NOT SO"),
        ("soft\u00adhyphen\ufeff", "SOFTHYPHEN"),
        ("U.S.", "U S"),
        ("…", ""),
    ],
)
def test_normalising_for_upper_case_english(english, text, expected):
    assert english.normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Größe", "größe"),
        ("Gro\u0308ße", "größe"),  # decomposed
        ("Wie geht’s?", "wie gehts"),  # no apostrophe in this vocabulary
        ("U-Bahn", "u-bahn"),  # but a hyphen
    ],
)
def test_normalising_for_lower_case_german(german, text, expected):
    assert german.normalise(text) == expected


def test_a_tokenizer_that_lower_cases_gives_lower_case_references(labels_of):
    labels = labels_of(LIBRISPEECH, do_lower_case=True)
    assert labels.normalise("Hello") == "hello"
    assert labels.encode("Hello") == labels.encode("HELLO") == [12, 9, 16, 16, 19]


def test_case_is_kept_where_the_vocabulary_has_both(labels_of):
    labels = labels_of(["<pad>", "<unk>", "|", "a", "A", "b"])
    assert labels.encode("Aa b") == [4, 3, 2, 5]


def test_multi_character_tokens_are_taken_longest_first(labels_of):
    labels = labels_of(["<pad>", "|", "c", "h", "ch", "a"], unk_token="<pad>")
    assert labels.encode("chac ha") == [4, 5, 2, 1, 3, 5]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("room 12", "'1', '2'"),
        ("café", "'É'"),
        ("5 % off", "'%', '5'"),
        ("a $ b", "'$'"),
        ("a|b", "'|'"),
        ("<unk> a", "'<', '>'"),
    ],
)
def test_characters_that_cannot_be_written_are_named_with_the_utterance(english, text, named):
    for refuse in (english.encode, english.normalise):
        with pytest.raises(InputError) as caught:
            refuse(text, "dev/0001")
        assert named in str(caught.value)
        assert "'dev/0001'" in str(caught.value)


def test_tokenizers_that_cannot_label_are_refused(tokenizer_of):
    with pytest.raises(InputError, match="word delimiter"):
        Labels.of_tokenizer(tokenizer_of(["<pad>", "<unk>", "a"]))
    with pytest.raises(InputError, match="padding token"):
        Labels.of_tokenizer(tokenizer_of(["<unk>", "|", "a"]))
    with pytest.raises(InputError, match="is a object"):
        Labels.of_tokenizer(object())


def test_least_frames_counts_the_blanks_between_equal_labels():
    assert [least_frames(one) for one in ([], [3], [3, 4], [3, 3], [3, 3, 3, 4, 3])] == [
        0,
        1,
        2,
        3,
        7,
    ]


def test_least_frames_is_where_ctc_becomes_possible():
    labels = [1, 1, 2, 2, 1]
    fewest = least_frames(labels)
    for frames, possible in ((fewest - 1, False), (fewest, True)):
        loss = torch.nn.functional.ctc_loss(
            torch.zeros(frames, 1, 3).log_softmax(-1), torch.tensor([labels]), [frames], [5]
        )
        assert torch.isfinite(loss).item() is possible


def test_a_new_vocabulary_labels_its_own_transcripts(labels_of):
    texts = ["Größe, it’s", "ÉTÉ 2"]
    vocabulary = new_vocabulary(texts)
    assert list(vocabulary) == ["<pad>", "<unk>", "|", *"'2egirstßéö"]
    assert list(vocabulary.values()) == list(range(len(vocabulary)))
    labels = labels_of(vocabulary)
    assert [labels.normalise(text) for text in texts] == ["größe it's", "été 2"]


def test_a_new_vocabulary_needs_letters_and_refuses_symbols():
    with pytest.raises(InputError, match="no letters"):
        new_vocabulary(["", "..."])
    with pytest.raises(InputError, match=r"'\$', '%', '\|'"):
        new_vocabulary(["5 % of $ 3", "a|b"])


@pytest.mark.parametrize("apostrophe", ["’", "ʼ"])
def test_an_apostrophe_becomes_the_vocabulary_s(labels_of, apostrophe):
    labels = labels_of([*LIBRISPEECH[:-1], apostrophe])

    assert labels.normalise("don't") == labels.normalise("don’t") == f"DON{apostrophe}T"
    assert labels.decode(labels.encode("don't")) == f"DON{apostrophe}T"


@pytest.mark.parametrize(
    "letter", ["\u095c", "\u09dc", "\u0921\u093c"], ids=["Hindi", "Bengali", "two characters"]
)
def test_letters_that_unicode_never_composes_are_written_alike(labels_of, letter):
    """U+095C is U+0921 U+093C in NFC, and in NFD: a vocabulary may have it nonetheless."""
    labels = labels_of(["<pad>", "<unk>", "|", "\u0921", "\u09a1", letter])

    (label,) = labels.encode(letter)

    assert label == 5
    assert labels.normalise(letter) == labels.decode([label])
    assert labels.encode("\u0921") == [3]


def test_a_vocabulary_may_have_letters_and_their_marks_apart(labels_of):
    labels = labels_of(["<pad>", "<unk>", "|", "e", "\u0301"])

    assert labels.encode("é") == labels.encode("e\u0301") == [3, 4]
    assert labels.normalise("e\u0301") == labels.normalise("é") == labels.decode([3, 4]) == "é"


def test_a_letter_without_another_case_does_not_hide_the_vocabulary_s_case(labels_of):
    labels = labels_of([*LIBRISPEECH, "ß"])

    assert labels.normalise("straße") == "STRAßE"
    assert labels_of(LIBRISPEECH).normalise("straße") == "STRASSE"
    assert labels_of(["<pad>", "<unk>", "|", *"istanbul"]).normalise("İstanbul") == "istanbul"


@pytest.mark.parametrize("tokens", [["|", " "], [" ", "|"]])
def test_words_are_parted_by_the_delimiter_not_by_a_token_that_looks_like_it(labels_of, tokens):
    labels = labels_of(["<pad>", "<unk>", *tokens, "a", "b"])

    assert labels.encode("a b") == [4, 2 + tokens.index("|"), 5]
    assert labels.decode([4, 2, 5]) == labels.decode([4, 3, 5]) == "a b"


@pytest.mark.parametrize("delimiter", [" ", "#", "_", "|"])
def test_the_word_delimiter_is_what_the_checkpoint_names(tokenizer_of, tmp_path, delimiter):
    """transformers 5 says "|" after from_pretrained, whatever tokenizer_config.json says."""
    special = {"bos_token": None, "eos_token": None, "word_delimiter_token": delimiter}
    tokens = ["<pad>", "<unk>", delimiter, "a", "b", *({"|"} - {delimiter})]
    tokenizer_of(tokens, **special).save_pretrained(tmp_path / "saved")

    labels = Labels.of_tokenizer(Wav2Vec2CTCTokenizer.from_pretrained(tmp_path / "saved"))

    assert labels.decode([3, 4, 2, 4, 3]) == "ab ba"
    assert labels.encode("ab ba") == [3, 4, 2, 4, 3]
    if delimiter != "|":
        assert labels.decode([3, 5, 4]) == "a|b"


def test_a_space_in_the_vocabulary_is_the_delimiter_where_the_named_one_is_missing(labels_of):
    assert labels_of(["<pad>", "<unk>", " ", "a", "b"]).encode("a b") == [3, 2, 4]


def test_a_token_cannot_break_a_line(labels_of):
    labels = labels_of(["<pad>", "<unk>", "|", "a", "\n", "b\tc"])
    assert labels.decode([3, 4, 3, 5]) == "a ab c"


@pytest.mark.parametrize("label", [-1, 10**12, "5", 5.0, None, True])
def test_a_label_that_no_vocabulary_has_is_refused(tmp_path, label):
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps({"<pad>": 0, "<unk>": 1, "|": 2, "a": label}))
    with pytest.raises(InputError, match=rf"the id {label!r} for 'a'; ids are whole"):
        Labels.of_tokenizer(Wav2Vec2CTCTokenizer(path))


def test_turkish_letters_have_their_own_case(labels_of):
    turkish = labels_of(["<pad>", "<unk>", "|", *"abdilmnprstuzış"])
    assert turkish.normalise("DIŞ ISPARTA İSTANBUL") == "dış ısparta istanbul"
    upper = labels_of(["<pad>", "<unk>", "|", *"ABDIİNPRSTUŞL"], do_lower_case=True)
    assert upper.normalise("DIŞ İstanbul") == "dış istanbul"
    assert upper.decode(upper.encode("dış istanbul")) == "dış istanbul"


def test_a_new_vocabulary_of_turkish_has_its_letters():
    vocabulary = new_vocabulary(["DIŞ ISPARTA", "kızıl İstanbul"])
    assert {"ı", "i", "ş"} <= vocabulary.keys()
    assert "\u0307" not in vocabulary
    assert "ı" not in new_vocabulary(["I am in İstanbul"])


def test_quotation_marks_are_not_learnt():
    assert "'" not in new_vocabulary(["‘Hello’ he said", "'No,' he said."])
    assert "'" in new_vocabulary(["‘Hello’ he said, don’t"])


def test_two_tokens_of_one_label_are_refused(tmp_path):
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps({"<pad>": 0, "<unk>": 1, "|": 2, "a": 3, "b": 3}))
    with pytest.raises(InputError, match="the id 3 for both 'a' and 'b'"):
        Labels.of_tokenizer(Wav2Vec2CTCTokenizer(path))
