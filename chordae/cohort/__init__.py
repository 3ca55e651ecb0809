"""Simulated patients with ground truth: what the project trains and demonstrates on."""
