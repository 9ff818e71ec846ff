/* Dynamic updates in the store: what they want to find, the rules of RFC 2136 3.4.2, once each. */
#include "t/unit/stored_zone_ask.h"

static struct msg_zone_updated updated(struct slice once, struct row_zone_need *needs, uint32_t nn,
				       struct row_zone_op *ops, uint32_t n)
{
	struct msg_zone_update m = {name, once, needs, nn, ops, n};
	const struct msg_zone_updated *u = ask(dnsd, MSG_zone_update, &m, MSG_zone_updated);
	return *u;
}

static struct msg_zone_updated update(struct row_zone_op *ops, uint32_t n)
{
	return updated(SLICE(""), NULL, 0, ops, n);
}

static enum ipc_err update_error(struct row_zone_op o)
{
	struct msg_zone_update m = {name, SLICE(""), NULL, 0, &o, 1};
	return ask_error(dnsd, MSG_zone_update, &m);
}

static struct row_zone_need need(enum zone_need_kind kind, const char *owner, const char *type,
				 const char *data)
{
	struct row_zone_op o = op(ZONE_ADD, owner, type, 0, data);
	return (struct row_zone_need){kind, o.owner, o.type, o.rdata};
}

static uint32_t rcode(struct row_zone_need *needs, uint32_t n)
{
	return updated(SLICE(""), needs, n, NULL, 0).rcode;
}

static void what_is_wanted_is_looked_at(void **state)
{
	(void)state;
	import(with(7, "www 60 A 192.0.2.1\nwww 70 A 192.0.2.2\nwww 60 TXT x\na.b 60 MX 5 Mail\n"));
	static const struct {
		enum zone_need_kind kind;
		const char *owner, *type, *data;
		uint32_t rcode;
	} row[] = {
	    {ZONE_NEED_NAME, "WWW", NULL, NULL, DNS_NOERROR},
	    {ZONE_NEED_NAME, "ww", NULL, NULL, DNS_NXDOMAIN},
	    {ZONE_NEED_NAME, "b", NULL, NULL, DNS_NXDOMAIN}, /* has no records itself */
	    {ZONE_NEED_NAME, "@", NULL, NULL, DNS_NOERROR},
	    {ZONE_NEED_NO_NAME, "ww", NULL, NULL, DNS_NOERROR},
	    {ZONE_NEED_NO_NAME, "b", NULL, NULL, DNS_NOERROR},
	    {ZONE_NEED_NO_NAME, "www", NULL, NULL, DNS_YXDOMAIN},
	    {ZONE_NEED_SET, "www", "A", NULL, DNS_NOERROR},
	    {ZONE_NEED_SET, "www", "AAAA", NULL, DNS_NXRRSET},
	    {ZONE_NEED_SET, "ww", "A", NULL, DNS_NXRRSET},
	    {ZONE_NEED_NO_SET, "www", "AAAA", NULL, DNS_NOERROR},
	    {ZONE_NEED_NO_SET, "www", "TXT", NULL, DNS_YXRRSET},
	    {ZONE_NEED_RR, "www", "TXT", "x", DNS_NOERROR},
	    {ZONE_NEED_RR, "www", "TXT", "y", DNS_NXRRSET},
	    {ZONE_NEED_RR, "www", "A", "192.0.2.1", DNS_NXRRSET},
	    {ZONE_NEED_RR, "a.b", "MX", "5 mAIL", DNS_NOERROR},
	    {ZONE_NEED_RR, "c.b", "MX", "5 mail", DNS_NXRRSET},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct row_zone_need n = need(row[i].kind, row[i].owner, row[i].type, row[i].data);
		if (rcode(&n, 1) != row[i].rcode)
			fail_msg("row %zu", i);
	}
}

static void sets_are_compared_whole(void **state)
{
	(void)state;
	import(with(7, "www 60 A 192.0.2.1\nwww 60 A 192.0.2.2\nm 60 TXT x\n"));
	struct row_zone_need n[] = {need(ZONE_NEED_RR, "www", "A", "192.0.2.2"),
				    need(ZONE_NEED_RR, "m", "TXT", "x"),
				    need(ZONE_NEED_RR, "Www", "A", "192.0.2.1"),
				    need(ZONE_NEED_RR, "www", "A", "192.0.2.2"),
				    need(ZONE_NEED_RR, "www", "A", "192.0.2.3")};
	assert_int_equal(rcode(n, 4), DNS_NOERROR);
	assert_int_equal(rcode(n, 5), DNS_NXRRSET);
	assert_int_equal(rcode(n, 2), DNS_NXRRSET);
	/* Sets come last, otherwise the first that is not so decides. */
	n[1] = need(ZONE_NEED_NAME, "nobody", NULL, NULL);
	n[2] = need(ZONE_NEED_NO_SET, "m", "TXT", NULL);
	assert_int_equal(rcode(n, 3), DNS_NXDOMAIN);
	n[1] = need(ZONE_NEED_RR, "nobody", "A", "192.0.2.1");
	assert_int_equal(rcode(n, 3), DNS_YXRRSET);
	/* Nothing is changed then. */
	struct row_zone_op o = op(ZONE_ADD, "new", "A", 60, "192.0.2.9");
	struct msg_zone_updated u = updated(SLICE(""), n, 3, &o, 1);
	assert_int_equal(u.serial, 7);
	assert_int_equal(serial(), 7);
	n[0].owner = SLICE("\3www\3net");
	struct msg_zone_update m = {name, SLICE(""), n, 1, NULL, 0};
	assert_int_equal(ask_error(dnsd, MSG_zone_update, &m), ERR_BAD);
	n[0] = need(ZONE_NEED_RR, "www", "A", "192.0.2.2");
	n[0].rdata.len = 3;
	assert_int_equal(ask_error(dnsd, MSG_zone_update, &m), ERR_BAD);
}

/* RFC 2136 3.4.2.2 */
static void what_cannot_stand_there_is_left_out(void **state)
{
	(void)state;
	import(with(7, "www 60 A 192.0.2.1\nalias 60 CNAME www\nd 60 DNAME x.example.\n"));
	struct row_zone_op o[] = {op(ZONE_ADD, "www", "CNAME", 60, "mail"),
				  op(ZONE_ADD, "alias", "A", 60, "192.0.2.1"),
				  op(ZONE_ADD, "www", "SOA", 300, "ns1 host 50 2 3 4 5"),
				  op(ZONE_ADD, "@", "SOA", 300, "ns1 host 7 9 9 9 9"),
				  op(ZONE_ADD, "@", "CNAME", 300, "www")};
	assert_int_equal(update(o, 5).serial, 7);
	o[0] = op(ZONE_ADD, "alias", "CNAME", 90, "other");
	o[1] = op(ZONE_ADD, "d", "DNAME", 90, "y.example.");
	struct msg_zone_updated u = update(o, 2);
	assert_int_equal(u.serial, 8);
	assert_int_equal(u.deleted, 2);
	assert_int_equal(u.added, 2);
	/* In the order that they come in. */
	o[0] = op(ZONE_DELETE_SET, "www", "A", 0, NULL);
	o[1] = op(ZONE_ADD, "www", "CNAME", 60, "mail");
	o[2] = op(ZONE_ADD, "www", "A", 60, "192.0.2.7");
	o[3] = op(ZONE_ADD, "@", "SOA", 300, "ns1 host 70 2 3 4 5");
	u = update(o, 4);
	assert_int_equal(u.serial, 70);
	assert_string_equal(all(), stored(70, "alias. 90 CNAME other.example.org.\n"
					      "d. 90 DNAME y.example.\n"
					      "www. 60 CNAME mail.example.org.\n"));
	/* What the zone must keep to is another matter. */
	assert_int_equal(update_error(op(ZONE_ADD, "x.d", "A", 60, "192.0.2.1")), ERR_BAD);
	assert_int_equal(serial(), 70);
}

/* RFC 2136 3.4.2.3, 3.4.2.4 */
static void the_zones_own_records_stay(void **state)
{
	(void)state;
	import(with(7, "@ 300 NS ns2\n@ 60 MX 1 m\nsub 60 NS ns1.elsewhere.example.\n"));
	struct row_zone_op o[] = {op(ZONE_DELETE_SET, "@", "NS", 0, NULL),
				  op(ZONE_DELETE_SET, "@", "SOA", 0, NULL),
				  op(ZONE_DELETE_RR, "@", "SOA", 0, "ns1 host 7 2 3 4 5")};
	assert_int_equal(update(o, 3).serial, 7);
	o[0] = op(ZONE_DELETE_NAME, "@", NULL, 0, NULL);
	assert_int_equal(update(o, 1).deleted, 1);
	o[0] = op(ZONE_DELETE_RR, "@", "NS", 0, "ns2");
	o[1] = op(ZONE_DELETE_RR, "@", "NS", 0, "ns1");
	assert_int_equal(update(o, 2).deleted, 1);
	o[0] = op(ZONE_DELETE_RR, "sub", "NS", 0, "NS1.elsewhere.example.");
	assert_int_equal(update(o, 1).deleted, 1);
	assert_string_equal(all(), stored(10, ""));
}

static void an_update_is_done_once(void **state)
{
	(void)state;
	import(with(7, ""));
	struct row_zone_need n = need(ZONE_NEED_NO_NAME, "www", NULL, NULL);
	struct row_zone_op o = op(ZONE_ADD, "www", "A", 60, "192.0.2.1"),
			   gone = op(ZONE_DELETE_NAME, "www", NULL, 0, NULL);
	struct msg_zone_updated u = updated(SLICE("one"), &n, 1, &o, 1);
	assert_int_equal(u.serial, 8);
	update(&gone, 1);
	u = updated(SLICE("one"), &n, 1, &o, 1);
	assert_int_equal(u.rcode, DNS_NOERROR);
	assert_int_equal(u.serial, 8);
	assert_int_equal(serial(), 9);
	assert_int_equal(updated(SLICE("two"), &n, 1, &o, 1).serial, 10);
	/* Two at once: one of them is done, the other one may be asked again later. */
	struct msg_zone_update m = {name, SLICE("three"), NULL, 0, &gone, 1};
	struct answer a = {0}, b = {0};
	assert_true(peer_call(dnsd, MSG_zone_update, &m, on_answer, &a) != 0);
	assert_true(peer_call(dnsd, MSG_zone_update, &m, on_answer, &b) != 0);
	turn(&a.here);
	turn(&b.here);
	assert_int_equal(a.type, MSG_zone_updated);
	assert_true(b.type == MSG_zone_updated ||
		    ((const struct msg_error *)b.msg)->code == ERR_INUSE);
	assert_int_equal(serial(), 11);
	/* One that failed is none. */
	o.owner = SLICE("\3www\3net");
	m.once = SLICE("four");
	m.ops = &o;
	assert_int_equal(ask_error(dnsd, MSG_zone_update, &m), ERR_BAD);
	m.ops = &gone;
	ask(dnsd, MSG_zone_update, &m, MSG_zone_updated);
	move_clock(ZONE_ONCE_MS + 1);
	m.once = SLICE("one");
	o = op(ZONE_ADD, "www", "A", 60, "192.0.2.1");
	assert_int_equal(updated(SLICE("one"), &n, 1, &o, 1).serial, 12);
}

static void only_zones_of_the_store(void **state)
{
	(void)state;
	struct row_zone_op o = op(ZONE_ADD, "www", "A", 60, "192.0.2.1");
	assert_int_equal(update_error(o), ERR_NOTFOUND);
	import_as(dnsd, ZONE_SECONDARY, with(9, ""));
	assert_int_equal(update_error(o), ERR_DENIED);
	struct row_zone_need *n = pool_alloc(run_pool, (ZONE_UPDATE_NEEDS + 1) * sizeof(*n));
	for (int i = 0; i <= ZONE_UPDATE_NEEDS; i++)
		n[i] = need(ZONE_NEED_NAME, "www", NULL, NULL);
	struct msg_zone_update m = {name, SLICE(""), n, ZONE_UPDATE_NEEDS + 1, NULL, 0};
	assert_int_equal(ask_error(dnsd, MSG_zone_update, &m), ERR_LIMIT);
}

/* Names that are changed together are checked together. */
static void what_is_added_together_fits_together(void **state)
{
	(void)state;
	static const struct {
		const char *owner[3], *type[3], *data[3];
		bool fits;
	} row[] = {
	    {{"s", "ns.s", "t"}, {"NS", "A", "TXT"}, {"ns.s", "192.0.2.1", "x"}, true},
	    {{"s", "a.s", "t"}, {"NS", "TXT", "TXT"}, {"ns.s", "x", "x"}, false},
	    {{"a.b.s", "s", "t"}, {"TXT", "NS", "TXT"}, {"x", "ns", "x"}, false},
	    {{"a.b.s", "b.s", "c.a.s"}, {"TXT", "TXT", "DNAME"}, {"x", "x", "ns"}, true},
	    {{"a.d", "d", "b.d"}, {"A", "DNAME", "A"}, {"192.0.2.1", "x", "192.0.2.1"}, false},
	    {{"b.d", "a.d", "c.b.d"}, {"NS", "TXT", "MX"}, {"ns", "x", "1 m"}, false},
	    {{"b.d", "a.d", "c.d"}, {"NS", "TXT", "MX"}, {"ns", "x", "1 m"}, true},
	};
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		import(with(7, ""));
		struct row_zone_op o[3];
		for (int k = 0; k < 3; k++)
			o[k] = op(ZONE_ADD, row[i].owner[k], row[i].type[k], 60, row[i].data[k]);
		struct msg_zone_update m = {name, SLICE(""), NULL, 0, o, 3};
		if (row[i].fits)
			ask(dnsd, MSG_zone_update, &m, MSG_zone_updated);
		else if (ask_error(dnsd, MSG_zone_update, &m) != ERR_BAD)
			fail_msg("row %zu", i);
		struct msg_zone_delete d = {name};
		ask(ctl, MSG_zone_delete, &d, MSG_ok);
	}
}

/* As many as a message has room for, each at a name of its own. */
static void thousands_at_once(void **state)
{
	(void)state;
	enum { N = 4000 };
	struct row_zone_op *o = pool_alloc(run_pool, N * sizeof(*o));
	char owner[64];
	import(with(7, ""));
	for (int i = 0; i < N; i++) {
		snprintf(owner, sizeof(owner), "host%d.net%d", i * 37 % N, i % 16);
		o[i] = op(ZONE_ADD, owner, "A", 60, "192.0.2.1");
	}
	assert_int_equal(update(o, N).added, N);
	for (int i = 0; i < N; i++)
		o[i].kind = ZONE_DELETE_NAME;
	assert_int_equal(update(o, N).deleted, N);
	assert_string_equal(all(), stored(9, ""));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_is_wanted_is_looked_at),
	    T(sets_are_compared_whole),
	    T(what_cannot_stand_there_is_left_out),
	    T(the_zones_own_records_stay),
	    T(an_update_is_done_once),
	    T(only_zones_of_the_store),
	    T(what_is_added_together_fits_together),
	    T(thousands_at_once),
	};
	return cmocka_run_group_tests_name("stored_update", tests, NULL, NULL);
}
