"""Cardiac AI that hospital networks run on their own Ray cluster."""

__version__ = "0.1.0"
