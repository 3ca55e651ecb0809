"""The loop: prospective records become weights that serve, under a brake and through a gate."""
