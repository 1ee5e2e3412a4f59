"""What images weigh, where their bytes are, what they may weigh. Knows nothing of engines, registries and Invoke."""
