"""How much better an answer was than the others to the same prompt: one way a file, behind one protocol."""
