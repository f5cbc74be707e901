"""Training the shipped networks on simulated recordings: from a seed, on a CPU, resumable."""
