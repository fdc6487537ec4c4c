-- Conversations and their messages, the vectors of the messages, and the outbox that feeds the vector index.

CREATE TABLE conversations (
    id uuid PRIMARY KEY,
    label text NOT NULL,
    folder text NOT NULL DEFAULT '/',
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'archived')),
    importance_score double precision NOT NULL DEFAULT 5 CHECK (importance_score BETWEEN 0 AND 10),
    word_count integer NOT NULL DEFAULT 0,
    message_count integer NOT NULL DEFAULT 0,
    session_count integer NOT NULL DEFAULT 1,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX conversations_label_status ON conversations (label, status);
CREATE INDEX conversations_folder_updated ON conversations (folder text_pattern_ops, updated_at);
CREATE INDEX conversations_updated ON conversations (updated_at DESC, id);

-- `search` covers the first 150,000 characters: a tsvector is limited to 1 MB, and no text of that length exceeds it.
CREATE TABLE messages (
    id uuid PRIMARY KEY,
    conversation_id uuid NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    seq integer NOT NULL,
    role text NOT NULL,
    content text NOT NULL,
    "timestamp" timestamptz NOT NULL,
    embedding_id uuid,
    metadata jsonb,
    search tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, left(content, 150000))) STORED,
    UNIQUE (conversation_id, seq)
);
CREATE INDEX messages_timestamp ON messages ("timestamp" DESC, id);
CREATE INDEX messages_search ON messages USING gin (search);

-- `vector`: float32, little-endian, length 1.
CREATE TABLE embeddings (
    message_id uuid PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    model text NOT NULL,
    dim integer NOT NULL,
    vector bytea NOT NULL
);

-- What the vector index has still to learn, in order; written in the same transaction as the change itself.
-- No foreign key: the message of a `delete` is gone.
CREATE TABLE vector_outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL,
    action text NOT NULL CHECK (action IN ('upsert', 'delete')),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Which collection of the index was fed last: another one is new and gets everything again.
CREATE TABLE vector_index_state (
    name text PRIMARY KEY,
    collection_id text NOT NULL,
    model text NOT NULL
);

CREATE TABLE hierarchical_summaries (
    id uuid PRIMARY KEY,
    conversation_id uuid NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    level text NOT NULL CHECK (level IN ('daily', 'weekly', 'monthly')),
    summary_text text NOT NULL,
    timestamp_range tstzrange,
    generated_at timestamptz NOT NULL DEFAULT now(),
    model_used text NOT NULL,
    token_count integer NOT NULL
);
CREATE INDEX hierarchical_summaries_conversation ON hierarchical_summaries (conversation_id, level, generated_at);
