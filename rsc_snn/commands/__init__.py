"""The commands of `python -m rsc_snn`; each module has `add_parser(subparsers)`."""
