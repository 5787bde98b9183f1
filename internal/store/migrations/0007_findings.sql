-- +goose Up

-- What the last refusal of a connector was judged by: policies and the changes that mend it. One row a connector, because
-- the documents are long and only the last are shown.
CREATE TABLE findings (
    account   text NOT NULL,
    org       text NOT NULL,
    project   text NOT NULL,
    connector text NOT NULL,
    test      text NOT NULL,
    detail    text NOT NULL,
    PRIMARY KEY (account, org, project, connector),
    FOREIGN KEY (account, org, project, connector) REFERENCES connectors (account, org, project, id) ON DELETE CASCADE
);

-- Lists by status read this and not the wide rows. What is searched through is too long for an index of PostgreSQL.
CREATE INDEX connectors_by_status ON connectors (account, status, name_lower, id, org, project, type, inheriting);

-- The pages show what was done to one thing. A refusal keeps whatever name was asked for, and an index of PostgreSQL takes
-- none that is too long.
CREATE INDEX audit_by_target ON audit (account, substr(target, 1, 200), at, id, action);
