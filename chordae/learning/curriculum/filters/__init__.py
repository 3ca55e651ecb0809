"""What becomes of groups that teach nothing: one way a file, behind one protocol."""
