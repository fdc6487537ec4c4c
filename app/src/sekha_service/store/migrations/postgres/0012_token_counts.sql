-- The estimated tokens of a conversation's messages, so that statistics need not read every message. NULL where the
-- release before wrote the row: it is counted from the messages then.

ALTER TABLE conversations ADD COLUMN token_count bigint;
UPDATE conversations c SET token_count =
    (SELECT coalesce(sum(length(m.content) / 4), 0) FROM messages m WHERE m.conversation_id = c.id);

-- Parts of labels are found by trigrams. Without the extension (it comes with Debian's PostgreSQL) they are found by
-- reading every label.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX conversations_label_parts ON conversations USING gin (lower(label) gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'no index on parts of labels: %', SQLERRM;
END
$$;
