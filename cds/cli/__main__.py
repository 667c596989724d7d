"""Run the command line as `python -m cds.cli`."""

from cds.cli import main

main(prog_name="imatinib-tdm")
