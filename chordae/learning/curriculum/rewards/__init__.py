"""What an answer of the reasoner is worth: each part a file and a function, and their weighted sum."""
