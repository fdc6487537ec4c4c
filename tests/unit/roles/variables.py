"""One machine's variables, as the planner gives them; for the tests of the roles."""

from __future__ import annotations

VARIABLES: dict[str, object] = {
    "stack": "prod",
    "node": "sekha-prod-1",
    "data_device": "/dev/disk/by-id/scsi-0HC_Volume_42",
    "domain": "",
    "public_ipv4": "198.51.100.10",
    "tls_mode": "internal",
    "acme_email": "",
    "admin_cidrs": ["198.51.100.7/32", "2001:db8::/32"],
    "metrics_cidrs": ["10.0.0.0/16"],
    "ssh_open": True,
    "database": "postgres",
    "database_url": "postgresql:///sekha?host=/var/run/postgresql",
    "restore": "auto",
    "restore_to": "",
    "restore_from": "null",
    "backup_processes": 2,
    "pg_archive_timeout_s": 4,
    "pg_shared_buffers_mb": 1024,
    "pg_effective_cache_mb": 2048,
    "pg_work_mem_mb": 8,
    "pg_maintenance_mb": 128,
    "pg_max_connections": 60,
    "postgres_memory_max_mb": 2048,
    "chroma_memory_max_mb": 1024,
    "sekha_workers": 2,
    "sekha_memory_max_mb": 1500,
    "sekha_db_pool": 10,
    "swap_mb": 1024,
    "api_key_hashes": ["sha256:" + "0" * 64, "sha256:" + "1" * 64],
}
SQLITE: dict[str, object] = {
    **VARIABLES,
    "database": "sqlite",
    "database_url": "sqlite:///srv/sekha/sqlite/sekha.db",
    "pg_archive_timeout_s": 1,
}
DOMAIN: dict[str, object] = {
    "domain": "sekha.example.com",
    "tls_mode": "acme",
    "acme_email": "ops@example.com",
    "metrics_cidrs": [],
}
