//! The schema, version by version. An applied migration is never edited.

use mainspring_store::{Migration, MigrationSet};

/// Tables of alerts.
pub const MIGRATIONS: MigrationSet = MigrationSet {
    domain: "alert",
    migrations: &[
        Migration {
            version: 1,
            name: "alerts, groups, deliveries, silences and the counts of objectives",
            sqlite: SQLITE_1,
            postgres: POSTGRES_1,
        },
        Migration { version: 2, name: "deliveries of a channel are found", sqlite: BOTH_2, postgres: BOTH_2 },
    ],
};

const SQLITE_1: &str = "
CREATE TABLE alert (
    tenant TEXT NOT NULL, fingerprint TEXT NOT NULL, phase TEXT NOT NULL, source TEXT NOT NULL, body TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, fingerprint)
) STRICT;
CREATE INDEX alert_by_phase ON alert (phase, updated_at);
CREATE TABLE alert_group (
    tenant TEXT NOT NULL, channel TEXT NOT NULL, grp TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, channel, grp)
) STRICT;
CREATE TABLE alert_delivery (
    id TEXT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, channel TEXT NOT NULL, grp TEXT NOT NULL, body TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER NOT NULL, error TEXT,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_delivery_due ON alert_delivery (state, next_at);
CREATE INDEX alert_delivery_group ON alert_delivery (tenant, channel, grp, state, id);
CREATE TABLE alert_silence (
    id TEXT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, body TEXT NOT NULL, ends_at INTEGER NOT NULL
) STRICT;
CREATE TABLE alert_cursor (stream TEXT NOT NULL PRIMARY KEY, position INTEGER NOT NULL) STRICT;
CREATE TABLE slo_count (
    tenant TEXT NOT NULL, deployment TEXT NOT NULL, objective TEXT NOT NULL, replica TEXT NOT NULL,
    at INTEGER NOT NULL, span INTEGER NOT NULL, total INTEGER NOT NULL, bad INTEGER NOT NULL,
    PRIMARY KEY (tenant, deployment, objective, replica, span, at)
) STRICT;
";

const BOTH_2: &str = "
CREATE INDEX alert_delivery_channel ON alert_delivery (tenant, channel, id);
ALTER TABLE alert DROP COLUMN source;
";

const POSTGRES_1: &str = "
CREATE TABLE alert (
    tenant TEXT NOT NULL, fingerprint TEXT NOT NULL, phase TEXT NOT NULL, source TEXT NOT NULL, body TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, fingerprint)
);
CREATE INDEX alert_by_phase ON alert (phase, updated_at);
CREATE TABLE alert_group (
    tenant TEXT NOT NULL, channel TEXT NOT NULL, grp TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tenant, channel, grp)
);
CREATE TABLE alert_delivery (
    id TEXT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, channel TEXT NOT NULL, grp TEXT NOT NULL, body TEXT NOT NULL,
    state TEXT NOT NULL, attempts BIGINT NOT NULL, next_at BIGINT NOT NULL, error TEXT,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL
);
CREATE INDEX alert_delivery_due ON alert_delivery (state, next_at);
CREATE INDEX alert_delivery_group ON alert_delivery (tenant, channel, grp, state, id);
CREATE TABLE alert_silence (
    id TEXT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, body TEXT NOT NULL, ends_at BIGINT NOT NULL
);
CREATE TABLE alert_cursor (stream TEXT NOT NULL PRIMARY KEY, position BIGINT NOT NULL);
CREATE TABLE slo_count (
    tenant TEXT NOT NULL, deployment TEXT NOT NULL, objective TEXT NOT NULL, replica TEXT NOT NULL,
    at BIGINT NOT NULL, span BIGINT NOT NULL, total BIGINT NOT NULL, bad BIGINT NOT NULL,
    PRIMARY KEY (tenant, deployment, objective, replica, span, at)
);
";
