"""A machine's backups: pgBackRest's configuration, the lease in the bucket, restore at bring-up, Caddy's files.

Standard library only; runs as root (`sekha-backup COMMAND`). How it works: docs/backup.md.
"""
