-- Conversations and their messages, full text, the vectors of the messages, and the outbox that feeds the vector index.
-- Ids are UUIDs in lower case; times are UTC, `YYYY-MM-DDTHH:MM:SS.ffffff`, so that they sort as texts.

CREATE TABLE conversations (
    id TEXT PRIMARY KEY NOT NULL,
    label TEXT NOT NULL,
    label_lower TEXT NOT NULL,  -- SQLite's own lower() knows ASCII only
    folder TEXT NOT NULL DEFAULT '/',
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'archived')),
    importance_score REAL NOT NULL DEFAULT 5 CHECK (importance_score BETWEEN 0 AND 10),
    word_count INTEGER NOT NULL DEFAULT 0,
    message_count INTEGER NOT NULL DEFAULT 0,
    session_count INTEGER NOT NULL DEFAULT 1,
    metadata TEXT NOT NULL DEFAULT '{}',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX conversations_label_status ON conversations (label, status);
CREATE INDEX conversations_folder_updated ON conversations (folder, updated_at);
CREATE INDEX conversations_updated ON conversations (updated_at DESC, id);

-- How many conversations there are, by status: counting rows takes longer the more there are.
CREATE TABLE counters (
    status TEXT PRIMARY KEY NOT NULL,
    conversations INTEGER NOT NULL DEFAULT 0,
    messages INTEGER NOT NULL DEFAULT 0
);
INSERT INTO counters (status) VALUES ('active'), ('archived');
CREATE TRIGGER conversations_counted AFTER INSERT ON conversations BEGIN
    UPDATE counters SET conversations = conversations + 1, messages = messages + new.message_count
    WHERE status = new.status;
END;
CREATE TRIGGER conversations_uncounted AFTER DELETE ON conversations BEGIN
    UPDATE counters SET conversations = conversations - 1, messages = messages - old.message_count
    WHERE status = old.status;
END;
CREATE TRIGGER conversations_recounted AFTER UPDATE OF status, message_count ON conversations BEGIN
    UPDATE counters SET conversations = conversations - 1, messages = messages - old.message_count
    WHERE status = old.status;
    UPDATE counters SET conversations = conversations + 1, messages = messages + new.message_count
    WHERE status = new.status;
END;

-- `n`: full text refers to it; VACUUM would renumber rows without an integer key.
CREATE TABLE messages (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    "timestamp" TEXT NOT NULL,
    embedding_id TEXT,
    metadata TEXT,
    UNIQUE (conversation_id, seq)
);
CREATE INDEX messages_timestamp ON messages ("timestamp" DESC, id);

CREATE VIRTUAL TABLE messages_fts USING fts5 (
    content, content='messages', content_rowid='n', tokenize='porter unicode61 remove_diacritics 0'
);
CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages BEGIN
    INSERT INTO messages_fts (rowid, content) VALUES (new.n, new.content);
END;
CREATE TRIGGER messages_fts_delete AFTER DELETE ON messages BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, content) VALUES ('delete', old.n, old.content);
END;
CREATE TRIGGER messages_fts_update AFTER UPDATE OF content ON messages BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, content) VALUES ('delete', old.n, old.content);
    INSERT INTO messages_fts (rowid, content) VALUES (new.n, new.content);
END;

-- `vector`: float32, little-endian, length 1. A vector made anew gets a new, higher `n`.
CREATE TABLE embeddings (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL UNIQUE REFERENCES messages (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    dim INTEGER NOT NULL,
    vector BLOB NOT NULL
);
CREATE INDEX embeddings_model ON embeddings (model);

-- What the vector index has still to learn, in order; written in the same transaction as the change itself.
-- `reembed` makes a new vector although there is one. No foreign key: the message of a `delete` is gone.
CREATE TABLE vector_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('upsert', 'delete', 'reembed')),
    created_at TEXT NOT NULL
);
CREATE INDEX vector_outbox_message ON vector_outbox (message_id);
CREATE INDEX vector_outbox_reembed ON vector_outbox (id) WHERE action = 'reembed';

CREATE TABLE vector_index_state (
    name TEXT PRIMARY KEY NOT NULL,
    collection_id TEXT NOT NULL,
    model TEXT NOT NULL
);

CREATE TABLE hierarchical_summaries (
    id TEXT PRIMARY KEY NOT NULL,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    level TEXT NOT NULL CHECK (level IN ('daily', 'weekly', 'monthly')),
    summary_text TEXT NOT NULL,
    timestamp_range TEXT,
    generated_at TEXT NOT NULL,
    model_used TEXT NOT NULL,
    token_count INTEGER NOT NULL
);
CREATE INDEX hierarchical_summaries_conversation ON hierarchical_summaries (conversation_id, level, generated_at);

-- Tells this database from every other: a move to PostgreSQL that was interrupted recognises its source by it.
CREATE TABLE instance (id TEXT NOT NULL);
INSERT INTO instance (id) VALUES (lower(hex(randomblob(16))));

-- Keys made by `sekha-controller keys`; `digest` is the SHA-256 of the key, which is kept nowhere.
CREATE TABLE api_keys (
    name TEXT PRIMARY KEY NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT,
    last_used_at TEXT
);
