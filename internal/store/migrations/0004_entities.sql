-- +goose Up

-- What the connector leads to: Aws, or K8sCluster, which is kept only.
ALTER TABLE connectors ADD COLUMN type text NOT NULL DEFAULT 'Aws';
