/* The schema of the queue (in the directory's database), version by version.
 *
 * queue_items  a message that is not delivered at once: to several shards, to the outside, held.
 *              msgid is unique: it is stored once however often it is handed in. open: recipients
 *              not finished; owed: recipients of which the sender is to be told. With both at 0
 *              finished_ms is set and the body let go. Finished items stay for traces.
 *              relay_sender: the sender that other hosts are told (srs.h).
 *              notice_ms: when the notice is due, or a lease on it (notice_worker) runs out.
 * queue_rcpts  one row a place of delivery. outside 0: an account in a shard. state: enum
 *              queue_state; due ones are taken from due_ms on. A lease is a due_ms in the future
 *              and the worker's name: when it runs out the recipient is simply due again.
 *              owed: enum notice; told: bits 1 << enum notice. code, status, host, text: the
 *              last reply. submitter: account of the item.
 * queue_senders, queue_flows (a sender's mail to one domain)
 *              whose turn it is: due_ms is when something is due there, or when it had its last
 *              turn if that was later (queue_claim.c). It may be too early, never too late: a
 *              turn with nothing to do corrects it. turn decides between equals. */
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
    /* 3: notices that are owed, the last reply, turns of senders and destinations. A failure that
     * was noted before has its body still: its sender is told now. */
    "ALTER TABLE queue_items ADD COLUMN owed BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE queue_items ADD COLUMN notice_ms BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE queue_items ADD COLUMN notice_worker BYTEA;"
    "CREATE INDEX queue_notice ON queue_items (notice_ms) WHERE owed > 0;"
    "ALTER TABLE queue_rcpts ADD COLUMN owed BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE queue_rcpts ADD COLUMN told BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE queue_rcpts ADD COLUMN code BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE queue_rcpts ADD COLUMN status BYTEA;"
    "ALTER TABLE queue_rcpts ADD COLUMN host BYTEA;"
    "ALTER TABLE queue_rcpts ADD COLUMN submitter BIGINT NOT NULL DEFAULT 0;"
    "UPDATE queue_rcpts SET submitter ="
    " (SELECT account FROM queue_items WHERE queue_items.id = queue_rcpts.item);"
    "UPDATE queue_rcpts SET owed = 1 WHERE state = 2 AND (notify = 0 OR (notify & 4) <> 0)"
    " AND item IN (SELECT id FROM queue_items WHERE body <> 0 AND LENGTH(sender) > 0);"
    "UPDATE queue_items SET owed = (SELECT COUNT(*) FROM queue_rcpts"
    " WHERE queue_rcpts.item = queue_items.id AND queue_rcpts.owed > 0) WHERE failed > 0;"
    "UPDATE queue_items SET finished_ms = 0 WHERE owed > 0;"
    "DROP INDEX queue_due;"
    "CREATE INDEX queue_local ON queue_rcpts (due_ms) WHERE state = 0 AND outside = 0;"
    "CREATE INDEX queue_outside ON queue_rcpts (submitter, domain, due_ms)"
    " WHERE state = 0 AND outside = 1;"
    "CREATE TABLE queue_senders ("
    " submitter BIGINT PRIMARY KEY,"
    " due_ms BIGINT NOT NULL,"
    " turn BIGINT NOT NULL);"
    "CREATE INDEX queue_senders_due ON queue_senders (due_ms, turn);"
    "CREATE TABLE queue_flows ("
    " submitter BIGINT NOT NULL,"
    " domain BYTEA NOT NULL,"
    " due_ms BIGINT NOT NULL,"
    " turn BIGINT NOT NULL,"
    " PRIMARY KEY (submitter, domain)) WITHOUT ROWID;"
    "CREATE INDEX queue_flows_due ON queue_flows (submitter, due_ms, turn);"
    "INSERT INTO queue_flows (submitter, domain, due_ms, turn)"
    " SELECT submitter, domain, MIN(due_ms), 0 FROM queue_rcpts WHERE state = 0 AND outside = 1"
    " GROUP BY submitter, domain;"
    "INSERT INTO queue_senders (submitter, due_ms, turn)"
    " SELECT submitter, MIN(due_ms), 0 FROM queue_flows GROUP BY submitter;",
    /* 4: forwarded mail leaves from an address of ours */
    "ALTER TABLE queue_items ADD COLUMN relay_sender BYTEA;", /* NULL: sender */
};
const struct schema schema_queue = {"queue", versions, sizeof(versions) / sizeof(versions[0])};
