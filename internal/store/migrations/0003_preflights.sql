-- +goose Up

-- Whether the last preflight of a connector denied a capability: then a green test is worth attention only.
ALTER TABLE connectors ADD COLUMN preflight_denied boolean NOT NULL DEFAULT false;

CREATE TABLE preflights (
    account    text   NOT NULL,
    id         text   NOT NULL,
    org        text   NOT NULL,
    project    text   NOT NULL,
    connector  text   NOT NULL,
    started_at bigint NOT NULL,
    ended_at   bigint NOT NULL,
    detail     text   NOT NULL,
    PRIMARY KEY (account, id),
    FOREIGN KEY (account, org, project, connector) REFERENCES connectors (account, org, project, id) ON DELETE CASCADE
);
CREATE INDEX preflights_by_connector ON preflights (account, org, project, connector, ended_at, id);
