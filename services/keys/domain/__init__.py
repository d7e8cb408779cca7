"""What keys are, whom they serve and when they end: pure rules."""
