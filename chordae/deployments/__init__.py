"""Ray Serve: experts, probing, orchestrator, gateway, and the graph that joins them."""
