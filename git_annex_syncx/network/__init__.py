"""The network, and the plan by which content travels through it."""
