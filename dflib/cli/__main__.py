"""``python -m dflib.cli``: the ``dflib`` command."""

from dflib.cli.main import main

if __name__ == "__main__":
    main()
