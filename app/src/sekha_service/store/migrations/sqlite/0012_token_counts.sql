-- The estimated tokens of a conversation's messages, so that statistics need not read every message. NULL where the
-- release before wrote the row: it is counted from the messages then.

ALTER TABLE conversations ADD COLUMN token_count INTEGER;
UPDATE conversations SET token_count =
    (SELECT coalesce(sum(length(m.content) / 4), 0) FROM messages m WHERE m.conversation_id = conversations.id);

-- Filtered lists and counts read this index alone, not the rows.
CREATE INDEX conversations_listed
    ON conversations (updated_at DESC, id, label_lower, folder, status, importance_score);
DROP INDEX conversations_updated;
