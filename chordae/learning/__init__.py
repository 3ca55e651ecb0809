"""Ray Train: how the experts are made, and how they are judged."""
