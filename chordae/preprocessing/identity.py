"""Whose study it is, without saying so: keyed hashes, one key a site.

Without the key nobody can tell who a hash belongs to, nor link the patients of two sites; with it the site itself can
(HMAC-SHA-256, RFC 2104; as DICOM PS3.15 annex E asks of consistent pseudonyms).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import platform
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from chordae.platform.errors import BadInput, BadSettings, UnreadableRecording
from chordae.platform.files import write_atomically
from chordae.preprocessing.dicom import Instance

KEY_BYTES = 32


@dataclass(frozen=True)
class Site:
    """Where studies come from, and the key that makes their identifiers unreadable."""

    name: str
    key: bytes = field(repr=False)

    def pseudonym(self, kind: str, identifier: str) -> str:
        """32 hexadecimal digits for an identifier of that kind (`patient`, `study`)."""
        message = f"{kind}\0{identifier}".encode()
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()[:32]

    @property
    def fingerprint(self) -> str:
        """Tells this key from another, and nothing else of it."""
        return self.pseudonym("fingerprint", self.name)


def load_site(name: str, directory: Path) -> Site:
    """The site of that name and its key, `<directory>/<name>.key`; a new site gets a new one, readable by its owner.

    Raises:
        BadInput: a name that is no plain word.
        BadSettings: the key file is damaged.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
        raise BadInput(f"{name!r} is no name for a site", "use up to 40 small letters, digits, _ or -")
    path = directory / f"{name}.key"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = directory / f".{name}.{secrets.token_hex(8)}"
        write_atomically(fresh, secrets.token_hex(KEY_BYTES).encode())
        with suppress(FileExistsError):  # another process was first: its key counts
            os.link(fresh, path)
        fresh.unlink()
    return _read(name, path)


def known_site(name: str, directory: Path, fingerprint: str) -> Site:
    """The site as another node knows it, by its key's `fingerprint`; makes nothing.

    Raises:
        BadSettings: this node has no key of that site, another one, or a damaged one.
    """
    path = directory / f"{name}.key"
    mount = "mount the same data_dir on every node"
    if not path.exists():
        raise BadSettings(f"no key of site {name} on {platform.node()}", mount)
    site = _read(name, path)
    if site.fingerprint != fingerprint:
        raise BadSettings(f"another key of site {name} on {platform.node()}", mount)
    return site


def _read(name: str, path: Path) -> Site:
    text = path.read_text().strip()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise BadSettings(f"the key of site {name} is damaged", f"restore {path} from the backup")
    return Site(name, bytes.fromhex(text))


LARGEST_NUMBER = 99_999
"""Numbers of series and images; larger ones could be dates or identifiers."""


def harmless_number(number: float | None) -> int | None:
    """A number of a series or an image, as an integer; None for one that could tell who or when."""
    return int(number) if number is not None and 0 <= number <= LARGEST_NUMBER else None


def patient_and_study(instances: Iterable[Instance]) -> tuple[str, str]:
    """The one patient and the study that all these objects belong to, as one string each for `Site.pseudonym`.

    Raises:
        UnreadableRecording: they belong to several patients.
    """
    patients, studies = set[tuple[str, str]](), set[str]()
    for instance in instances:
        patients |= _patient(instance)
        studies.update(str(value) for value in instance.identifiers.get("StudyInstanceUID", ()))
    by_number = {who for kind, who in patients if kind == "PatientID"}
    by_name = {who for kind, who in patients if kind == "PatientName"}
    if len(by_number) > 1 or len(by_name) > 1:
        raise UnreadableRecording(
            f"The study holds images of {max(len(by_number), len(by_name))} patients",
            "send one patient at a time",
            "mixed_patients",
        )
    return next(iter(by_number or by_name), ""), "\\".join(sorted(studies))


def _patient(instance: Instance) -> set[tuple[str, str]]:
    """Whose an object is: by number, where there is none by name and birth date, where there is neither by nothing."""
    for keywords in (("PatientID",), ("PatientName", "PatientBirthDate")):
        values = [str(value).strip() for keyword in keywords for value in instance.identifiers.get(keyword, ())]
        if any(values):
            return {(keywords[0], "\\".join(values))}
    return set()
