"""Python imports this at start-up of vLLM's child processes: see chordae.platform.torch_libs."""

from chordae.platform.torch_libs import mend_torchvision

mend_torchvision()
