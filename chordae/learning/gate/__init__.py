"""Whether a candidate may take the champion's place: what was measured, the rules, the decision and its page."""
