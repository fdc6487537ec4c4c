-- How many conversations and messages there are, by status: counting rows takes longer the more there are.
-- In slots, by the process that writes: creates would wait for each other's commits on a single row. A slot's figures
-- may be negative, their sum is right.

CREATE TABLE counters (
    status text NOT NULL,
    slot integer NOT NULL,
    conversations bigint NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (status, slot)
) WITH (fillfactor = 10);

CREATE FUNCTION sekha_count(sekha_status text, sekha_conversations bigint, sekha_messages bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO counters AS c VALUES (sekha_status, pg_backend_pid() % 64, sekha_conversations, sekha_messages)
    ON CONFLICT (status, slot) DO UPDATE
    SET conversations = c.conversations + excluded.conversations, messages = c.messages + excluded.messages
$$;
CREATE FUNCTION sekha_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM sekha_count(status, count(*), sum(message_count)) FROM added GROUP BY status ORDER BY status;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM sekha_count(status, -count(*), -sum(message_count)) FROM removed GROUP BY status ORDER BY status;
    ELSE
        PERFORM sekha_count(status, sum(n)::bigint, sum(m)::bigint) FROM (
            SELECT status, 1 AS n, message_count AS m FROM added
            UNION ALL SELECT status, -1, -message_count FROM removed
        ) AS changed GROUP BY status HAVING sum(n) <> 0 OR sum(m) <> 0 ORDER BY status;
    END IF;
    RETURN NULL;
END
$$;

LOCK TABLE conversations IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO counters SELECT status, 0, count(*), sum(message_count) FROM conversations GROUP BY status;
CREATE TRIGGER conversations_added AFTER INSERT ON conversations
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION sekha_counted();
CREATE TRIGGER conversations_removed AFTER DELETE ON conversations
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION sekha_counted();
CREATE TRIGGER conversations_changed AFTER UPDATE ON conversations
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION sekha_counted();
