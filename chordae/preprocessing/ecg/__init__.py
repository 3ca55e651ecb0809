"""12-lead ECG: read, clean, render."""
