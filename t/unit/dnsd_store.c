/* Zones of the store as the builder reads them, from a store that follows a script: also one whose
 * zone changes between any two requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dnsd/dnsd.h"
#include "dnsd/image/image.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/dns/zonechunk.h"
#include "libcommon/ipc/peer.h"
#include "t/unit/zone_sorted.h"

enum { FIRST = 100, PAGE = 4, ID = 7, PADS = 24 };

static char dir[64], path[96];
static int state;
static const uint8_t ZONE[] = "\001a\004test";

/* --- the zone at a serial --------------------------------------------------------------------- */

/* At each serial a host has another address; at some a name comes, which goes again soon. */
static void zone_at(uint32_t serial, struct buf *out)
{
	buf_printf(out, "@ 60 SOA ns host %u 1 2 3 4\n@ NS ns\nns A 192.0.2.1\n", serial);
	for (unsigned i = 0; i < 10; i++) {
		uint32_t last = serial - (serial - i) % 10;
		buf_printf(out, "host%u A 192.0.2.%u\n", i, last > FIRST ? last % 250 : 1);
	}
	for (unsigned i = 0; i < PADS; i++)
		buf_printf(out, "pad%u A 192.0.2.1\n", i);
	for (uint32_t s = FIRST + 1; s <= serial; s++)
		if (s % 3 == 0 && serial < s + 4)
			buf_printf(out, "x%u TXT \"%u\"\n", s, s);
}

/* --- the store: a process of its own ---------------------------------------------------------- */

static struct script {
	unsigned moves; /* before each of the first so many portions it changes */
	bool forgets;   /* what changed */
	bool miscounts; /* its records */
	bool gone, damaged;
} script;
static uint32_t now, first = FIRST; /* first: at the store's start */
static unsigned reads;

/* A chunk for each name, in the pool. */
static struct row_zone_chunk *chunks_at(struct pool *pool, uint32_t serial, uint32_t *n,
					struct slice keys[], uint64_t *records)
{
	struct buf text = {0};
	struct zone_rr rr;
	struct row_zone_chunk *c = pool_alloc(pool, 64 * sizeof(*c));
	struct zone_chunk_out out = {0};
	uint8_t owner[DNS_NAME_MAX] = {0}, key[ZONE_KEY_MAX];
	zone_at(serial, &text);
	struct zone_sort *s = sorted(ZONE, buf_cstr(&text));
	bool more = zone_sort_next(s, &rr);
	*records = 0;
	for (*n = 0; more; (*n)++) {
		zone_chunk_clear(&out);
		memcpy(owner, rr.owner, dns_name_len(rr.owner));
		size_t len = zone_key(owner, sizeof(ZONE), key);
		keys[*n] = slice_copy(pool, (struct slice){(const char *)key, len});
		for (; more && dns_name_eq(rr.owner, owner); more = zone_sort_next(s, &rr))
			zone_chunk_add(&out, &rr), ++*records;
		c[*n].data = slice_copy(pool, buf_slice(&out.data));
	}
	buf_free(&out.data);
	buf_free(&text);
	zone_sort_free(&s);
	return c;
}

static void answer_read(struct conn *c, uint32_t request, const struct msg_zone_read *m)
{
	struct pool *pool = pool_new(0);
	struct slice keys[64];
	uint32_t n, at = 0;
	uint64_t records;
	if (m->max && reads++ < script.moves)
		now++;
	struct row_zone_chunk *chunk = chunks_at(pool, now, &n, keys, &records);
	struct row_zone row = {.id = ID,
			       .name = {(const char *)ZONE, sizeof(ZONE)},
			       .serial = now,
			       .records = records + script.miscounts,
			       .changed_ms = now};
	while (at + 1 < n && zone_key_cmp(keys[at + 1], m->from) <= 0)
		at++;
	uint32_t most = m->max < PAGE ? m->max : PAGE, left = n - at;
	struct msg_zone_chunks r = {
	    .zone = &row, .zone_n = 1, .chunks = chunk + at, .chunks_n = left < most ? left : most};
	r.more = m->max && r.chunks_n < left;
	r.next = r.more ? keys[at + r.chunks_n] : SLICE("");
	if (script.damaged && r.chunks_n)
		r.chunks[0].data.len--;
	conn_reply(c, request, MSG_zone_chunks, &r);
	pool_free(&pool);
}

/* A step that names whoever may have changed. */
static void answer_changes(struct conn *c, uint32_t request, const struct msg_zone_changes *m)
{
	struct pool *pool = pool_new(0);
	struct slice keys[64];
	struct row_zone_step step = {.before = m->serial, .after = m->serial + 1};
	struct msg_zone_steps r = {.serial = now, .steps = &step, .steps_n = m->serial < now};
	struct buf text = {0};
	struct zone_chunk_out out = {0};
	struct zone_rr rr;
	uint32_t n, s = step.after;
	uint64_t records;
	buf_printf(&text, "@ 60 SOA ns host %u 1 2 3 4\nhost%u A 192.0.2.1\nX%u A 192.0.2.1\n", s,
		   s % 10, s);
	if (s >= FIRST + 4)
		buf_printf(&text, "x%u A 192.0.2.1\n", s - 4);
	struct zone_sort *sort = sorted(ZONE, buf_cstr(&text));
	while (zone_sort_next(sort, &rr))
		zone_chunk_add(&out, &rr);
	step.added = buf_slice(&out.data);
	step.deleted = chunks_at(pool, s, &n, keys, &records)->data;
	if (script.forgets)
		conn_error(c, request, ERR_NOTFOUND, "nobody knows any more");
	else
		conn_reply(c, request, MSG_zone_steps, &r);
	zone_sort_free(&sort);
	buf_free(&out.data);
	buf_free(&text);
	pool_free(&pool);
}

static void on_request(struct conn *c, uint32_t request, enum msg_type t, const void *msg)
{
	if (script.gone)
		conn_error(c, request, ERR_NOTFOUND, "no zone a.test in the store");
	else if (t == MSG_zone_read)
		answer_read(c, request, msg);
	else
		answer_changes(c, request, msg);
}

static void on_close(struct conn *c)
{
	(void)c;
}

static pid_t store_start(struct script what)
{
	static const struct conn_ops ops = {on_request, on_close};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	script = what;
	now = first;
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		conn_serve(fd, ROLE_DNSD, -1, 1 << 20, 1, &ops);
		for (;;)
			uv_run(loop_get(), UV_RUN_ONCE);
	}
	close(fd);
	return pid;
}

static void store_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* --- tests ------------------------------------------------------------------------------------ */

static struct compile compiled(void)
{
	static struct store_link *store;
	static const struct zone_conf nothing;
	store = store ? store : store_link_new(path);
	struct compile c = {.state = state,
			    .image = "a.test.image",
			    .zone = ZONE,
			    .conf = &nothing,
			    .store = store};
	compile_run(&c);
	return c;
}

static void finish(struct compile *c)
{
	image_close(&c->out);
	buf_free(&c->errors);
}

/* The content of the zone that text says. */
static uint64_t content_of(uint32_t serial)
{
	static const struct zone_conf nothing;
	char name[96];
	struct buf text = {0};
	snprintf(name, sizeof(name), "%s/text", dir);
	FILE *f = fopen(name, "we");
	assert_non_null(f);
	zone_at(serial, &text);
	fputs(buf_cstr(&text), f);
	fclose(f);
	buf_free(&text);
	struct compile c = {.state = state,
			    .image = "text.image",
			    .zone = ZONE,
			    .conf = &nothing,
			    .file = name,
			    .force = true};
	compile_run(&c);
	assert_non_null(c.out);
	uint64_t content = image_origin(c.out)->content;
	finish(&c);
	return content;
}

static void is_whole(const struct compile *c)
{
	if (!c->out) {
		fail_msg("%.*s", SLICE_FMT(buf_slice(&c->errors)));
		return;
	}
	uint32_t serial = image_serial(c->out);
	assert_int_equal(image_origin(c->out)->id, ID);
	assert_int_equal(image_origin(c->out)->version, (uint64_t)serial << 16 | serial);
	assert_true(image_origin(c->out)->content == content_of(serial));
}

static void a_zone_is_read(void **arg)
{
	(void)arg;
	pid_t pid = store_start((struct script){0});
	struct compile c = compiled();
	is_whole(&c);
	assert_true(c.built);
	assert_int_equal(image_serial(c.out), FIRST);
	finish(&c);
	c = compiled();
	assert_false(c.built); /* it is as it was */
	assert_non_null(c.out);
	finish(&c);
	store_stop(pid);
}

/* It changes while it is read, as often as that: what changed is read again. */
static void a_zone_that_changes(void **arg)
{
	(void)arg;
	for (unsigned moves = 1; moves < 40; moves++) {
		pid_t pid = store_start((struct script){.moves = moves});
		unlinkat(state, "a.test.image", 0);
		struct compile c = compiled();
		is_whole(&c);
		finish(&c);
		store_stop(pid);
	}
}

static void a_zone_that_changes_and_nobody_knows_how(void **arg)
{
	(void)arg;
	pid_t pid = store_start((struct script){.moves = 3, .forgets = true});
	unlinkat(state, "a.test.image", 0);
	struct compile c = compiled();
	is_whole(&c);
	assert_int_equal(image_serial(c.out), FIRST + 3);
	finish(&c);
	store_stop(pid);
}

/* Whether the image of that version has an overlay. */
static bool overlaid_at(uint32_t serial, struct script s)
{
	first = serial;
	pid_t pid = store_start(s);
	struct compile c = compiled();
	is_whole(&c);
	assert_true(c.built);
	assert_int_equal(image_serial(c.out), serial);
	bool overlaid = c.out && image_overlaid(c.out) > 0;
	finish(&c);
	store_stop(pid);
	first = FIRST;
	return overlaid;
}

/* What changed is read, and no more; what is unusual makes a whole image. */
static void a_change_is_an_overlay(void **arg)
{
	(void)arg;
	unsigned whole = 0;
	conf.overlay = 1000;
	unlinkat(state, "a.test.image", 0);
	assert_false(overlaid_at(FIRST, (struct script){0}));
	for (uint32_t s = FIRST + 1; s < FIRST + 40; s++)
		whole += !overlaid_at(s, (struct script){0});
	assert_true(whole > 0 && whole < 20); /* it grew to a quarter of the zone */
	assert_false(overlaid_at(FIRST + 41, (struct script){.forgets = true}));
	assert_true(overlaid_at(FIRST + 42, (struct script){0}));
	assert_false(overlaid_at(FIRST + 43, (struct script){.miscounts = true}));
	conf.overlay = 0;
	assert_false(overlaid_at(FIRST + 44, (struct script){0}));
}

static void fails(struct script s, const char *why)
{
	pid_t pid = store_start(s);
	struct compile c = compiled();
	assert_null(c.out);
	assert_true(c.mistakes > 0);
	if (!strstr(buf_cstr(&c.errors), why))
		fail_msg("%s: %s", why, buf_cstr(&c.errors));
	finish(&c);
	store_stop(pid);
}

static void what_cannot_be_read(void **arg)
{
	(void)arg;
	unlinkat(state, "a.test.image", 0);
	fails((struct script){.moves = UINT32_MAX}, "store: the zone changes all the time\n");
	fails((struct script){.moves = UINT32_MAX, .forgets = true}, "changes all the time\n");
	fails((struct script){.gone = true}, "store: no zone a.test in the store\n");
	fails((struct script){.damaged = true}, "store: a chunk cannot be read\n");
	struct compile c = compiled();
	assert_null(c.out);
	assert_non_null(strstr(buf_cstr(&c.errors), "store: Connection refused\n"));
	finish(&c);
}

static int setup(void **arg)
{
	(void)arg;
	clock_init();
	log_init("dnsd_store", LOG_TO_STDERR, LOG_LV_ERROR);
	strcpy(dir, "/tmp/dnsd_store.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/dnsd.sock", dir);
	state = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return state < 0;
}

static int teardown(void **arg)
{
	(void)arg;
	char cmd[128];
	close(state);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_zone_is_read),
	    cmocka_unit_test(a_zone_that_changes),
	    cmocka_unit_test(a_zone_that_changes_and_nobody_knows_how),
	    cmocka_unit_test(a_change_is_an_overlay),
	    cmocka_unit_test(what_cannot_be_read),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
