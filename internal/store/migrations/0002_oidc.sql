-- +goose Up

-- The signing keys of the OIDC issuers. A key's state follows from signs_from and from its neighbours, see package oidc.
CREATE TABLE oidc_keys (
    account    text   NOT NULL,
    generation bigint NOT NULL,
    id         text   NOT NULL,
    algorithm  text   NOT NULL,
    public     text   NOT NULL, -- a JWK
    sealed     text   NOT NULL,
    created_at bigint NOT NULL,
    signs_from bigint NOT NULL,
    PRIMARY KEY (account, generation)
);

CREATE TABLE oidc_settings (
    account    text   NOT NULL PRIMARY KEY,
    issuer     text   NOT NULL, -- '': the manager itself
    audience   text   NOT NULL, -- '': AWS's
    updated_at bigint NOT NULL
);
