import pytest

from sottovoce.report.charts.axis import exact_axis, rounded_axis


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ((0.0532, 0.0633), (0.05, 0.055, 0.06, 0.065)),
        ((0.0, 1.0), (0.0, 0.5, 1.0)),
        ((2.0, 8.0), (2.0, 4.0, 6.0, 8.0)),
        ((-0.3, 0.4), (-0.4, -0.2, 0.0, 0.2, 0.4)),
        ((0.0, 0.0), (0.0, 0.5)),
    ],
)
def test_ticks_are_round_and_cover_the_values(values, ticks):
    axis = rounded_axis(values)
    assert axis.low <= min(values) <= max(values) <= axis.high
    assert axis.ticks == pytest.approx(ticks)


def test_a_constant_has_a_place_within_its_axis():
    axis = rounded_axis((4.0, 4.0))
    assert 0 <= axis.share(4.0) <= 1


def test_an_exact_axis_ends_where_it_is_told():
    axis = exact_axis(1200)
    assert (axis.low, axis.high, axis.ticks) == (0, 1200, (0, 500, 1000))
    assert axis.percent(300) == "25.000%"
