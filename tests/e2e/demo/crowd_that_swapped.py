"""A crowd process in which two deliveries change places."""

from tests.e2e.demo.defects import play_swapped

if __name__ == "__main__":
    play_swapped()
