"""Where the ``prelabel`` command begins."""

import sys

STOPPED = 130


def main() -> None:
    """Runs the command; Ctrl-C is one line and exit 130, also while the command is still being imported."""
    try:
        from serving.cli import main as run

        run()
    except (KeyboardInterrupt, SystemExit) as ended:
        if isinstance(ended, SystemExit) and ended.code != STOPPED:  # that is Typer's word for Ctrl-C
            raise
        sys.stderr.write("prelabel: stopped\n")
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
