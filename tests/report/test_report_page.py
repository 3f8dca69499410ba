import re
from dataclasses import fields, is_dataclass, replace

import pytest
from example_record import example_record, got_worse, with_verdict
from page_reader import read_page

from sottovoce.errors import InputError
from sottovoce.record import RunRecord
from sottovoce.report.html import MOST_UTTERANCES, page, write_report

HOSTILE = "</style></title><script>alert(1)</script>\"' onload=x & <img src=http://x.example/i.png>"


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return example_record()


@pytest.fixture(scope="module")
def root(record):
    return read_page(page(record))


def section(root, heading):
    (found,) = [s for s in root.all("section") if s.one("h2").text == heading]
    return found


def test_sections_stand_in_the_promised_order(root):
    assert [heading.text for heading in root.all("h2")] == [
        "Size on disk",
        "Word error rate",
        "All systems",
        "Bits per layer",
        "Training",
        "Utterances that got worse",
        "Comparisons",
        "Recipe",
        "Command",
        "Notes",
    ]


def test_the_least_favourable_verdict_leads_and_the_harder_baseline_breaks_the_tie(record):
    for verdicts, leading in (
        (("lossless", "lossless"), 1),
        (("inconclusive", "lossless"), 0),
        (("better", "worse"), 1),
        (("worse", "better"), 0),
    ):
        block = read_page(page(with_verdict(record, *verdicts))).one(
            "div", class_=f"verdict {verdicts[leading]}"
        )
        assert block.one("p", class_="sentence").text == record.comparisons[leading].sentence
        assert block.one("p", class_="against").text.endswith(record.comparisons[leading].baseline)


def test_the_detectable_loss_is_given_in_points_of_the_baselines_rate(root, record):
    relative = record.comparisons[1].detectable
    points = 100 * relative * record.systems[1].wer
    assert f"{100 * relative:.1f}% relative, that is {points:.2f} points" in root.one("main").text


def test_key_figures_are_the_records(root, record):
    first, last = record.systems[0], record.systems[-1]
    big = [dd.text for dd in root.one("dl", class_="figures").all("dd", class_="big")]
    assert big == [
        f"{first.bytes / 1e6:.1f} MB → {last.bytes / 1e6:.1f} MB",
        f"{first.bytes / last.bytes:.2f}×",
        f"{last.nominal_bits:.2f}",
        f"{100 * first.wer:.2f}% → {100 * last.wer:.2f}%",
    ]
    text = root.one("dl", class_="figures").text
    assert f"{last.bytes:,} bytes on disk" in text
    assert f"{last.effective_bits:.2f} with scales" in text
    assert f"after {100 * last.low:.2f}–{100 * last.high:.2f}% (95%)" in text


def test_table_of_systems_equals_the_record(root, record):
    rows = section(root, "All systems").one("table").rows()[1:]
    assert len(rows) == len(record.systems)
    for row, system in zip(rows, record.systems, strict=True):
        assert row[0] == system.name
        assert float(row[1].removesuffix(" MB")) == pytest.approx(system.bytes / 1e6, abs=0.05)
        assert float(row[5].rstrip("%")) == pytest.approx(100 * system.wer, abs=0.005)
        errors = [int(cell.replace(",", "")) for cell in row[7:]]
        assert errors == [
            system.substitutions,
            system.deletions,
            system.insertions,
            system.words,
        ]


def test_table_of_comparisons_equals_the_record(root, record):
    rows = section(root, "Comparisons").one("table").rows()[1:]
    for row, test in zip(rows, record.comparisons, strict=True):
        assert row == [
            test.baseline,
            f"†{test.verdict}",
            test.test,
            f"{test.segments:,}",
            f"{test.z:.2f}",
            f"{test.p:.3f}",
            f"{100 * test.detectable:.1f}%",
        ]


@pytest.mark.parametrize("depth", [3, 12])
def test_heat_map_shows_every_layers_bits_with_its_bytes_in_the_tooltip(depth):
    record = example_record(depth=depth)
    heat = read_page(page(record)).one("table", class_="heat")
    header, *lines = heat.rows()
    assert header == ["depth", "q", "k", "v", "out", "feed-forward in", "feed-forward out", "mean"]
    shown = [int(cell) for line in lines for cell in line[1:-1]]
    assert shown == [row.bits for row in record.layers]
    titles = [cell.attributes["title"] for cell in heat.all("td") if "title" in cell.attributes]
    for row, title in zip(record.layers, titles, strict=True):
        assert row.layer in title
        assert f"{row.bytes / 1e3:.1f} kB" in title or f"{row.bytes / 1e6:.1f} MB" in title


def test_the_maps_key_adds_up(root, record):
    rows = root.one("table", class_="shares").rows()[1:]
    assert sum(int(row[3]) for row in rows[:-1]) == int(rows[-1][2]) == len(record.layers)
    assert rows[-1][3] == f"{sum(row.bytes for row in record.layers) / 1e6:.1f} MB"


def test_bars_are_the_bytes_share_of_the_largest(root, record):
    largest = record.systems[0].bytes
    svgs = section(root, "Size on disk").all("svg")
    for svg, system in zip(svgs, record.systems, strict=True):
        width = sum(float(bar.attributes["width"].rstrip("%")) for bar in svg.all("rect"))
        assert width == pytest.approx(100 * system.bytes / largest, abs=0.01)
    matrices = float(svgs[-1].all("rect")[0].attributes["width"].rstrip("%"))
    assert matrices == pytest.approx(100 * sum(r.bytes for r in record.layers) / largest, abs=0.01)


def test_whiskers_end_where_the_intervals_do(root, record):
    figure = section(root, "Word error rate")
    low_tick, high_tick = 0.05, 0.065
    for svg, system in zip(figure.all("svg", role="img"), record.systems, strict=True):
        (whisker,) = [
            line
            for line in svg.all("line")
            if line.attributes["class"].startswith("whisker")
            and line.attributes["x1"] != line.attributes["x2"]
        ]
        ends = [float(whisker.attributes[x].rstrip("%")) / 100 for x in ("x1", "x2")]
        placed = [low_tick + end * (high_tick - low_tick) for end in ends]
        assert placed == pytest.approx([system.low, system.high], abs=1e-6)


def test_curves_show_what_was_measured_and_where_the_plan_froze(root, record):
    training = section(root, "Training")
    assert [caption.text for caption in training.all("figcaption")] == [
        "Loss, nats a frame",
        "Word error rate of the hard plan, dev set",
        "Mean bits of a weight",
        "Temperature of the Gumbel-softmax",
    ]
    frozen = next(point.step for point in record.history if point.temperature is None)
    titles = [title.text for title in training.all("title")]
    assert titles.count(f"the plan froze at step {frozen}") == 4
    for point in record.history:
        if point.wer is not None:
            assert f"step {point.step:,}: WER {round(100 * point.wer, 2):g}%" in titles


def test_a_run_without_a_search_has_no_frozen_mark_and_only_the_panels_it_measured(record):
    uniform = tuple(
        replace(point, temperature=None, expected_bits=None, hard_bits=None)
        for point in record.history
    )
    training = section(read_page(page(replace(record, history=uniform))), "Training")
    assert len(training.all("figure")) == 2
    assert "froze" not in training.text


def test_a_long_history_stays_small(record):
    html = page(example_record(steps=200_000))
    assert len(html) < 300_000
    read_page(html)


def test_changed_words_are_marked_by_element_and_tooltip(root):
    article = root.all("article")[0]
    assert article.one("h3").text.startswith("1089-134686-0000")
    assert [mark.text for mark in article.all("mark")] == ["their", "bee", "brews"]
    assert [gone.text for gone in article.all("del")] == ["stew"]
    assert [extra.text for extra in article.all("ins")] == ["and", "and"]
    assert article.all("mark")[0].attributes["title"] == "their for there"


def test_only_the_worst_utterances_are_shown_and_the_rest_counted(record):
    many = got_worse() * 30
    root = read_page(page(replace(record, got_worse=many)))
    assert len(root.all("article")) == MOST_UTTERANCES
    assert f"{60 - MOST_UTTERANCES} more in metrics.json." in root.one("main").text


def test_recipe_and_command_are_whole(root, record):
    options = {d.all("dt")[0].text: d.all("dd")[0].text for d in section(root, "Recipe").all("div")}
    assert options["candidates"] == "2, 4, 8"
    assert options["learning_rate"] == "3e-05"
    assert options["search.temperature_end"] == "0.03"
    assert options["teacher"] == "none"
    assert len(options) == len(record.recipe) - 1 + len(record.recipe["search"])
    assert section(root, "Command").one("code").text == record.command
    assert record.version in root.one("footer").text
    assert record.device in root.one("footer").text


def test_the_page_loads_nothing(record):
    html = page(record)
    root = read_page(html)
    assert not re.search(r"https?://|url\(|@import|<script|<link|<img|<iframe", html)
    policy = root.one("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'")


def test_hostile_text_stays_text(record):
    def poisoned(value):
        if isinstance(value, str):
            return value + HOSTILE
        if isinstance(value, dict):
            return {poisoned(key): poisoned(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(map(poisoned, value))
        if is_dataclass(value):
            kept = ("verdict",)
            return replace(
                value,
                **{
                    f.name: poisoned(getattr(value, f.name))
                    for f in fields(value)
                    if f.name not in kept
                },
            )
        return value

    html = page(poisoned(record))
    root = read_page(html)
    assert "<script" not in html
    assert not root.all("script") + root.all("img")
    assert section(root, "Command").one("code").text == record.command + HOSTILE
    assert not [e for e in root.all("td") + root.all("svg") if "onload" in e.attributes]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"history": ()}, "No training was recorded"),
        ({"got_worse": ()}, "No utterance has more errors"),
        ({"comparisons": ()}, "Nothing was compared"),
        ({"recipe": {}}, "Recipe"),
        ({"notes": ()}, "Command"),
    ],
)
def test_what_is_missing_is_said(record, change, said):
    assert said in read_page(page(replace(record, **change))).one("main").text


def test_perfect_recognition_and_a_test_without_power_still_make_a_page(record):
    perfect = tuple(
        replace(s, wer=0.0, low=0.0, high=0.0, substitutions=0, deletions=0, insertions=0)
        for s in record.systems
    )
    untested = tuple(
        replace(c, detectable=None, z=float("nan"), p=1.0, verdict="inconclusive")
        for c in record.comparisons
    )
    root = read_page(page(replace(record, systems=perfect, comparisons=untested)))
    assert section(root, "Comparisons").one("table").rows()[1][-3:] == ["—", "1.000", "—"]
    assert "Smallest loss" not in root.one("main").text


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(record, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(record, path)
    assert path.read_text(encoding="utf-8") == page(record)
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_is_not_there_is_named(record, tmp_path):
    with pytest.raises(InputError, match=r"nowhere.*report\.html cannot be written"):
        write_report(record, tmp_path / "nowhere" / "report.html")


def test_controls_in_names_are_shown_and_not_obeyed(record):
    name = "a\x1b[2J\u202eb"
    text = page(replace(record, evaluated_on=name, command=f"{name}\nc"))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "a\\x1b[2J\\u202eb\nc" in text
