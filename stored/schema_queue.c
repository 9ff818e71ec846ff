/* The schema of the queue (in the directory's database), version by version.
 *
 * queue_items  a message that is not delivered at once: to several shards, to the outside, held.
 *              msgid is unique: it is stored once however often it is handed in. open: recipients
 *              not finished; at 0 finished_ms is set and the body let go (kept with a failed
 *              recipient, whose sender is to be told). Finished items stay for traces.
 * queue_rcpts  one row a place of delivery. outside 0: an account in a shard. state: enum
 *              queue_state; due ones are taken from due_ms on. A lease is a due_ms in the future
 *              and the worker's name: when it runs out the recipient is simply due again. */
#include "stored/sql.h"

static const char *const versions[] = {
    "CREATE TABLE queue_items ("
    " id BIGINT PRIMARY KEY,"
    " msgid BYTEA NOT NULL UNIQUE,"
    " sid BYTEA NOT NULL,"
    " sender BYTEA NOT NULL,"
    " account BIGINT NOT NULL," /* who submitted it, 0: nobody of ours */
    " flags BIGINT NOT NULL,"
    " envid BYTEA NOT NULL,"
    " created_ms BIGINT NOT NULL,"
    " deliver_by_ms BIGINT NOT NULL,"
    " size BIGINT NOT NULL,"
    " body BIGINT NOT NULL," /* 0: let go */
    " meta BYTEA NOT NULL,"
    " open BIGINT NOT NULL,"
    " failed BIGINT NOT NULL,"
    " finished_ms BIGINT NOT NULL);" /* 0: not yet */
    "CREATE INDEX queue_finished ON queue_items (finished_ms) WHERE finished_ms > 0;"

    "CREATE TABLE queue_rcpts ("
    " item BIGINT NOT NULL REFERENCES queue_items (id) ON DELETE CASCADE,"
    " n BIGINT NOT NULL,"
    " addr BYTEA NOT NULL,"
    " notify BIGINT NOT NULL,"
    " orcpt BYTEA NOT NULL,"
    " outside BIGINT NOT NULL,"
    " account BIGINT NOT NULL,"
    " shard BIGINT NOT NULL,"
    " domain BYTEA NOT NULL,"
    " state BIGINT NOT NULL,"
    " attempts BIGINT NOT NULL,"
    " due_ms BIGINT NOT NULL,"
    " worker BYTEA,"
    " text BYTEA NOT NULL,"
    " changed_ms BIGINT NOT NULL,"
    " PRIMARY KEY (item, n)) WITHOUT ROWID;"
    "CREATE INDEX queue_due ON queue_rcpts (outside, due_ms) WHERE state = 0;",
    /* 2: what waits is found among all that is kept; a sender's own wish is not flushed away */
    "ALTER TABLE queue_items ADD COLUMN hold_until_ms BIGINT NOT NULL DEFAULT 0;"
    "CREATE INDEX queue_unfinished ON queue_items (id) WHERE finished_ms = 0;",
};
const struct schema schema_queue = {"queue", versions, sizeof(versions) / sizeof(versions[0])};
