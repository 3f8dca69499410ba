from dataclasses import replace

import pytest
import yaml
from example_record import example_record

from sottovoce.report.card import card, write_card

HOSTILE = "a | b <script> `x` ```\n---\n*c* [d](e)"


def header_and_body(text: str) -> tuple[dict, str]:
    opening, header, body = text.split("---\n", 2)
    assert opening == ""
    return yaml.safe_load(header), body


def test_header_is_what_the_hub_reads():
    header, _ = header_and_body(card(example_record(), "base-4bit"))
    assert header["library_name"] == "transformers"
    assert header["pipeline_tag"] == "automatic-speech-recognition"
    assert header["base_model"] == "facebook/wav2vec2-base-100h"
    assert header["base_model_relation"] == "quantized"
    assert "sottovoce" in header["tags"]


@pytest.mark.parametrize("source", ["./model", "/somewhere/model", "model", "runs/a/b"])
def test_a_folder_is_no_base_model(source):
    header, body = header_and_body(card(example_record(source=source), "base-4bit"))
    assert "base_model" not in header
    assert "base_model_relation" not in header
    assert source in body


def test_an_existing_folder_is_no_base_model_even_where_it_looks_like_one(tmp_path, monkeypatch):
    (tmp_path / "runs" / "base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    header, _ = header_and_body(card(example_record(source="runs/base"), "base-4bit"))
    assert "base_model" not in header


def test_loading_imports_sottovoce_first_and_warns():
    _, body = header_and_body(card(example_record(), "base-4bit"))
    code = body.split("```python\n")[1].split("```")[0]
    assert code.index("import sottovoce") < code.index("from transformers")
    assert "from_pretrained('base-4bit')" in code
    compile(code, "card", "exec")
    assert "**Without `import sottovoce` the model is not loaded.**" in body


def test_tables_equal_the_record():
    record = example_record(depth=3)
    _, body = header_and_body(card(record, "base-4bit"))
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in body.splitlines()
        if line.startswith("|")
    ]
    for row, system in zip(rows[2:5], record.systems, strict=True):
        assert row[0] == system.name
        assert row[1] == f"{system.bytes / 1e6:.1f} MB"
        assert row[5] == f"{100 * system.wer:.2f}%"
    plan = [int(cell) for row in rows[7:] for cell in row[1:]]
    assert plan == [row.bits for row in record.layers]
    assert record.command in body
    for comparison in record.comparisons:
        assert comparison.sentence in body


def test_hostile_text_neither_opens_markup_nor_breaks_the_header():
    record = replace(
        example_record(source=HOSTILE), notes=(HOSTILE,), evaluated_on=HOSTILE, command=HOSTILE
    )
    header, body = header_and_body(card(record, "base-4bit"))
    assert header["library_name"] == "transformers"
    outside_code = "".join(body.split("````")[::2])
    assert "<script>" not in outside_code
    assert "- a \\| b &lt;script&gt; \\`x\\`" in outside_code
    assert HOSTILE in body.split("````")[1]


def test_writing_leaves_only_the_card(tmp_path):
    write_card(example_record(), tmp_path / "README.md", "base-4bit")
    assert [entry.name for entry in tmp_path.iterdir()] == ["README.md"]


def test_controls_in_names_are_shown_and_not_obeyed():
    name = "a\x1b[2J\u202eb"
    text = card(replace(example_record(source=name), evaluated_on=name), "small")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"a\\x1b\[2J\\u202eb" in text
