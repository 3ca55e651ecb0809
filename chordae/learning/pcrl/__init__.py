"""Prospective continuous reinforcement learning: from answers about unlabelled cases to what may be trained on."""
