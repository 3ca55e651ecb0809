# ruff: noqa: RUF001 - what the tests are about
"""Records for tests: one written out, and wild ones for hypothesis."""

from hypothesis import strategies as st

from chordae.platform.diagnosis.disarm import disarm
from chordae.platform.diagnosis.record import UNITS, CmrRecord, Finding, Parameter

INFARCTION = CmrRecord(
    parameters=(
        Parameter(name="LV EF", value=40.9, unit="%", low=59, high=83),
        Parameter(name="LV EDV", value=130, unit="mL", low=99, high=199),
        Parameter(name="LV ESV", value=77, unit="mL", low=17, high=69),
        Parameter(name="LA volume index", value=30, unit="mL/m2"),
    ),
    description=(
        Finding(number=1, text="Left ventricle not enlarged", normal=True),
        Finding(number=3, text="Regional wall motion abnormality, inferior", normal=False),
        Finding(number=8, text="Subendocardial late enhancement, segments 3, 4", normal=False),
    ),
    sex="male",
    age=61,
    patient_key="secret-17",
)
"""EF follows from EDV and ESV: 100 * (130 - 77) / 130 = 40.77."""

_value = st.floats(-1e5, 1e5, allow_nan=False)
_MARKS = ["<answer>", "</answer>", "<think>", "</think>", "<|im_start|>", "[3]", "\n", "III. Integrated opinion", "."]
_MARKS += ["LV EF 40 % is low.", "综合诊断意见", "normal", "<", ">", "<an", "swer>", "＜answer＞", "\u200b", " "]
_wild = st.text(max_size=60) | st.lists(st.sampled_from(_MARKS), max_size=8).map("".join)
_text = _wild.filter(lambda text: bool(disarm(text).strip(" .。;；")))


@st.composite
def _parameter(draw: st.DrawFn, name: str) -> Parameter:
    low, high = draw(st.none() | _value), draw(st.none() | _value)
    if low is not None and high is not None:
        low, high = sorted((low, high))
    return Parameter(name=name, value=draw(_value), unit=UNITS[name], low=low, high=high)


@st.composite
def records(draw: st.DrawFn) -> CmrRecord:
    """Any record that can be: odd values, open ranges, findings with all that a chain's form is made of."""
    names = draw(st.lists(st.sampled_from(list(UNITS)), unique=True, max_size=5))
    numbers = draw(st.lists(st.integers(1, 999), unique=True, max_size=4))
    return CmrRecord(
        parameters=tuple(draw(_parameter(name)) for name in names),
        description=tuple(Finding(number=number, text=draw(_text)) for number in numbers),
    )
