"""Where the ``prelabel`` command begins."""

import sys


def main() -> None:
    """Runs the command; Ctrl-C is one line and exit 130 also while it is still being imported."""
    try:
        from serving.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("prelabel: stopped\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
