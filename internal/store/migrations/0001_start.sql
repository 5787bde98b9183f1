-- +goose Up

CREATE TABLE meta (
    key   text NOT NULL PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE accounts (
    id         text   NOT NULL PRIMARY KEY,
    name       text   NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE flags (
    account text    NOT NULL,
    flag    text    NOT NULL,
    enabled boolean NOT NULL,
    PRIMARY KEY (account, flag)
);

-- search, here and below: what a search looks through, in lower case.
CREATE TABLE organizations (
    account     text   NOT NULL,
    id          text   NOT NULL,
    name        text   NOT NULL,
    name_lower  text   NOT NULL,
    search      text   NOT NULL,
    description text   NOT NULL,
    tags        text   NOT NULL,
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE INDEX organizations_by_name ON organizations (account, name_lower, id);

CREATE TABLE projects (
    account     text   NOT NULL,
    org         text   NOT NULL,
    id          text   NOT NULL,
    name        text   NOT NULL,
    name_lower  text   NOT NULL,
    search      text   NOT NULL,
    description text   NOT NULL,
    color       text   NOT NULL,
    modules     text   NOT NULL,
    tags        text   NOT NULL,
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL,
    PRIMARY KEY (account, org, id)
);
CREATE INDEX projects_by_name ON projects (account, name_lower, org, id);

-- org and project, here and below: '' at account scope, project alone '' at organization scope.
CREATE TABLE secrets (
    account     text   NOT NULL,
    org         text   NOT NULL,
    project     text   NOT NULL,
    id          text   NOT NULL,
    name        text   NOT NULL,
    name_lower  text   NOT NULL,
    search      text   NOT NULL,
    description text   NOT NULL,
    tags        text   NOT NULL,
    manager     text   NOT NULL,
    kind        text   NOT NULL,
    path        text   NOT NULL,
    metadata    text   NOT NULL,
    sealed      text   NOT NULL,
    created_at  bigint NOT NULL,
    updated_at  bigint NOT NULL,
    PRIMARY KEY (account, org, project, id)
);
CREATE INDEX secrets_by_name ON secrets (account, org, project, name_lower, id);

CREATE TABLE connectors (
    account        text    NOT NULL,
    org            text    NOT NULL,
    project        text    NOT NULL,
    id             text    NOT NULL,
    name           text    NOT NULL,
    name_lower     text    NOT NULL,
    search         text    NOT NULL,
    description    text    NOT NULL,
    tags           text    NOT NULL,
    inheriting     boolean NOT NULL,
    ignore_test    boolean NOT NULL,
    spec           text    NOT NULL,
    revision       bigint  NOT NULL,
    created_at     bigint  NOT NULL,
    updated_at     bigint  NOT NULL,
    next_test_at   bigint  NOT NULL,
    status         text    NOT NULL,
    last_test      text    NOT NULL, -- its id, or ''
    last_tested_at bigint  NOT NULL,
    last_connected bigint  NOT NULL,
    last_activity  bigint  NOT NULL,
    PRIMARY KEY (account, org, project, id)
);
CREATE INDEX connectors_by_name ON connectors (account, org, project, name_lower, id);
CREATE INDEX connectors_in_account ON connectors (account, name_lower, id, org, project);
CREATE INDEX connectors_due ON connectors (next_test_at) WHERE ignore_test = false;

CREATE TABLE connector_tags (
    account   text NOT NULL,
    org       text NOT NULL,
    project   text NOT NULL,
    connector text NOT NULL,
    tag       text NOT NULL,
    value     text NOT NULL,
    PRIMARY KEY (account, org, project, connector, tag),
    FOREIGN KEY (account, org, project, connector) REFERENCES connectors (account, org, project, id) ON DELETE CASCADE
);
CREATE INDEX connector_tags_by_value ON connector_tags (account, tag, value, org, project, connector);

-- The secrets that a connector refers to, with the scope that the reference leads to.
CREATE TABLE connector_secrets (
    account        text NOT NULL,
    org            text NOT NULL,
    project        text NOT NULL,
    connector      text NOT NULL,
    secret_org     text NOT NULL,
    secret_project text NOT NULL,
    secret         text NOT NULL,
    PRIMARY KEY (account, org, project, connector, secret_org, secret_project, secret),
    FOREIGN KEY (account, org, project, connector) REFERENCES connectors (account, org, project, id) ON DELETE CASCADE
);
CREATE INDEX connector_secrets_users ON connector_secrets (account, secret_org, secret_project, secret);

CREATE TABLE tests (
    account      text   NOT NULL,
    id           text   NOT NULL,
    org          text   NOT NULL,
    project      text   NOT NULL,
    connector    text   NOT NULL,
    started_at   bigint NOT NULL,
    ended_at     bigint NOT NULL,
    status       text   NOT NULL,
    detail       text   NOT NULL,
    PRIMARY KEY (account, id),
    FOREIGN KEY (account, org, project, connector) REFERENCES connectors (account, org, project, id) ON DELETE CASCADE
);
CREATE INDEX tests_by_connector ON tests (account, org, project, connector, ended_at, id);
CREATE INDEX tests_by_age ON tests (ended_at);

CREATE TABLE tokens (
    account      text   NOT NULL,
    id           text   NOT NULL,
    org          text   NOT NULL,
    project      text   NOT NULL,
    name         text   NOT NULL,
    sealed       text   NOT NULL,
    created_by   text   NOT NULL,
    created_at   bigint NOT NULL,
    revoke_after bigint NOT NULL,
    revoked_at   bigint NOT NULL,
    PRIMARY KEY (account, id),
    UNIQUE (account, org, project, name)
);
CREATE INDEX tokens_to_revoke ON tokens (revoke_after) WHERE revoked_at = 0;

CREATE TABLE delegates (
    id            text    NOT NULL PRIMARY KEY,
    account       text    NOT NULL,
    org           text    NOT NULL,
    project       text    NOT NULL,
    token_id      text    NOT NULL,
    name          text    NOT NULL,
    host_name     text    NOT NULL,
    ip            text    NOT NULL,
    type          text    NOT NULL,
    description   text    NOT NULL,
    tags          text    NOT NULL,
    version       text    NOT NULL,
    kinds         text    NOT NULL,
    registered_at bigint  NOT NULL,
    last_seen     bigint  NOT NULL,
    draining      boolean NOT NULL,
    busy          text    NOT NULL
);
CREATE INDEX delegates_by_scope ON delegates (account, org, project);

CREATE TABLE api_keys (
    account    text   NOT NULL,
    id         text   NOT NULL,
    name       text   NOT NULL,
    hash       text   NOT NULL,
    grants     text   NOT NULL,
    created_by text   NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint NOT NULL,
    PRIMARY KEY (account, id)
);

CREATE TABLE audit (
    id          text   NOT NULL PRIMARY KEY,
    at          bigint NOT NULL,
    account     text   NOT NULL,
    org         text   NOT NULL,
    project     text   NOT NULL,
    caller_id   text   NOT NULL,
    caller_name text   NOT NULL,
    action      text   NOT NULL,
    target      text   NOT NULL,
    outcome     text   NOT NULL,
    detail      text   NOT NULL
);
CREATE INDEX audit_by_time ON audit (account, at, id);
CREATE INDEX audit_by_age ON audit (at);

CREATE TABLE tasks (
    id          text    NOT NULL PRIMARY KEY,
    account     text    NOT NULL,
    org         text    NOT NULL,
    project     text    NOT NULL,
    kind        text    NOT NULL,
    subject     text    NOT NULL,
    params      text    NOT NULL,
    selectors   text    NOT NULL,
    min_version text    NOT NULL,
    min_reason  text    NOT NULL,
    platform    boolean NOT NULL,
    retry_safe  boolean NOT NULL,
    lease       bigint  NOT NULL,
    state       text    NOT NULL,
    leased_by   text    NOT NULL,
    lease_until bigint  NOT NULL,
    fence       bigint  NOT NULL,
    attempts    bigint  NOT NULL,
    tried       text    NOT NULL,
    result      text    NOT NULL,
    failure     text    NOT NULL,
    settled     boolean NOT NULL,
    created_at  bigint  NOT NULL,
    deadline    bigint  NOT NULL,
    finished_at bigint  NOT NULL -- 0 while queued or leased
);
CREATE INDEX tasks_queued ON tasks (account, platform, created_at, id) WHERE state = 'queued';
CREATE INDEX tasks_held ON tasks (leased_by) WHERE state = 'leased';
CREATE INDEX tasks_lease_end ON tasks (lease_until) WHERE state = 'leased';
CREATE INDEX tasks_deadline ON tasks (deadline) WHERE finished_at = 0;
CREATE INDEX tasks_unsettled ON tasks (finished_at) WHERE settled = false AND finished_at > 0;
CREATE INDEX tasks_finished ON tasks (finished_at) WHERE settled = true AND finished_at > 0;
