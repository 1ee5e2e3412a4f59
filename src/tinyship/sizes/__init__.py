"""What images weigh, and what they may weigh. No I/O."""
