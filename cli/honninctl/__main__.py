"""`python -m honninctl`."""

from honninctl.app import main

if __name__ == "__main__":
    main()
