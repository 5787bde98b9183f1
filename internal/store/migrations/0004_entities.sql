-- +goose Up

-- What the connector leads to: Aws, or K8sCluster, which is kept only.
ALTER TABLE connectors ADD COLUMN type text NOT NULL DEFAULT 'Aws';

-- Services, environments and infrastructure definitions; environment is '' for the first two.
CREATE TABLE definitions (
    account     text   NOT NULL,
    org         text   NOT NULL,
    project     text   NOT NULL,
    kind        text   NOT NULL,
    environment text   NOT NULL,
    id          text   NOT NULL,
    name        text   NOT NULL,
    name_lower  text   NOT NULL,
    search      text   NOT NULL,
    description text   NOT NULL,
    tags        text   NOT NULL,
    color       text   NOT NULL,
    type        text   NOT NULL,
    deployment  text   NOT NULL,
    yaml        text   NOT NULL,
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL,
    PRIMARY KEY (account, org, project, kind, environment, id)
);
CREATE INDEX definitions_by_name ON definitions (account, org, project, kind, environment, name_lower, id);

-- What FirstGen clients wrote, beside the connector or secret that it became. org and project are ''.
CREATE TABLE firstgen_providers (
    account  text   NOT NULL,
    org      text   NOT NULL,
    project  text   NOT NULL,
    id       text   NOT NULL,
    text     text   NOT NULL,
    revision bigint NOT NULL, -- of the connector that it is the text of
    PRIMARY KEY (account, org, project, id),
    FOREIGN KEY (account, org, project, id) REFERENCES connectors (account, org, project, id) ON DELETE CASCADE
);
CREATE TABLE firstgen_secrets (
    account  text   NOT NULL,
    org      text   NOT NULL,
    project  text   NOT NULL,
    id       text   NOT NULL,
    text     text   NOT NULL,
    revision bigint NOT NULL, -- 0
    PRIMARY KEY (account, org, project, id),
    FOREIGN KEY (account, org, project, id) REFERENCES secrets (account, org, project, id) ON DELETE CASCADE
);
