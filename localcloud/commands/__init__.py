"""The commands of `bin/localcloud`, one file per job; localcloud/cli.py reads the command line and calls them."""
