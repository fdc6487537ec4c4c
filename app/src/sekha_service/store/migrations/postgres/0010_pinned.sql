-- Context recall reads the messages of pinned conversations.

CREATE INDEX conversations_pinned ON conversations (updated_at) WHERE importance_score >= 10;
