"""How the examples of a round are shared among the classes: one way a file, all behind one protocol."""
