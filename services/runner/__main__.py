"""`python -m services.runner` is `muniment`."""

from services.runner.cli import main

main()
