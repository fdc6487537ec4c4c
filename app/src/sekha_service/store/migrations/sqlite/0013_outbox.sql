-- The oldest entries are found without reading a rebuild's queue.

CREATE INDEX vector_outbox_waiting ON vector_outbox (id) WHERE action <> 'reembed';
