"""Floor 6: the control plane."""
