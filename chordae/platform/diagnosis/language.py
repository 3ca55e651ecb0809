"""Which of its languages a description is in. Cardiac MR reports are short: script, then telltale words.

A library that tells a hundred languages would need models of its own and errs on ten words; here only English,
Chinese and "neither" are told.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from chordae.platform.diagnosis.category import Language

_ENGLISH = """
a an and are as at but by for from has in is it no not of on or than that the there this to up was which with within
without left right ventricle ventricular atrium atrial wall walls thickening thickness motion late enhancement enlarged
dilated abnormality abnormalities effusion prominent trabeculation segment segments function reduced preserved severe
moderate mild mildly severely moderately times layer only diffuse subendocardial transmural akinesis oedema edema heart
"""
_FOREIGN = """
der die das und ist kein keine keinen mit ohne des den dem von im bei nicht eine einer ein wand linker rechter linke
rechte linken rechten nachweis herz vorhof le la les et est pas de du sans avec une aucun aucune dans ventricule gauche
droit droite paroi rehaussement tardif absence oreillette coeur el los las con sin del una izquierdo derecho realce
pared derrame os com sem da esquerdo direito tardio parede il lo gli di che senza ventricolo sinistro destro parete
versamento nessun nessuna het een geen niet van met zonder hartspier nie bez jest prawej lewej komory ve yok sol
"""
"""German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish: words that English reports do not use. A word
with a letter that English does not have counts too."""
_IS_ENGLISH, _IS_FOREIGN = frozenset(_ENGLISH.split()), frozenset(_FOREIGN.split())
_WORD = re.compile(r"[^\W\d_]+")


def language_of(lines: Sequence[str]) -> Language | None:
    """The language of a description's lines; English where there is nothing to tell by, None where it is another."""
    counts = {"latin": 0, "chinese": 0, "other": 0}
    for character in "".join(lines):
        if character.isalpha():
            counts[_script(character)] += 1
    letters = sum(counts.values())
    if not letters:
        return "en"
    if counts["other"] > 0.1 * letters:
        return None
    if counts["chinese"] > 0.2 * letters:
        return "zh"
    words = [word for line in lines for word in _WORD.findall(line)]
    foreign = sum(_is_foreign(word) for word in words)
    english = sum(word.casefold() in _IS_ENGLISH for word in words)
    return None if foreign > max(1, english) else "en"


def _is_foreign(word: str) -> bool:
    if word.isupper() and len(word) < 4:  # LA, DES: abbreviations
        return False
    # not every word character is a letter: the square of mL/m² is none
    return word.casefold() in _IS_FOREIGN or any(one.isalpha() and not one.isascii() for one in word)


def _script(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith("CJK"):
        return "chinese"
    return "latin" if "LATIN" in name else "other"
