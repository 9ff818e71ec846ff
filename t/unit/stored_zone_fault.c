/* Every write and sync that fails while a zone is imported and edited: afterwards it is the old or
 * the new one, whole, what was answered "done" is there, and drafts leave nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "stored/zone.h"
#include "t/unit/stored_faulty.h"
#include "t/unit/zone_sorted.h"

enum {
	HOSTS = 1500, /* some chunks of them */
	MORE = 100,   /* the new zone has so many more */
	APEX = 2,
};

static const uint8_t wire[] = "\7example\3org";
static const struct slice name = {(const char *)wire, sizeof(wire)};
/* In memory that a killed child leaves behind. */
static struct {
	bool imported, edited; /* it was said so */
} * said;

/* --- operations ------------------------------------------------------------------------------- */

struct step {
	struct op op;
	struct zone_draft *draft;
	struct slice chunk; /* empty: the draft begins, or (commit) ends */
	bool commit;
};
static bool over;
static enum ipc_err result;

static enum ipc_err edit_run(struct zone_tx *t)
{
	struct zone z;
	struct zone_result r;
	static const uint8_t owner[] = "\6edited\7example\3org";
	const struct row_zone_op o = {.kind = ZONE_ADD,
				      .owner = {(const char *)owner, sizeof(owner)},
				      .type = DNS_A,
				      .ttl = 60,
				      .rdata = SLICE("\300\0\2\7")};
	enum ipc_err e = zone_get(t, name, &z);
	return e == ERR_OK ? zone_edit(t, &z, ZONE_RULES_EDIT, &o, 1, &r) : e;
}

static enum ipc_err step_run(struct base *b, struct op *op)
{
	struct step *s = (struct step *)op;
	struct zone_tx t = {b, op->pool, 1000, NULL};
	const struct row_zone_chunk c = {s->chunk};
	struct zone_result r;
	if (!s->draft)
		return edit_run(&t);
	if (s->commit)
		return zone_draft_commit(&t, s->draft, &r);
	return s->chunk.len ? zone_draft_put(&t, s->draft, &c, 1) : zone_draft_begin(&t, s->draft);
}

static void step_done(struct op *op)
{
	result = op->err;
	over = true;
	op_free(op);
}

static bool step(struct zone_draft *draft, struct slice chunk, bool commit)
{
	struct step *s = (struct step *)op_new(sizeof(*s));
	s->op.run = step_run;
	s->op.done = step_done;
	s->draft = draft;
	s->chunk = chunk;
	s->commit = commit;
	over = false;
	assert_true(work_write(WORK_DIRECTORY, &s->op));
	while (!over)
		uv_run(loop_get(), UV_RUN_ONCE);
	return result == ERR_OK;
}

/* A zone with so many hosts, in chunks, each a step of its own. */
static bool import(unsigned serial, unsigned hosts)
{
	struct buf text = {0};
	buf_printf(&text, "@ 300 NS ns1\n@ 300 SOA ns1 host %u 2 3 4 5\n", serial);
	for (unsigned i = 0; i < hosts; i++)
		buf_printf(&text, "host%u 60 A 192.0.2.1\n", i);
	struct zone_sort *sort = sorted(wire, buf_cstr(&text));
	struct zone_draft draft = {.name = name, .source = ZONE_STORE};
	struct zone_chunk_out out = {0};
	struct zone_rr rr;
	bool ok = step(&draft, SLICE(""), false);
	while (ok && zone_sort_next(sort, &rr)) {
		if (zone_chunk_ends(&out, rr.owner)) {
			ok = step(&draft, buf_slice(&out.data), false);
			zone_chunk_clear(&out);
		}
		zone_chunk_add(&out, &rr);
	}
	ok = ok && step(&draft, buf_slice(&out.data), false) && step(&draft, SLICE(""), true);
	buf_free(&out.data);
	buf_free(&text);
	zone_sort_free(&sort);
	return ok;
}

static void change_with(const char *spec)
{
	said->imported = said->edited = false;
	store_begin();
	assert_true(import(1, HOSTS));
	assert_true(fault_set(spec));
	said->imported = import(1, HOSTS + MORE);
	said->edited = step(NULL, SLICE(""), false);
	store_end();
}

/* --- what is there then ----------------------------------------------------------------------- */

static void finding(void *arg, const char *text)
{
	fail_msg("%s: %s", (const char *)arg, text);
}

static unsigned records(struct zone_tx *t, const struct zone *z)
{
	struct row_zone_chunk *c;
	struct slice from = SLICE("");
	uint32_t n;
	unsigned count = 0;
	bool more;
	do {
		assert_int_equal(zone_pieces(t, z, from, UINT32_MAX, &c, &n, &more, &from), ERR_OK);
		for (uint32_t i = 0; i < n; i++) {
			struct zone_chunk_in in;
			struct zone_rr rr;
			zone_chunk_open(&in, c[i].data);
			while (zone_chunk_next(&in, &rr))
				count++;
			assert_false(in.bad);
		}
	} while (more);
	return count;
}

static void prove(const char *spec)
{
	const char *why = NULL;
	struct base *b = base_open(dir, WORK_DIRECTORY, &why);
	struct zone z;
	if (!b) {
		fail_msg("%s: %s", spec, why);
		return;
	}
	struct zone_tx t = {b, pool_new(0), 1000, NULL};
	assert_int_equal(zone_get(&t, name, &z), ERR_OK);
	unsigned n = records(&t, &z), edited = (n - APEX) % MORE;
	assert_int_equal(n, z.records);
	if (edited > 1 || (n != APEX + HOSTS + edited && n != APEX + HOSTS + MORE + edited))
		fail_msg("%s: %u records", spec, n);
	bool is_new = n >= APEX + HOSTS + MORE;
	if ((said->imported && !is_new) || (said->edited && !edited))
		fail_msg("%s: what was acknowledged is lost", spec);
	assert_int_equal(z.serial, 1 + is_new + edited);
	zone_verify(b, finding, (void *)(uintptr_t)spec);
	/* What the next start does. */
	bool more = true;
	assert_int_equal(db_begin(b->db), DB_DONE);
	assert_int_equal(zone_gone_all(&t), ERR_OK);
	while (more)
		assert_int_equal(zone_clean(&t, &more), ERR_OK);
	assert_int_equal(db_commit(b->db), DB_DONE);
	assert_int_equal(db_number(b->db, "SELECT COUNT(DISTINCT generation) FROM zone_chunk"), 1);
	base_close(&b);
	pool_free(&t.pool);
}

/* The first, second ... call of the kind, until none is that many. */
static void each_call(const char *kind, unsigned least)
{
	unsigned at = 1;
	for (; at < 400; at = next(at)) {
		char spec[64];
		snprintf(spec, sizeof(spec), "%s:%u", kind, at);
		change_with(spec);
		prove(spec);
		clean();
		if (said->imported && said->edited)
			break;
	}
	assert_in_range(at, least, 399);
}

static void failing_writes(void **state)
{
	(void)state;
	each_call("write@wal", 9);
	each_call("torn@wal", 9);
}

static void failing_syncs(void **state)
{
	(void)state;
	each_call("fsync@wal", 4);
}

static void a_disk_that_is_full(void **state)
{
	(void)state;
	static const char *const LASTS[] = {"", "+"}; /* for a moment, and for good */
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned at = 1; at < 30; at = next(at)) {
			char spec[64];
			snprintf(spec, sizeof(spec), "full:%u%s", at, LASTS[i]);
			change_with(spec);
			prove(spec);
			clean();
		}
	}
}

/* SIGKILL in the middle. */
static void killed_at_each_call(void **state)
{
	(void)state;
	kill_at_each_call(change_with, prove, 9, 400);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	said = faulty_init("stored_zone_fault");
	if (!said)
		return 1;
	const struct CMUnitTest tests[] = {
	    T(failing_writes),
	    T(failing_syncs),
	    T(a_disk_that_is_full),
	    T(killed_at_each_call),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
