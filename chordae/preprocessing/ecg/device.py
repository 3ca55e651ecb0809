"""What the electrocardiograph itself said about a recording, without anything a person may have typed.

Interpretation sections also hold what people add: who confirmed it, what it was compared with, and when. A statement
is kept only if every word of it belongs to the vocabulary of ECG interpretation below and no number in it could be a
date, a time or an identifier; the others are counted, not kept. Names are in no such list, so none gets through.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

MAX_STATEMENTS = 24
MAX_CHARACTERS = 160

_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d[\d.,:/-]*")
_HARMLESS_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,3}|-\d{1,3})?|[1-9]:[1-9]")
"""A rate, a range, millivolts, "2:1"; three groups of digits, four in a row, hh:mm and anything with "/" are not."""

_SEVERAL_NUMBERS = re.compile(r"(?<![^\W\d_])\d[\d.]*\s+\d|\b\d{2}\.\d{2}\b")
"""Two numbers in a row, or 03.11: they could be a date or an identifier with blanks or dots in it."""

_SPACE = re.compile(r"\s+")

_WORDS = """
a aberrancy aberrant aberration abnormal abnormalities abnormality abnormally above absence absent accelerated acute
additional advanced age all also alternans alternate alternating ami amplitude an analysis and aneurysm aneurysmal
anterior anteriorly antero anterolateral anteroseptal apex apical apiculate apparent arm arrest arrhythmia arrhythmias
artefact artifact artifacts as asystole at atria atrial atrioventricular atrium atypical augmented av available
average avf avl avr axial axis background bandpass basal base baseline basis be beat beats beginning below between bi
biatrial bifascicular bigeminal bigeminy biphasic biventricular block blocked blocks borderline both bpm brady
bradycardia branch broad brugada bundle but by cannot capture cardiac cardiomyopathy cause cavity chamber change
changes chest chronic clinical clockwise combined comparison compensatory competing complete complex complexes concave
concordant conducted conducting conduction conductions consider consistent consistently contour contraction
contractions convex cor coronary correct correlate correlation could counter counterclockwise couplet couplets
criteria criterion current cycle data decreased deep defect deg degree delay delayed delays delta demand
depolarization depressed depression depressions depth detected detection deviation dextrocardia diagnostic diastolic
diffuse dilatation dilated disease disorder dissociation distance disturbance dominant double downsloping drug dual
due duration early ecg ecgs ectopic ectopy effect either ekg electrical electrode electrodes electrolyte electronic
elevated elevation elevations enlarge enlarged enlargement entire epicardial episode episodes equal error escape
escapes evidence excessive excessively exclude extensive extra extrasystole extrasystoles extreme extrinsic failure
fascicular fast febrile few fib fibrillation first flat flattened flattening flutter for forces form frequent from
frontal fully function functional fusion ganong general global greater group groups has heart hemiblock hemodynamic
high horizontal hr hyperacute hypercalcemia hyperkalemia hypertrophic hypertrophy hypocalcemia hypokalemia hypothermia
hz i idiopathic idioventricular ii iii immediate implausible in inadequate inappropriate include incomplete increased
indeterminate indicate indicates indicative infarct infarction inferior inferiorly infero inferobasal inferolateral
inferoposterior inferoseptal initial injury insignificant interference intermittent interpolated interpolation
interpretation interval intervals intra intraatrial intraventricular intrinsicoid invalid inversion inverted irregular
irregularly is ischaemia ischaemic ischemia ischemic isolated j junction junctional juvenile lad lae lafb lah large
late lateral laterally lbbb lca lcx lead leads left leftward lengthening less levine likely limb limits long low lower
lown lpfb lphb lv lvh mainly major marginal marked maximal maximum may mean meets mi mid midseptal mild min minimal
minimally minor minute missing mixed mm mobitz mode moderate more morphology ms msec multi multifocal multiform
multiple muscle mv myocardial myocarditis nd nearly necrosis negative new no nodal node noise non nonconducted
nondiagnostic nonprogressive nonsinus nonspecific nonsustained normal not notch notched notching obscured obsolete
occasional of old one only onset or organic otherwise out over overload p pac paced pacemaker pacing pacs parkinson
pattern patterns pause pauses pea peaked percent pericarditis persistent physiologic pjc pjcs pointed poor positive
possible possibly posterior posteriorly posterolateral posteroseptal postoperative potential pr pre precordial
preexcitation premature presence present previous primary probable probably progression progressive prolongation
prolonged prominence prominent pronounced pulmonale pulmonary pulse pvc pvcs q qr qrs qrsd qs qt qtc quadrigeminy
quality r rad rae rapid rate ratio rbbb rca rd recent reciprocal recommend recommended recording reentrant regular
related repeat repolarisation repolarization report response result results retrograde reversal reversed review rhythm
right rightward rightwards rotation rr rs rsr rule ruled run runs rv rvh rwave s sa salvo saw sawtooth scooped second
secondary septal septum serial severe shift short shortened significance significant sinoatrial sinus slight sloping
slow slowing small some specific sr st standard std ste stemi strain strip strongly subendocardial subepicardial
suggest suggestive suggests superior supraventricular suspect suspected sustained sv sve sves svt swapped syndrome
systolic t tachy tachycardia tall technically terminal th than the there third three to too toxicity tracing transient
transition transmural trigeminal trigeminy triplet triplets true two type typical u uncertain unchanged unclassified
unconfirmed under undetermined unifocal uniform unknown unspecific unusual upper upright upsloping usual v variable
variant variation ve vent ventricle ventricles ventricular very ves vf voltage vpc vpcs vt wander wandering wave
waveform waves wavy wenckebach white wide widespread with within without wolff wpw x
"""
VOCABULARY = frozenset(_WORDS.split())

_NAMES = """
block branch brugada early fast lad large late long low may mobitz parkinson rapid short slow small wenckebach white
wide wolff
"""
_ALSO_NAMES = frozenset(_NAMES.split())
"""Alone, or with letters that could be initials, these could be a person."""


@dataclass(frozen=True)
class DeviceReport:
    """Statements as the device worded them, how many more were withheld, and its measurements where it made any."""

    statements: tuple[str, ...] = ()
    withheld: int = 0
    heart_rate_bpm: float | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    qtc_ms: float | None = None
    p_axis_deg: float | None = None
    qrs_axis_deg: float | None = None
    t_axis_deg: float | None = None

    def as_json(self) -> dict[str, object]:
        """What there is of it."""
        report = {field.name: getattr(self, field.name) for field in fields(self)}
        told = {name: list(value) if name == "statements" else value for name, value in report.items()}
        told["withheld"] = told["withheld"] or None
        return {name: value for name, value in told.items() if value is not None and value != []}


NO_REPORT = DeviceReport()

_PLAUSIBLE = {
    "heart_rate_bpm": (10, 400),
    "pr_ms": (30, 1000),
    "qrs_ms": (20, 500),
    "qt_ms": (100, 1200),
    "qtc_ms": (100, 1200),
    "p_axis_deg": (-360, 360),
    "qrs_axis_deg": (-360, 360),
    "t_axis_deg": (-360, 360),
}
"""Devices write 0, -1 or 29999 for what they did not measure."""


def device_report(statements: Iterable[str], measured: Mapping[str, str | float | None]) -> DeviceReport:
    """A report from raw statements and from measurements named as the fields of DeviceReport."""
    texts = [text for statement in statements if (text := _SPACE.sub(" ", statement).strip(" -,;.*"))]
    kept = [text for text in texts if is_impersonal(text)][:MAX_STATEMENTS]
    numbers = {name: _plausible(name, value) for name, value in measured.items()}
    return DeviceReport(tuple(kept), len(texts) - len(kept), **numbers)


def is_impersonal(statement: str) -> bool:
    """Whether every word is of the vocabulary, at least one of them no name, and every number a harmless one."""
    words = [word.lower() for word in _WORD.findall(statement)]
    return (
        len(statement) <= MAX_CHARACTERS
        and any(len(word) > 1 and word not in _ALSO_NAMES for word in words)
        and VOCABULARY.issuperset(words)
        and not _SEVERAL_NUMBERS.search(statement)
        and all(_HARMLESS_NUMBER.fullmatch(number.rstrip(".,:/-")) for number in _NUMBER.findall(statement))
    )


def _plausible(name: str, value: str | float | None) -> float | None:
    try:
        number = float(value if value is not None else math.nan)
    except ValueError:
        return None
    low, high = _PLAUSIBLE[name]
    return number if low <= number <= high else None
