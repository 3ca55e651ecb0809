"""Raw hospital files -> model-ready media."""
