/* The schema of a mailbox shard, version by version.
 *
 * owners     an account's mail here: its INBOX and what its quota counts (live messages);
 *            polled_ms: its last POP3 login, kept only where a login delay is set
 * mailboxes  a tree by parent (0: top); counters are kept by the transactions that change them.
 *            gone_modseq: expunged messages up to it may be forgotten (QRESYNC then answers in
 *            full). special: enum mailbox_special
 * messages   live ones (expunged 0) of a mailbox lie together in the order of UIDs, as POP3 and
 *            IMAP list them; expunged ones are kept beside them, restorable and for QRESYNC.
 *            flags: bits 0-15 system flags, 16-62 keywords of the mailbox (keywords.bit).
 *            token: message id and account of a delivery, so that it happens once; NULL for what
 *            came another way (APPEND, COPY, import, restore)
 * metas      what the parser found, one for all who have the body; dense, for IMAP's lists */
#include "stored/sql.h"

static const char *const versions[] = {
    "CREATE TABLE owners ("
    " account BIGINT PRIMARY KEY,"
    " inbox BIGINT NOT NULL,"
    " bytes BIGINT NOT NULL,"
    " messages BIGINT NOT NULL);"

    "CREATE TABLE mailboxes ("
    " id BIGINT PRIMARY KEY,"
    " account BIGINT NOT NULL REFERENCES owners (account),"
    " parent BIGINT NOT NULL,"
    " name BYTEA NOT NULL,"
    " special BIGINT NOT NULL,"
    " uidvalidity BIGINT NOT NULL,"
    " uidnext BIGINT NOT NULL,"
    " modseq BIGINT NOT NULL,"
    " gone_modseq BIGINT NOT NULL,"
    " messages BIGINT NOT NULL,"
    " unseen BIGINT NOT NULL,"
    " bytes BIGINT NOT NULL,"
    " created_ms BIGINT NOT NULL,"
    " UNIQUE (account, parent, name));"

    "CREATE TABLE messages ("
    " mailbox BIGINT NOT NULL REFERENCES mailboxes (id),"
    " expunged BIGINT NOT NULL,"
    " uid BIGINT NOT NULL,"
    " modseq BIGINT NOT NULL,"
    " flags BIGINT NOT NULL,"
    " size BIGINT NOT NULL,"
    " internal_ms BIGINT NOT NULL,"
    " saved_ms BIGINT NOT NULL,"
    " retrieved_ms BIGINT NOT NULL," /* 0: not yet */
    " expunged_ms BIGINT NOT NULL,"  /* 0: live */
    " body BIGINT NOT NULL,"
    " token BYTEA,"
    " PRIMARY KEY (mailbox, expunged, uid)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX messages_token ON messages (token);"
    "CREATE INDEX messages_expunged ON messages (expunged_ms) WHERE expunged = 1;"

    "CREATE TABLE metas ("
    " body BIGINT PRIMARY KEY REFERENCES bodies (id) ON DELETE CASCADE,"
    " meta BYTEA NOT NULL);"

    "CREATE TABLE keywords ("
    " mailbox BIGINT NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,"
    " bit BIGINT NOT NULL,"
    " name BYTEA NOT NULL,"
    " PRIMARY KEY (mailbox, bit)) WITHOUT ROWID;"

    "CREATE TABLE rights ("
    " mailbox BIGINT NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,"
    " who BYTEA NOT NULL,"
    " rights BIGINT NOT NULL,"
    " PRIMARY KEY (mailbox, who)) WITHOUT ROWID;"

    "CREATE TABLE subscriptions ("
    " account BIGINT NOT NULL REFERENCES owners (account) ON DELETE CASCADE,"
    " name BYTEA NOT NULL,"
    " PRIMARY KEY (account, name)) WITHOUT ROWID;",

    /* 2 */
    "ALTER TABLE owners ADD COLUMN polled_ms BIGINT NOT NULL DEFAULT 0;",
};
const struct schema schema_shard = {"shard", versions, sizeof(versions) / sizeof(versions[0])};
