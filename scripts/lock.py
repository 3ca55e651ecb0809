"""Writes constraints.txt: the exact version of everything chordae needs, as installed in this environment.

    python scripts/lock.py > constraints.txt

The closure of chordae's own requirements, without what is needed nowhere here: audio and video codecs that the default
index has for CUDA only, and Triton (1 GB), which the CPU build of vLLM does without.
"""

import sys
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LEFT_OUT = {"torchaudio", "torchcodec", "triton"}
HEADER = "# Written by scripts/lock.py. The exact versions that chordae runs and is tested with; see Makefile."


def closure(name: str, extras: set[str], found: dict[str, str]) -> None:
    """Add the installed version of `name` and of all it requires to `found`."""
    key = canonicalize_name(name)
    if key in LEFT_OUT:
        return
    try:
        package = distribution(name)
    except PackageNotFoundError:
        sys.exit(f"{name} is required and not installed")
    known = key in found
    found[key] = package.version.split("+")[0]  # torch 2.13.0+cpu where that build is to be had, else 2.13.0
    if known and not extras:
        return
    for text in package.requires or []:
        required = Requirement(text)
        wanted = [extra for extra in ("", *extras) if not required.marker or required.marker.evaluate({"extra": extra})]
        fresh = canonicalize_name(required.name) not in found or required.extras
        if wanted and fresh:
            closure(required.name, set(required.extras), found)


if __name__ == "__main__":
    found: dict[str, str] = {}
    closure("chordae", {"cpu", "dev"}, found)
    del found["chordae"]
    print(HEADER)  # noqa: T201
    print("\n".join(f"{name}=={found[name]}" for name in sorted(found)))  # noqa: T201
