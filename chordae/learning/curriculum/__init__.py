"""The parts of MA-GRPO that need no model: which examples a round trains on, what answers are worth, and the state."""
