-- +goose Up

-- The tags that callers gave to the delegates of a name, beside those that these say themselves.
CREATE TABLE delegate_groups (
    account text NOT NULL,
    org     text NOT NULL,
    project text NOT NULL,
    name    text NOT NULL,
    tags    text NOT NULL,
    PRIMARY KEY (account, org, project, name)
);
