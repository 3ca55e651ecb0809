"""From a patient's CMR record to a diagnosis that can be followed: record, prompt, chain of diagnosis, check."""
