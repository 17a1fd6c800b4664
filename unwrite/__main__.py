"""`python -m unwrite …` is the same as `unwrite …`; child processes are started this way."""

from unwrite.cli import main

if __name__ == "__main__":
    main()
