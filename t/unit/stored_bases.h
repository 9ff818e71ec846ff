/* What the tests of stored's mail half share: databases in a folder of their own, used on the
 * test's thread, an operation a transaction. */
#ifndef T_STORED_BASES_H
#define T_STORED_BASES_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "stored/body.h"
#include "stored/check.h"
#include "stored/mail.h"
#include "stored/sql.h"

static char bases_dir[64];

static inline void bases_folder(void)
{
	snprintf(bases_dir, sizeof(bases_dir), "/tmp/hamlet-mail-XXXXXX");
	assert_non_null(mkdtemp(bases_dir));
}

static inline void bases_remove(void)
{
	char cmd[100];
	snprintf(cmd, sizeof(cmd), "rm -rf %s", bases_dir);
	assert_int_equal(system(cmd), 0);
}

static inline struct base *base_new(unsigned shard)
{
	const char *why = NULL;
	struct base *b = base_open(bases_dir, shard, &why);
	if (!b)
		fail_msg("%s", why);
	return b;
}

static inline void tx_begin(struct base *b)
{
	assert_int_equal(db_begin(b->db), DB_DONE);
}

/* As batch.c does: what an operation refused leaves nothing behind. */
static inline enum ipc_err tx_end(struct base *b, enum ipc_err e)
{
	if (e == ERR_OK) {
		assert_true(bodies_sync(b));
		assert_int_equal(db_commit(b->db), DB_DONE);
	} else {
		db_rollback(b->db);
	}
	return e;
}

static inline uint64_t number(struct base *b, const char *sql)
{
	return db_number(b->db, sql);
}

static inline void on_finding(void *arg, const char *finding)
{
	(void)arg;
	fail_msg("%s", finding);
}

/* Counters, references and bodies are as the rows say. */
static inline void is_sound(struct base *b)
{
	struct check_sums sums = {0};
	check_base(b, on_finding, NULL, &sums);
}

#endif
