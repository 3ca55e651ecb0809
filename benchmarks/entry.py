"""One measure as `make bench` reports it."""

import operator

COMPARE = {"<=": operator.le, ">=": operator.ge}


def entry(name: str, value: float, unit: str, bar: str = "") -> dict[str, object]:
    """A measure and whether it reaches its bar, such as "<= 1.5"; without a bar it is for information."""
    ok = True
    if bar:
        sign, limit = bar.split()
        ok = bool(COMPARE[sign](value, float(limit)))
    return {"name": name, "value": round(value, 4), "unit": unit, "bar": bar, "ok": ok}
