"""The agent as a module, so that it runs from this source tree."""

from tailrace.cli.main import main

if __name__ == "__main__":
    main()
