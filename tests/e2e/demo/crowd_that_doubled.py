"""A crowd process in which one delivery is doubled."""

from tests.e2e.demo.defects import doubled, play_with

if __name__ == "__main__":
    play_with(doubled)
