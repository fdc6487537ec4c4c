-- A rebuild queues every message once more: `reembed` makes a new vector although there is one.

ALTER TABLE vector_outbox DROP CONSTRAINT vector_outbox_action_check;
ALTER TABLE vector_outbox ADD CONSTRAINT vector_outbox_action_check CHECK (action IN ('upsert', 'delete', 'reembed'));
CREATE INDEX vector_outbox_reembed ON vector_outbox (id) WHERE action = 'reembed';
