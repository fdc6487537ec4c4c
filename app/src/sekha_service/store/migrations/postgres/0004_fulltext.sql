-- Full text finds the same as on SQLite: words end at ASCII punctuation, Porter's stemmer, no word left out of phrases.
-- Queries of the release before (configuration `english`) run on it, with slightly different stems.

CREATE TEXT SEARCH DICTIONARY sekha_porter (TEMPLATE = snowball, LANGUAGE = porter);
CREATE TEXT SEARCH CONFIGURATION sekha (PARSER = pg_catalog."default");
ALTER TEXT SEARCH CONFIGURATION sekha ADD MAPPING FOR
    asciiword, word, numword, asciihword, hword, numhword, hword_asciipart, hword_part, hword_numpart,
    int, uint, float, sfloat, version, email, url, url_path, host, file, protocol, tag, entity
    WITH sekha_porter;

-- The first 100,000 characters: a tsvector is limited to 1 MB.
ALTER TABLE messages DROP COLUMN search;
ALTER TABLE messages ADD COLUMN search tsvector GENERATED ALWAYS AS (
    to_tsvector('sekha'::regconfig, regexp_replace(left(content, 100000), '[\x01-/:-@\[-`{-\x7f]+', ' ', 'g'))
) STORED;
CREATE INDEX messages_search ON messages USING gin (search);
