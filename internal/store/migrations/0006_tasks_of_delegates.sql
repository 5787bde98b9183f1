-- +goose Up

-- The last tasks of a delegate, for those who look at it.
CREATE INDEX tasks_of_delegate ON tasks (leased_by, created_at) WHERE leased_by <> '';
