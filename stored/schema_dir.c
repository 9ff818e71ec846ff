/* The schema of the directory, version by version.
 *
 * Addresses and domain names are TEXT in the form of dir_addr.c. A NULL among an account's or a
 * domain's settings: not set there, the next level's counts. An id is never used again, so that
 * what a shard keeps of a deleted account cannot become another's. */
#include "stored/sql.h"

static const char *const versions[] = {
    /* 1 */
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value BYTEA NOT NULL);"
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL);"
    "INSERT INTO counter (name, value) VALUES ('domain', 0);"
    "INSERT INTO counter (name, value) VALUES ('account', 0);"
    "INSERT INTO counter (name, value) VALUES ('alias', 0);"
    "INSERT INTO counter (name, value) VALUES ('app_password', 0);"
    "INSERT INTO counter (name, value) VALUES ('zone', 0);"

    "CREATE TABLE domain ("
    " id BIGINT PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE,"
    " catch_all TEXT," /* an address, of ours or outside */
    " quota BIGINT, login_delay_ms BIGINT, expire_ms BIGINT,"
    " created_ms BIGINT NOT NULL);"

    "CREATE TABLE account ("
    " id BIGINT PRIMARY KEY,"
    " domain_id BIGINT NOT NULL REFERENCES domain (id),"
    " address TEXT NOT NULL UNIQUE,"
    " shard BIGINT NOT NULL,"
    " epoch BIGINT NOT NULL,"
    " enabled BIGINT NOT NULL,"
    " quota BIGINT, login_delay_ms BIGINT, expire_ms BIGINT,"
    " created_ms BIGINT NOT NULL);"
    "CREATE INDEX account_domain ON account (domain_id, address);"
    /* Accounts that were deleted: what their shards still keep is to be removed. */
    "CREATE TABLE account_gone ("
    " account_id BIGINT PRIMARY KEY, shard BIGINT NOT NULL, address TEXT NOT NULL,"
    " gone_ms BIGINT NOT NULL);"

    /* SCRAM-SHA-256 keys (RFC 5802); or, iterations 0, an imported crypt(3) hash. */
    "CREATE TABLE credential ("
    " account_id BIGINT PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,"
    " iterations BIGINT NOT NULL, salt BYTEA, stored_key BYTEA, server_key BYTEA,"
    " crypt TEXT, changed_ms BIGINT NOT NULL);"
    /* hash: SHA-256 of salt and password: those are random, stretching adds nothing. */
    "CREATE TABLE app_password ("
    " id BIGINT PRIMARY KEY,"
    " account_id BIGINT NOT NULL REFERENCES account (id) ON DELETE CASCADE,"
    " name TEXT NOT NULL, salt BYTEA NOT NULL, hash BYTEA NOT NULL,"
    " created_ms BIGINT NOT NULL,"
    " UNIQUE (account_id, name));"

    "CREATE TABLE alias ("
    " id BIGINT PRIMARY KEY,"
    " domain_id BIGINT NOT NULL REFERENCES domain (id) ON DELETE CASCADE,"
    " address TEXT NOT NULL UNIQUE,"
    " created_ms BIGINT NOT NULL);"
    "CREATE INDEX alias_domain ON alias (domain_id, address);"
    "CREATE TABLE alias_target ("
    " alias_id BIGINT NOT NULL REFERENCES alias (id) ON DELETE CASCADE,"
    " ord BIGINT NOT NULL, target TEXT NOT NULL,"
    " PRIMARY KEY (alias_id, ord));"
    "CREATE INDEX alias_target_target ON alias_target (target);"

    /* Zones: the records of a zone, and each change of it by serial, for IXFR. */
    "CREATE TABLE zone ("
    " id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, serial BIGINT NOT NULL,"
    " created_ms BIGINT NOT NULL);"
    "CREATE TABLE zone_record ("
    " zone_id BIGINT NOT NULL REFERENCES zone (id) ON DELETE CASCADE,"
    " owner BYTEA NOT NULL, type BIGINT NOT NULL, ttl BIGINT NOT NULL, rdata BYTEA NOT NULL,"
    " PRIMARY KEY (zone_id, owner, type, rdata));"
    "CREATE TABLE zone_journal ("
    " zone_id BIGINT NOT NULL REFERENCES zone (id) ON DELETE CASCADE,"
    " serial_from BIGINT NOT NULL, serial_to BIGINT NOT NULL, diff BYTEA NOT NULL,"
    " created_ms BIGINT NOT NULL,"
    " PRIMARY KEY (zone_id, serial_from));",
    /* 2: records in chunks. A generation is a run of chunks: a zone's, or in zone_gone: a draft's
     * (open 1), or one that is to be removed. first, last: keys of names (dns/zonechunk.h). Nothing
     * ever wrote the tables of version 1. */
    "DROP TABLE zone_journal;"
    "DROP TABLE zone_record;"
    "DROP TABLE zone;"
    "INSERT INTO counter (name, value) VALUES ('zone_generation', 0);"
    "CREATE TABLE zone ("
    " id BIGINT PRIMARY KEY,"
    " name BYTEA NOT NULL UNIQUE," /* wire form, lower case */
    " source BIGINT NOT NULL,"     /* enum zone_source */
    " serial BIGINT NOT NULL,"
    " generation BIGINT NOT NULL UNIQUE,"
    " records BIGINT NOT NULL, chunks BIGINT NOT NULL, bytes BIGINT NOT NULL,"
    " created_ms BIGINT NOT NULL, changed_ms BIGINT NOT NULL);"
    "CREATE TABLE zone_chunk ("
    " generation BIGINT NOT NULL, first BYTEA NOT NULL, last BYTEA NOT NULL,"
    " records BIGINT NOT NULL, data BYTEA NOT NULL,"
    " PRIMARY KEY (generation, first));"
    "CREATE TABLE zone_gone (generation BIGINT PRIMARY KEY, open BIGINT NOT NULL);"
    "CREATE TABLE zone_journal ("
    " zone_id BIGINT NOT NULL REFERENCES zone (id) ON DELETE CASCADE,"
    " n BIGINT NOT NULL," /* steps follow each other */
    " serial_from BIGINT NOT NULL, serial_to BIGINT NOT NULL,"
    " deleted BYTEA NOT NULL, added BYTEA NOT NULL," /* chunks */
    " created_ms BIGINT NOT NULL,"
    " PRIMARY KEY (zone_id, n));"
    "CREATE INDEX zone_journal_from ON zone_journal (zone_id, serial_from);",
};
const struct schema schema_dir = {"directory", versions, sizeof(versions) / sizeof(versions[0])};
