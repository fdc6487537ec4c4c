-- Keys made by `sekha-controller keys`; `digest` is the SHA-256 of the key, which is kept nowhere.

CREATE TABLE api_keys (
    name text PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
