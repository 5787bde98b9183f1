-- +goose Up

-- About when an API key was used last; 0: never.
ALTER TABLE api_keys ADD COLUMN last_used_at bigint NOT NULL DEFAULT 0;

-- The AWS account that a connector reaches: that of its last identity, else that of the role it names; '' while nobody knows.
ALTER TABLE connectors ADD COLUMN reaches text NOT NULL DEFAULT '';
-- The type of its credential, as spec has it.
ALTER TABLE connectors ADD COLUMN credential text NOT NULL DEFAULT '';
-- When it began to fail, or to hold again, and when it had turned before that; 0: never.
ALTER TABLE connectors ADD COLUMN turned_at bigint NOT NULL DEFAULT 0;
ALTER TABLE connectors ADD COLUMN turned_before bigint NOT NULL DEFAULT 0;
UPDATE connectors SET credential = CASE
    WHEN spec LIKE '{"credential":{"type":"manual"%' THEN 'manual'
    WHEN spec LIKE '{"credential":{"type":"inherit"%' THEN 'inherit'
    WHEN spec LIKE '{"credential":{"type":"irsa"%' THEN 'irsa'
    WHEN spec LIKE '{"credential":{"type":"oidc"%' THEN 'oidc'
    WHEN spec LIKE '{"credential":{"type":"kubernetes"%' THEN 'kubernetes'
    ELSE '' END;

-- Each is for one question and holds what answers it; listings keep theirs.
CREATE INDEX connectors_tally ON connectors (account, status, org, project) WHERE type = 'Aws';
CREATE INDEX connectors_needing ON connectors (account, last_activity, id, org, project) WHERE type = 'Aws' AND status IN ('FAILURE', 'PARTIAL');
CREATE INDEX connectors_by_reach ON connectors (account, reaches, status, credential, org, project) WHERE type = 'Aws' AND reaches <> '';
CREATE INDEX connectors_by_turn ON connectors (account, turned_at, id, org, project) WHERE turned_at > 0;
CREATE INDEX connectors_by_test ON connectors (account, last_tested_at, org, project) WHERE last_tested_at > 0;

-- How many tests of the connectors that reach an AWS account passed and failed, by the hour (since 1970).
CREATE TABLE test_hours (
    account text   NOT NULL,
    reaches text   NOT NULL,
    hour    bigint NOT NULL,
    org     text   NOT NULL,
    project text   NOT NULL,
    passed  bigint NOT NULL,
    failed  bigint NOT NULL,
    PRIMARY KEY (account, reaches, hour, org, project)
);
CREATE INDEX test_hours_by_age ON test_hours (hour);
