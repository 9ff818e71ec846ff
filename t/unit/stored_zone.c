/* Zones in the store, through the sockets: imports whole or not at all, edits, serials, the
 * journal, who may do what. Every test ends with the store's own check. */
#include "t/unit/stored_zone_ask.h"

static void an_import_is_read_as_it_came(void **state)
{
	(void)state;
	const struct msg_zone_changed *r = import(with(7, "www 60 A 192.0.2.1\n"
							  "ns1 60 A 192.0.2.53\n"
							  "a.b.c 60 TXT \"x\"\n"));
	assert_int_equal(r->serial, 7);
	assert_int_equal(r->before, 0);
	assert_int_equal(r->records, 5);
	assert_string_equal(all(), stored(7, "a.b.c. 60 TXT \"x\"\nns1. 60 A 192.0.2.53\n"
					     "www. 60 A 192.0.2.1\n"));
	struct msg_zone_list l = {0};
	const struct msg_zones *z = ask(ctl, MSG_zone_list, &l, MSG_zones);
	assert_int_equal(z->zones_n, 1);
	assert_int_equal(z->zones[0].records, 5);
	assert_memory_equal(z->zones[0].name.p, "\7example\3org", 13);
}

static void serials_go_up_by_themselves(void **state)
{
	(void)state;
	import(with(7, "www 60 A 192.0.2.1\n"));
	const struct msg_zone_changed *r = import(with(7, "www 60 A 192.0.2.1\n"));
	assert_int_equal(r->serial, r->before);
	r = import(with(3, "www 60 A 192.0.2.1\n"));
	assert_int_equal(r->serial, 7);
	r = import(with(7, "www 60 A 192.0.2.2\n"));
	assert_int_equal(r->serial, 8);
	assert_int_equal(r->deleted, 1);
	assert_int_equal(r->added, 1);
	assert_string_equal(all(), stored(8, "www. 60 A 192.0.2.2\n"));
	r = import(with(100, "www 60 A 192.0.2.2\n"));
	assert_int_equal(r->serial, 100);
	r = import(with(100, "www 61 A 192.0.2.2\n"));
	assert_int_equal(r->serial, 101);
	r = import(with(UINT32_C(2020010101), "www 61 A 192.0.2.2\n"));
	assert_int_equal(r->serial, 2020010101);
	r = import(with(UINT32_C(2020010101), "www 61 A 192.0.2.3\n"));
	assert_true(r->serial > 2026000000 && r->serial < 2200000000 && r->serial % 100 == 0);
}

static void serial_arithmetic(void **state)
{
	(void)state;
	const uint64_t day = UINT64_C(1767225600000); /* 2026-01-01 */
	assert_true(zone_serial_above(1, 0));
	assert_true(zone_serial_above(0, 0xffffffff));
	assert_false(zone_serial_above(0x80000000, 0));
	assert_false(zone_serial_above(5, 5));
	assert_int_equal(zone_serial_next(0xffffffff, day), 1);
	assert_int_equal(zone_serial_next(1, day), 2);
	assert_int_equal(zone_serial_next(2025123199, day), 2026010100);
	assert_int_equal(zone_serial_next(2026010100, day), 2026010101);
	assert_int_equal(zone_serial_next(2026020100, day), 2026020101);
	assert_int_equal(zone_serial_next(2026139900, day), 2026139901);
	assert_true(zone_serial_above(zone_serial_lost(2026010105, day),
				      zone_serial_next(2026010105, day)));
	assert_int_equal(zone_serial_lost(7, day), day / 1000);
	assert_true(zone_serial_above(zone_serial_lost(3000000000u, day), 3000000009u));
}

static enum ipc_err commit_error(uint64_t draft)
{
	struct msg_zone_commit m = {draft};
	return ask_error(ctl, MSG_zone_commit, &m);
}

static void what_is_not_a_zone_changes_nothing(void **state)
{
	(void)state;
	import(with(7, "www 60 A 192.0.2.1\n"));
	uint64_t draft = begin(ctl, ZONE_STORE);
	put(ctl, draft, "www 60 A 192.0.2.9\n", 40);
	assert_int_equal(commit_error(draft), ERR_BAD);
	struct msg_zone_abort a = {draft};
	ask(ctl, MSG_zone_abort, &a, MSG_ok);
	assert_int_equal(commit_error(draft), ERR_NOTFOUND);
	/* out of order, then with a CNAME that is not alone */
	draft = begin(ctl, ZONE_STORE);
	put(ctl, draft, "www 60 A 192.0.2.9\n", 40);
	struct zone_chunk_out out = {0};
	const uint8_t owner[] = "\1a\7example\3org";
	struct zone_rr rr = {owner, DNS_A, 60, (const uint8_t *)"\1\2\3\4", 4, NULL, 0};
	zone_chunk_add(&out, &rr);
	struct row_zone_chunk c = {buf_slice(&out.data)};
	struct msg_zone_put m = {draft, &c, 1};
	assert_int_equal(ask_error(ctl, MSG_zone_put, &m), ERR_BAD);
	c.data = SLICE("\377malformed");
	assert_int_equal(ask_error(ctl, MSG_zone_put, &m), ERR_BAD);
	buf_free(&out.data);
	assert_string_equal(all(), stored(7, "www. 60 A 192.0.2.1\n"));
	/* Drafts go with their connection, and all that they wrote. */
	peer_free(&ctl);
	assert_true(becomes(0, "SELECT COUNT(*) FROM zone_gone", 0));
	assert_int_equal(read_sql(0, "SELECT COUNT(DISTINCT generation) FROM zone_chunk"), 1);
}

static const struct msg_zone_changed *edit(struct row_zone_op *o, uint32_t n)
{
	struct msg_zone_edit m = {name, UINT64_MAX, o, n};
	return ask(ctl, MSG_zone_edit, &m, MSG_zone_changed);
}

static enum ipc_err edit_error(struct row_zone_op o)
{
	struct msg_zone_edit m = {name, UINT64_MAX, &o, 1};
	return ask_error(ctl, MSG_zone_edit, &m);
}

static void records_come_and_go(void **state)
{
	(void)state;
	import(with(7, "www 60 A 192.0.2.1\nwww 60 A 192.0.2.2\nx.y 60 TXT x\n"));
	struct row_zone_op o[] = {op(ZONE_ADD, "www", "A", 90, "192.0.2.3"),
				  op(ZONE_DELETE_RR, "WWW", "A", 0, "192.0.2.1"),
				  op(ZONE_ADD, "mail", "MX", 90, "10 mx"),
				  op(ZONE_DELETE_NAME, "x.y", NULL, 0, NULL)};
	const struct msg_zone_changed *r = edit(o, 4);
	assert_int_equal(r->before, 7);
	assert_int_equal(r->serial, 8);
	assert_string_equal(all(), stored(8, "mail. 90 MX 10 mx.example.org.\n"
					     "www. 90 A 192.0.2.2\nwww. 90 A 192.0.2.3\n"));
	/* Again: nothing is to be done. */
	o[1].rdata = SLICE("\1\2\3\4");
	r = edit(o, 4);
	assert_int_equal(r->serial, 8);
	o[0] = op(ZONE_DELETE_SET, "www", "A", 0, NULL);
	o[1] = op(ZONE_ADD, "www", "CNAME", 90, "mail");
	assert_int_equal(edit(o, 2)->serial, 9);
	/* In place of the SOA, with a serial of one's own. */
	o[0] = op(ZONE_ADD, "@", "SOA", 300, "ns1 host 5 2 3 4 6");
	assert_int_equal(edit(o, 1)->serial, 10);
	o[0] = op(ZONE_ADD, "@", "SOA", 300, "ns1 host 50 2 3 4 5");
	assert_int_equal(edit(o, 1)->serial, 50);
	assert_string_equal(all(), stored(50, "mail. 90 MX 10 mx.example.org.\n"
					      "www. 90 CNAME mail.example.org.\n"));
}

static void edits_keep_the_rules(void **state)
{
	(void)state;
	import(with(7, "www 60 A 192.0.2.1\nsub 60 NS ns.sub\nns.sub 60 A 192.0.2.5\n"
		       "deep.er 60 TXT x\nd 60 DNAME elsewhere.example.\n"));
	const char *before = strdup(all());
	assert_int_equal(edit_error(op(ZONE_ADD, "www", "CNAME", 60, "mail")), ERR_BAD);
	assert_int_equal(edit_error(op(ZONE_ADD, "x.sub", "TXT", 60, "x")), ERR_BAD);
	assert_int_equal(edit_error(op(ZONE_ADD, "er", "NS", 60, "ns")), ERR_BAD);
	assert_int_equal(edit_error(op(ZONE_ADD, "er", "DNAME", 60, "ns")), ERR_BAD);
	assert_int_equal(edit_error(op(ZONE_ADD, "a.b.d", "A", 60, "192.0.2.1")), ERR_BAD);
	assert_int_equal(edit_error(op(ZONE_DELETE_SET, "@", "NS", 0, NULL)), ERR_BAD);
	struct row_zone_op o = op(ZONE_ADD, "www", "A", 60, "192.0.2.9");
	o.owner = SLICE("\3www\3net");
	assert_int_equal(edit_error(o), ERR_BAD);
	o.owner = SLICE("\3ww");
	assert_int_equal(edit_error(o), ERR_BAD);
	o = op(ZONE_ADD, "www", "A", 60, "192.0.2.9");
	o.rdata.len = 3;
	assert_int_equal(edit_error(o), ERR_BAD);
	o.rdata.len = 4;
	o.type = 255;
	assert_int_equal(edit_error(o), ERR_BAD);
	assert_string_equal(all(), before);
	free((void *)before);
	o = op(ZONE_ADD, "y.ns.sub", "AAAA", 60, "2001:db8::1");
	assert_int_equal(edit(&o, 1)->serial, 8);
	struct msg_zone_edit m = {name, 7, &o, 1};
	assert_int_equal(ask_error(ctl, MSG_zone_edit, &m), ERR_INUSE);
}

/* A zone of many chunks, edited at random: it is what a list of its records is. */
static void many_edits_keep_chunks_in_order(void **state)
{
	(void)state;
	enum { NAMES = 400, ROUNDS = 60, EACH = 40 };
	static unsigned has[NAMES];
	struct row_zone_op o[EACH];
	char owner[64], data[300];
	srand(3);
	memset(has, 0, sizeof(has));
	import(with(1, ""));
	for (int round = 0; round < ROUNDS; round++) {
		bool grow = round / 15 % 2 == 0;
		for (int i = 0; i < EACH; i++) {
			int k = rand() % NAMES;
			snprintf(owner, sizeof(owner), "host%d.net%d", k, k % 7);
			has[k] = grow ? has[k] + 1 : 0;
			memset(data, 'a' + (int)(has[k] % 26), 250);
			data[250] = 0;
			o[i] = grow ? op(ZONE_ADD, owner, "TXT", 60, data)
				    : op(ZONE_DELETE_NAME, owner, NULL, 0, NULL);
		}
		edit(o, EACH);
		if (round % 15 == 14)
			on_base(0, false, NULL, NULL, sql_sound);
	}
	uint64_t want = 2;
	for (int k = 0; k < NAMES; k++)
		want += has[k] < 26 ? has[k] : 26;
	assert_int_equal(read_from(SLICE(""), 0)->zone->records, want);
	for (int k = 0; k < NAMES; k += EACH) {
		for (int i = 0; i < EACH; i++) {
			snprintf(owner, sizeof(owner), "host%d.net%d", k + i, (k + i) % 7);
			o[i] = op(ZONE_DELETE_NAME, owner, NULL, 0, NULL);
		}
		edit(o, EACH);
	}
	assert_string_equal(all(), stored(serial(), ""));
	assert_int_equal(read_sql(0, "SELECT chunks FROM zone"), 1);
}

static const char *steps_from(uint32_t from)
{
	static struct buf out;
	struct msg_zone_changes m = {name, from};
	const struct msg_zone_steps *s = ask(dnsd, MSG_zone_changes, &m, MSG_zone_steps);
	buf_clear(&out);
	for (uint32_t i = 0; i < s->steps_n; i++) {
		buf_printf(&out, "%u to %u\n", s->steps[i].before, s->steps[i].after);
		add_text(&out, s->steps[i].deleted);
		buf_adds(&out, "--\n");
		add_text(&out, s->steps[i].added);
	}
	return buf_cstr(&out);
}

#define SOA(n) " 300 SOA ns1.example.org. host.example.org. " #n " 2 3 4 5\n"

static void the_journal_tells_each_step(void **state)
{
	(void)state;
	import(with(7, "www 60 A 192.0.2.1\n"));
	struct row_zone_op o = op(ZONE_ADD, "x", "TXT", 60, "x");
	edit(&o, 1);
	import(with(20, "www 61 A 192.0.2.1\n"));
	assert_string_equal(steps_from(20), "");
	assert_string_equal(steps_from(7),
			    "7 to 8\n" SOA(7) "--\n" SOA(
				8) "x. 60 TXT \"x\"\n"
				   "8 to 20\n" SOA(8) "www. 60 A 192.0.2.1\nx. 60 TXT \"x\"\n"
						      "--\n" SOA(20) "www. 61 A 192.0.2.1\n");
	struct msg_zone_changes m = {name, 3};
	assert_int_equal(ask_error(dnsd, MSG_zone_changes, &m), ERR_NOTFOUND);
}

static void the_journal_is_bounded(void **state)
{
	(void)state;
	import(with(1, ""));
	struct row_zone_op o = op(ZONE_ADD, "big", "TXT", 60, "x");
	uint8_t *big = pool_alloc(run_pool, 60000);
	o.rdata = (struct slice){(char *)big, 51200};
	for (int i = 0; i < 100; i++) {
		for (size_t at = 0; at < o.rdata.len; at += 256)
			big[at] = 255;
		big[1] = (uint8_t)i;
		struct row_zone_op two[] = {op(ZONE_DELETE_NAME, "big", NULL, 0, NULL), o};
		edit(two, 2);
	}
	assert_true(read_sql(0, "SELECT SUM(LENGTH(deleted) + LENGTH(added)) FROM zone_journal") <=
		    ZONE_JOURNAL_OCTETS);
	assert_true(read_sql(0, "SELECT COUNT(*) FROM zone_journal") > 50);
	assert_int_equal(serial(), 101);
	/* From the last serials there is a way, from the first ones none any more. */
	struct msg_zone_changes m = {name, 100};
	ask(dnsd, MSG_zone_changes, &m, MSG_zone_steps);
	m.serial = 5;
	assert_int_equal(ask_error(dnsd, MSG_zone_changes, &m), ERR_NOTFOUND);
}

static void each_role_writes_its_own(void **state)
{
	(void)state;
	struct msg_zone_begin b = {name, ZONE_STORE};
	assert_int_equal(ask_error(dnsd, MSG_zone_begin, &b), ERR_DENIED);
	b.source = ZONE_SECONDARY;
	assert_int_equal(ask_error(ctl, MSG_zone_begin, &b), ERR_DENIED);
	/* What nobody sees of a secondary is the primary's to know. Its serial is, too. */
	const struct msg_zone_changed *r =
	    import_as(dnsd, ZONE_SECONDARY, with(9, "sub 60 NS ns.sub\nx.sub 60 TXT x\n"));
	assert_int_equal(r->serial, 9);
	r = import_as(dnsd, ZONE_SECONDARY, with(11, "www 60 A 192.0.2.1\n"));
	assert_int_equal(r->serial, 11);
	assert_string_not_equal(steps_from(9), "");
	r = import_as(dnsd, ZONE_SECONDARY, with(5, "www 60 A 192.0.2.1\n"));
	assert_int_equal(r->serial, 5);
	struct msg_zone_changes c = {name, 9};
	assert_int_equal(ask_error(dnsd, MSG_zone_changes, &c), ERR_NOTFOUND);
	assert_int_equal(edit_error(op(ZONE_ADD, "www", "A", 60, "192.0.2.9")), ERR_DENIED);
	/* IXFR: with the serial that the primary says. */
	struct row_zone_op o[] = {op(ZONE_ADD, "www", "A", 60, "192.0.2.9"),
				  op(ZONE_ADD, "@", "SOA", 300, "ns1 host 8 2 3 4 5")};
	struct msg_zone_edit edited = {name, 5, o, 1};
	assert_int_equal(ask_error(dnsd, MSG_zone_edit, &edited), ERR_BAD);
	edited.ops_n = 2;
	r = ask(dnsd, MSG_zone_edit, &edited, MSG_zone_changed);
	assert_int_equal(r->serial, 8);
	assert_string_not_equal(steps_from(5), "");
	uint64_t draft = begin(ctl, ZONE_STORE);
	put(ctl, draft, with(9, ""), 40);
	assert_int_equal(commit_error(draft), ERR_INUSE);
	struct msg_zone_delete d = {name};
	ask(ctl, MSG_zone_delete, &d, MSG_ok);
	import(with(9, ""));
	assert_int_equal(ask_error(dnsd, MSG_zone_delete, &d), ERR_DENIED);
	ask(ctl, MSG_zone_delete, &d, MSG_ok);
	assert_int_equal(ask_error(ctl, MSG_zone_delete, &d), ERR_NOTFOUND);
}

static uint64_t heard, heard_serial;

static void does_not_fit(const struct msg_zone_edit *m, const char *why)
{
	const struct msg_error *e = ask(dnsd, MSG_zone_edit, m, MSG_error);
	assert_int_equal(e->code, ERR_BAD);
	assert_string_equal(pool_strndup(run_pool, e->text.p, e->text.len), why);
}

/* IXFR: what goes must have been there, what comes must not (RFC 1995): else nothing changes. */
static void a_secondary_takes_changes_that_fit(void **state)
{
	(void)state;
	import_as(dnsd, ZONE_SECONDARY, with(5, "www 60 A 192.0.2.1\nx 60 MX 1 www\n"));
	struct row_zone_op o[] = {op(ZONE_DELETE_RR, "www", "A", 60, "192.0.2.9"),
				  op(ZONE_ADD, "@", "SOA", 300, "ns1 host 8 2 3 4 5")};
	struct msg_zone_edit m = {name, 5, o, 2};
	does_not_fit(&m, "www.example.org A: deletes 192.0.2.9, which is not there");
	o[0] = op(ZONE_ADD, "X", "MX", 60, "1 WWW");
	does_not_fit(&m, "X.example.org MX: adds 1 WWW.example.org., which is there");
	assert_string_equal(all(), stored(5, "www. 60 A 192.0.2.1\nx. 60 MX 1 www.example.org.\n"));
	/* Another TTL: it goes and comes; and what one step adds another one deletes. */
	struct row_zone_op fit[] = {op(ZONE_DELETE_RR, "www", "A", 60, "192.0.2.1"),
				    op(ZONE_ADD, "www", "A", 90, "192.0.2.1"),
				    op(ZONE_ADD, "y", "A", 90, "192.0.2.2"),
				    op(ZONE_DELETE_RR, "y", "A", 90, "192.0.2.2"),
				    op(ZONE_ADD, "@", "SOA", 300, "ns1 host 8 2 3 4 5")};
	m.ops = fit;
	m.ops_n = 5;
	assert_int_equal(
	    ((const struct msg_zone_changed *)ask(dnsd, MSG_zone_edit, &m, MSG_zone_changed))
		->serial,
	    8);
	assert_string_equal(all(), stored(8, "www. 90 A 192.0.2.1\nx. 60 MX 1 www.example.org.\n"));
}

/* 20,000 addresses at one name are no zone that could be served: it is refused, whole. */
static void a_set_fits_in_a_message(void **state)
{
	enum { OF = 4000, FIT = 4079 }; /* A records of 16 octets in ZONE_SET_OCTETS */
	char text[OF * 24], *at = text;
	(void)state;
	for (int i = 0; i < OF; i++)
		at += sprintf(at, "www 60 A 10.0.%d.%d\n", i / 256, i % 256);
	uint64_t draft = begin(dnsd, ZONE_SECONDARY);
	put(dnsd, draft, with(5, ""), 40);
	put(dnsd, draft, text, sizeof(text));
	struct msg_zone_commit c = {draft};
	ask(dnsd, MSG_zone_commit, &c, MSG_zone_changed);
	struct row_zone_op o[FIT + 1 - OF + 1];
	for (int i = OF; i <= FIT; i++) {
		snprintf(text, sizeof(text), "10.0.%d.%d", i / 256, i % 256);
		o[i - OF] = op(ZONE_ADD, "www", "A", 60, text);
	}
	o[FIT + 1 - OF] = op(ZONE_ADD, "@", "SOA", 300, "ns1 host 8 2 3 4 5");
	struct msg_zone_edit m = {name, 5, o, FIT + 1 - OF + 1};
	does_not_fit(&m, "www.example.org A: so many records of a type at one name fit in no "
			 "message (64 KiB)");
	assert_int_equal(serial(), 5);
	m.ops = o + 1;
	m.ops_n--;
	ask(dnsd, MSG_zone_edit, &m, MSG_zone_changed);
	assert_int_equal(serial(), 8);
}

static void on_watch(void *arg, enum msg_type type, const void *msg)
{
	const struct msg_watch_event *e = msg;
	(void)arg;
	if (type != MSG_watch_event)
		return;
	heard++;
	if (e->object)
		heard_serial = e->value;
}

static void watchers_hear_after_the_commit(void **state)
{
	(void)state;
	uint64_t id = import(with(7, ""))->id;
	struct msg_watch w = {.kind = WATCH_ZONE, .object = id};
	heard = 0;
	assert_true(peer_call(dnsd, MSG_watch, &w, on_watch, NULL) != 0);
	w.object = 0;
	assert_true(peer_call(dnsd, MSG_watch, &w, on_watch, NULL) != 0);
	serial(); /* on the same connection: the watches are there */
	struct row_zone_op o = op(ZONE_ADD, "www", "A", 60, "192.0.2.9");
	edit(&o, 1);
	edit(&o, 1);
	import(with(7, ""));
	serial();
	assert_int_equal(heard, 4);
	assert_int_equal(heard_serial, 9);
}

static void on_found(void *arg, const char *finding)
{
	(void)arg;
	assert_true(strlen(finding) > 10);
}

static enum ipc_err sql_unsound(struct base *b, struct op *o)
{
	struct check_sums sums = {0};
	(void)o;
	check_base(b, on_found, NULL, &sums);
	return sums.findings > 0 ? ERR_OK : ERR_BAD;
}

static void the_check_finds_damage(void **state)
{
	(void)state;
	static const char *const damage[] = {
	    "UPDATE zone_chunk SET records = records + 1 WHERE LENGTH(first) > 0",
	    "UPDATE zone_chunk SET data = CAST('x' AS BLOB) WHERE LENGTH(first) > 0",
	    "UPDATE zone SET serial = serial + 1",
	    "DELETE FROM zone_chunk WHERE LENGTH(first) = 0",
	    "INSERT INTO zone_gone (generation, open) SELECT generation, 1 FROM zone",
	};
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		import(with(7, "www 60 A 192.0.2.1\n"));
		on_base(0, false, NULL, NULL, sql_sound);
		change_sql(0, damage[i]);
		on_base(0, false, NULL, NULL, sql_unsound);
		change_sql(0, "DELETE FROM zone; DELETE FROM zone_gone; DELETE FROM zone_chunk;");
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(serial_arithmetic),
	    T(an_import_is_read_as_it_came),
	    T(serials_go_up_by_themselves),
	    T(what_is_not_a_zone_changes_nothing),
	    T(records_come_and_go),
	    T(edits_keep_the_rules),
	    T(many_edits_keep_chunks_in_order),
	    T(the_journal_tells_each_step),
	    T(the_journal_is_bounded),
	    T(each_role_writes_its_own),
	    T(a_secondary_takes_changes_that_fit),
	    T(a_set_fits_in_a_message),
	    T(watchers_hear_after_the_commit),
	    T(the_check_finds_damage),
	};
	return cmocka_run_group_tests_name("stored_zone", tests, NULL, NULL);
}
