"""How every number of a report is written, on the page, in the terminal and on the card.

| call                     | written      |
|--------------------------|--------------|
| size(377_539_072)        | 377.5 MB     |
| size(812)                | 812 bytes    |
| percent(0.0589)          | 5.89%        |
| percent(0.547, 0)        | 55%          |
| interval(0.0548, 0.0633) | 5.48–6.33%   |
| ratio(4.4754)            | 4.48×        |
| bits(4.3542)             | 4.35         |
| bits(8)                  | 8            |
| in_bits(4.3542)          | 4.35 bits    |
| in_bits(1)               | 1 bit        |
| input_bits(8)            | 8            |
| input_bits(None)         | float        |
| count(52_576)            | 52,576       |
| duration(48.2)           | 48 s         |
| duration(725)            | 12 min 5 s   |
| duration(13_324)         | 3 h 42 min   |
| p_value(0.124)           | 0.124        |
| p_value(0.0004)          | < 0.001      |
| z_score(-1.32)           | -1.32        |
| z_score(math.nan)        | —            |
"""

import math


def size(stored: float) -> str:
    """Bytes in powers of ten, one digit after the point from kilobytes on."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if round(stored / factor, 4) >= 1:
            return f"{stored / factor:,.1f} {unit}"
    return f"{stored:.0f} bytes"


def percent(fraction: float, digits: int = 2) -> str:
    """A fraction in hundredths."""
    return f"{100 * fraction:.{digits}f}%"


def interval(low: float, high: float) -> str:
    """Both ends of an interval of fractions, in hundredths."""
    return f"{100 * low:.2f}–{percent(high)}"


def ratio(times: float) -> str:
    """How many times smaller."""
    return f"{times:.2f}×"


def bits(width: float) -> str:
    """Whole widths without a point, means with two digits after it."""
    return f"{width:.2f}".removesuffix(".00")


def in_bits(width: float) -> str:
    """The same with its unit."""
    written = bits(width)
    return "1 bit" if written == "1" else f"{written} bits"


def input_bits(width: int | None) -> str:
    """Bits of a layer's inputs."""
    return "float" if width is None else str(width)


def count(number: int) -> str:
    """Thousands set apart."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """The two largest units, of hours, minutes and seconds."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def p_value(p: float) -> str:
    """Three digits after the point, or that it is smaller than they can tell."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def z_score(z: float) -> str:
    """ "—" where the test gave none."""
    return f"{z:.2f}" if math.isfinite(z) else "—"
