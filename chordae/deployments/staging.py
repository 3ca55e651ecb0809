"""Everything that can be known of a version before it is loaded: is it whole, finite, and of the model that is served?

Nothing is changed here, so that a version that fails leaves no trace. Files are read where they lie.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from chordae.deployments.loaded import Loaded, look_at_version
from chordae.platform.architecture import difference
from chordae.platform.errors import AnotherArchitecture, BadInput, BadSettings, VersionRefused, VersionUnreadable
from chordae.platform.tensors import not_finite, read_headers
from chordae.platform.wanted import Wanted
from chordae.platform.weights import VERSION, Manifest

_ROLLING = "another architecture: goes through a rolling replacement"


def stage(wanted: Wanted, served: Loaded) -> Loaded:
    """Check a version against its own digests and against the one that is served; reads all of its bytes, in chunks.

    Returns:
        What belongs to it, ready to be loaded.

    Raises:
        AnotherArchitecture: a model of another shape.
        VersionRefused: damaged, not finite, without canary probes, or of another model; says which file or tensor.
    """
    new = check_version(wanted)
    if new.canaries is None:
        raise _refused(wanted, "has no canary probes", "register it again, with those of its trainer")
    try:
        of_one_model(new, served.manifest)
        for name, tensor in read_headers(wanted.directory).items():
            if not_finite(tensor):
                raise VersionRefused(f"the tensor {name} holds NaN or infinity", "train it again, from an earlier step")
        if not served.directory.is_dir():  # then neither can the old weights be loaded again
            whose = f"the files of what is served, version {served.weights.version} of {served.weights.name}, are gone"
            raise VersionUnreadable(whose, f"put them back into {served.directory.name}; it is served on from memory")
        same_architecture(new, served)  # last: what differs in nothing else can be begun with
    except (BadInput, BadSettings) as error:
        raise VersionRefused(error.problem, error.remedy) from error
    except OSError as error:
        raise _unreadable(wanted, error) from error
    return new


def check_version(wanted: Wanted) -> Loaded:
    """A version by itself: its files, its digest, what was fitted for it. Raises VersionUnreadable."""
    try:
        check_files(wanted)
        new = look_at_version(wanted)
    except (BadInput, BadSettings) as error:
        raise VersionUnreadable(error.problem, error.remedy) from error
    except OSError as error:
        raise _unreadable(wanted, error) from error
    if new.weights.digest != wanted.digest:
        raise _refused(wanted, "is not what was promoted", "copy the version again")
    return new


def of_one_model(new: Loaded, served: Manifest) -> None:
    """Raises VersionRefused where a version is of another model than the one with that manifest."""
    for what in ("name", "kind", "modality", "layout"):
        ours, theirs = getattr(served, what), getattr(new.manifest, what)
        if ours != theirs:
            whose = f"version {new.weights.version} of {new.weights.name}"
            raise VersionRefused(f"{whose} says {what} {theirs}, what is served {ours}", "promote one of this model")


def same_architecture(new: Loaded, served: Loaded) -> None:
    """Whether one version can be loaded over another.

    Raises:
        AnotherArchitecture: other tensors, another configuration, tokenizer or processor; says what.
        BadInput, BadSettings: a file that cannot be read.
    """
    if differs := difference(new.directory, served.directory):
        whose = f"version {new.weights.version} of {new.weights.name}"
        raise AnotherArchitecture(f"{whose} does not fit over what is served ({differs})", _ROLLING)


def check_files(wanted: Wanted) -> None:
    """Hold the files of a version against the digests of its `version.json` and the one it is wanted by.

    Raises:
        VersionUnreadable: a file is missing or changed, or there is no list of digests; says which.
    """
    listed = _digests(wanted)
    for name, expected in sorted(listed.items()):
        path = wanted.directory / name
        if not path.is_file():
            raise _refused(wanted, f"lacks {name}", "copy the version again")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise _refused(wanted, f"has a damaged {name}", "copy the version again")
    for path in wanted.directory.glob("*.safetensors"):
        if path.name not in listed:
            raise _refused(wanted, f"holds {path.name}, which is not among its digests", "register it again")


def _digests(wanted: Wanted) -> dict[str, str]:
    try:
        listed = json.loads((wanted.directory / VERSION).read_bytes())["files"]
        names = {str(name): str(digest) for name, digest in listed.items()}
    except OSError as error:
        raise _refused(wanted, f"has no {VERSION}", "register it again") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(wanted, f"has a damaged {VERSION}", "register it again") from error
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in names):
        raise _refused(wanted, f"names files outside in its {VERSION}", "register it again")
    return names


def _refused(wanted: Wanted, problem: str, remedy: str) -> VersionUnreadable:
    return VersionUnreadable(f"version {wanted.version} of {wanted.model} {problem}", remedy)


def _unreadable(wanted: Wanted, error: OSError) -> VersionUnreadable:
    return _refused(wanted, f"cannot be read ({error.strerror})", "check the shared file system")
