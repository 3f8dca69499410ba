"""The heat map of a plan: encoder depth by matrix, each cell carrying its bits."""

from collections.abc import Sequence

from sottovoce.record import LayerRow
from sottovoce.report import numbers
from sottovoce.report.layers import Share, by_width, depth_by_matrix, share_of
from sottovoce.report.markup import Markup, tag
from sottovoce.wording import plural


def bit_map(layers: Sequence[LayerRow]) -> Markup:
    """A line a depth, a column a matrix; a cell's tooltip names its layer, weights and bytes."""
    grid = depth_by_matrix(layers)
    return tag(
        "table",
        tag(
            "thead",
            tag(
                "tr",
                tag("th", "depth", scope="col"),
                *(tag("th", matrix, scope="col") for matrix in grid.matrices),
                tag("th", "mean", scope="col", class_="mean"),
            ),
        ),
        tag(
            "tbody",
            *(
                tag(
                    "tr",
                    tag("th", depth, scope="row"),
                    *(_cell(grid.cells.get((depth, matrix))) for matrix in grid.matrices),
                    tag("td", _mean_bits(layers, depth), class_="mean"),
                )
                for depth in grid.depths
            ),
        ),
        class_="heat",
    )


def _cell(row: LayerRow | None) -> Markup:
    if row is None:
        return tag("td")
    rows, columns = row.shape
    title = (
        f"{row.layer}: {plural(row.bits, 'bit')}, {row.grid} grid, a scale per {row.granularity}, "
        f"{rows} × {columns} weights in {numbers.size(row.bytes)}"
    )
    return tag("td", row.bits, class_=f"bits {_colour(row.bits)}", title=title)


def _mean_bits(layers: Sequence[LayerRow], depth: int) -> str:
    return f"{share_of([row for row in layers if row.depth == depth]).nominal_bits:.1f}"


def width_shares(layers: Sequence[LayerRow]) -> Markup:
    """The map's key, which also tells what each width holds; its bars are shares of the weights."""
    whole = share_of(layers)
    return tag(
        "div",
        tag(
            "table",
            tag(
                "thead",
                tag(
                    "tr",
                    tag("th", "bits", scope="col"),
                    tag("th", "weights", scope="col", colspan=2),
                    tag("th", "matrices", scope="col", class_="number"),
                    tag("th", "size", scope="col", class_="number"),
                ),
            ),
            tag(
                "tbody",
                *(_width_line(b, share, whole) for b, share in by_width(layers).items()),
            ),
            tag(
                "tfoot",
                tag(
                    "tr",
                    tag("th", "all", scope="row"),
                    tag("td", colspan=2),
                    *_held(whole),
                ),
            ),
            class_="shares",
        ),
        tag(
            "p",
            f"Mean {numbers.in_bits(whole.nominal_bits)} a weight, "
            f"{numbers.bits(whole.effective_bits)} with scales and padding counted.",
            class_="legend",
        ),
    )


def _width_line(bits: float, share: Share, whole: Share) -> Markup:
    part = share.weights / whole.weights
    bar = tag("rect", class_=_colour(bits), width=f"{100 * part:.2f}%", height=12)
    return tag(
        "tr",
        tag("th", bits, scope="row", class_=f"bits {_colour(bits)}"),
        tag("td", tag("svg", bar, height=12, aria_hidden="true"), class_="bar"),
        tag("td", numbers.percent(part, 0), class_="number"),
        *_held(share),
    )


def _colour(bits: float) -> str:
    return f"b{bits}".replace(".", "-")


def _held(share: Share) -> tuple[Markup, Markup]:
    return (
        tag("td", share.layers, class_="number"),
        tag("td", numbers.size(share.bytes), class_="number"),
    )
