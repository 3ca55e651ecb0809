"""Whose study it is, without saying so: keyed hashes, one key a site.

Without the key nobody can tell who a hash belongs to, nor link the patients of two sites; with it the site itself can
(HMAC-SHA-256, RFC 2104; as DICOM PS3.15 annex E asks of consistent pseudonyms).
"""

from __future__ import annotations

import hashlib
import hmac
import os
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
    text = path.read_text().strip()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise BadSettings(f"the key of site {name} is damaged", f"restore {path} from the backup")
    return Site(name, bytes.fromhex(text))


def patient_and_study(instances: Iterable[Instance]) -> tuple[str, str]:
    """The one patient and the study that all these objects belong to, as one string each for `Site.pseudonym`.

    Raises:
        UnreadableRecording: they belong to several patients.
    """
    patients, studies = set[str](), set[str]()
    for instance in instances:
        found = [str(value).strip() for value in instance.identifiers.get("PatientID", ())]
        found = [value for value in found if value]
        if found:
            patients.add("\\".join(found))
        studies.update(str(value) for value in instance.identifiers.get("StudyInstanceUID", ()))
    if len(patients) > 1:
        raise UnreadableRecording(
            f"The study holds images of {len(patients)} patients", "send one patient at a time", "mixed_patients"
        )
    return next(iter(patients), ""), "\\".join(sorted(studies))
