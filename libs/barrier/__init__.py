"""The barrier between holds and destruction: what an executor needs, so that nothing held is destroyed."""
