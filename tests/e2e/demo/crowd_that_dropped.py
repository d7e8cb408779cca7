"""A crowd process in which one delivery is dropped."""

from tests.e2e.demo.defects import dropped, play_with

if __name__ == "__main__":
    play_with(dropped)
