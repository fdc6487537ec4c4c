-- What a replica of the vector index missed: brought to the database's state when it answers again. A replica counts as
-- complete while nothing here names it.

CREATE TABLE vector_behind (
    replica text NOT NULL,
    message_id uuid NOT NULL,
    PRIMARY KEY (replica, message_id)
);

-- The oldest entries are found without reading a rebuild's queue.
CREATE INDEX vector_outbox_waiting ON vector_outbox (id) WHERE action <> 'reembed';
