/* Policies, asked as the cache server asks them; the world outside is a few records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include "dnsd/policy/keys.h"
#include "dnsd/policy/policy_int.h"
#include "dnsd/upstream/forward.h"
#include "libcommon/base/clock.h"

static struct local *world;
static struct sockaddr_in client;
static bool stream, dnssec_ok, checking_disabled;

static const uint8_t *wire_of(const char *text)
{
	static uint8_t wire[8][DNS_NAME_MAX];
	static unsigned at;
	uint8_t *out = wire[at++ % 8];
	assert_true(dns_name_from_text(slice_of(text), out) > 0);
	return out;
}

static const uint8_t root[] = "";

static void on_error(void *arg, const char *line)
{
	(void)arg;
	fail_msg("%s", line);
}

static void read_zone(const char *text, const uint8_t *origin, zone_rr_fn *fn, void *arg)
{
	const struct zonetext z = {
	    .origin = origin, .ttl = 60, .on_rr = fn, .on_error = on_error, .arg = arg};
	assert_int_equal(zonetext_memory(&z, "test", slice_of(text)), 0);
}

static bool to_local(void *arg, const struct zone_rr *rr)
{
	const char *why = NULL;
	if (!local_add(arg, rr, &why))
		fail_msg("%s", why);
	return true;
}

static bool to_list(void *arg, const struct zone_rr *rr)
{
	const char *why = NULL;
	if (!list_rr(arg, rr, &why))
		fail_msg("%s", why);
	return true;
}

static struct list *rpz(const char *text)
{
	struct list *l = list_new("rpz.test");
	read_zone(text, root, to_list, l);
	policy_add_list(l);
	return l;
}

static int start(void **state)
{
	(void)state;
	policy_forget();
	forward_forget();
	policy_stats = (struct policy_stats){0};
	inet_pton(AF_INET, "192.0.2.7", &client.sin_addr);
	client.sin_family = AF_INET;
	stream = dnssec_ok = checking_disabled = false;
	world = local_new();
	read_zone("www.example A 198.51.100.1\n"
		  "www.example A 198.51.100.2\n"
		  "six.example AAAA 2001:db8::6\n"
		  "six.example A 198.51.100.6\n"
		  "mapped.example AAAA ::ffff:1.2.3.4\n"
		  "mapped.example A 198.51.100.7\n"
		  "alias.example CNAME www.example.\n"
		  "inside.example A 10.0.0.1\n"
		  "inside.example A 198.51.100.8\n"
		  "inside.example AAAA fd00::1\n"
		  "loop.example A 127.0.0.1\n"
		  "bad.example A 203.0.113.66\n"
		  "sub.bad.example A 203.0.113.67\n"
		  "1.100.51.198.in-addr.arpa PTR www.example.\n",
		  root, to_local, world);
	local_zone(world, root);
	local_finish(world, false);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	local_free(&world);
	policy_forget();
	forward_forget();
	return 0;
}

/* What the world says. */
static void resolve_it(const uint8_t *name, uint16_t type, struct resolved *r)
{
	*r = (struct resolved){.security = RRSET_SECURE, .ede = RESOLVE_NO_EDE};
	for (;;) {
		struct cached *c = &r->part[r->n++];
		enum local_found f = local_find(world, name, type, c);
		c->trust = CACHE_ANSWER;
		c->security = RRSET_SECURE;
		if (f == LOCAL_NXDOMAIN)
			r->rcode = DNS_NXDOMAIN;
		if (f != LOCAL_CNAME)
			return;
		name = (const uint8_t *)c->set.data.p + 2;
	}
}

static void add_text(struct buf *b, const struct cached *c)
{
	char name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	struct slice data = c->set.data, one;
	dns_name_text(name, c->set.owner);
	if (c->kind == CACHE_NODATA)
		buf_printf(b, " [none%s]", c->extras ? " soa" : "");
	for (unsigned i = 0; i < c->set.n && rrset_next(&data, &one); i++) {
		buf_printf(b, " [%s %s ", name, dns_type_text(c->set.type, type));
		dns_rdata_text(c->set.type, (const uint8_t *)one.p, one.len, b);
		buf_adds(b, "]");
	}
}

static const char *ask_as(unsigned view, const char *name, uint16_t type)
{
	static char line[2000];
	static struct resolved r, out;
	struct policy_query q = {.client = (struct sockaddr *)&client,
				 .name = wire_of(name),
				 .type = type,
				 .view = view,
				 .stream = stream,
				 .dnssec_ok = dnssec_ok,
				 .checking_disabled = checking_disabled};
	enum policy_verdict v = policy_before(&q, &out);
	for (int i = 0; v == POLICY_RESOLVE; i++) {
		assert_true(i < 4);
		resolve_it(q.ask, q.ask_type, &r);
		v = policy_after(&q, &r, &out);
	}
	if (v == POLICY_DROP)
		return "drop";
	if (v == POLICY_TCP)
		return "tcp";
	const struct resolved *a = v == POLICY_AS_IS ? &r : &out;
	struct buf b;
	buf_init(&b, sizeof(line));
	buf_adds(&b, a->rcode == DNS_NXDOMAIN   ? "NXDOMAIN"
		     : a->rcode == DNS_SERVFAIL ? "SERVFAIL"
						: "NOERROR");
	if (a->security == RRSET_SECURE)
		buf_adds(&b, " ad");
	if (a->ede != RESOLVE_NO_EDE)
		buf_printf(&b, " ede%u", a->ede);
	for (unsigned i = 0; i < a->n; i++)
		add_text(&b, &a->part[i]);
	str_fmt(line, sizeof(line), "%s", buf_cstr(&b));
	buf_free(&b);
	return line;
}

static const char *ask(const char *name, uint16_t type)
{
	return ask_as(0, name, type);
}

#define IS(name, type, text) assert_string_equal(ask(name, type), text)
#define WWW                  "[www.example A 198.51.100.1] [www.example A 198.51.100.2]"

static void without_policy_nothing_changes(void **state)
{
	(void)state;
	assert_false(policy_is_on());
	IS("www.example", DNS_A, "NOERROR ad " WWW);
	IS("nothing.example", DNS_A, "NXDOMAIN ad");
}

/* --- our own data --- */

static void local_data_is_like_a_zone(void **state)
{
	(void)state;
	struct local *l = policy_local(0);
	read_zone("router.lan A 10.0.0.1\n"
		  "router.lan AAAA fd00::1\n"
		  "Printer.lan CNAME Router.lan.\n"
		  "out.lan CNAME www.example.\n"
		  "gone.lan CNAME nothing.example.\n"
		  "*.apps.lan A 10.0.0.2\n"
		  "own.apps.lan TXT \"x\"\n"
		  "a.b.home.test A 10.0.0.3\n"
		  "circle.lan CNAME circle.lan.\n",
		  root, to_local, l);
	local_zone(l, wire_of("home.test"));
	local_finish(l, true);
	IS("router.lan", DNS_A, "NOERROR [router.lan A 10.0.0.1]");
	IS("router.lan", DNS_MX, "NOERROR [none]");
	IS("printer.lan", DNS_AAAA,
	   "NOERROR [printer.lan CNAME router.lan.] [router.lan AAAA "
	   "fd00::1]");
	IS("printer.lan", DNS_CNAME, "NOERROR [printer.lan CNAME router.lan.]");
	IS("out.lan", DNS_A, "NOERROR [out.lan CNAME www.example.] " WWW);
	IS("gone.lan", DNS_A, "NXDOMAIN [gone.lan CNAME nothing.example.]");
	IS("circle.lan", DNS_A, "SERVFAIL");
	/* Wildcards stand for names that are not there, at any depth. */
	IS("x.apps.lan", DNS_A, "NOERROR [x.apps.lan A 10.0.0.2]");
	IS("y.x.apps.lan", DNS_A, "NOERROR [y.x.apps.lan A 10.0.0.2]");
	IS("own.apps.lan", DNS_A, "NOERROR [none]");
	IS("x.own.apps.lan", DNS_A, "NXDOMAIN ad"); /* not ours: what the world says */
	/* A single record takes no names beside it, a zone all of them. */
	IS("other.lan", DNS_A, "NXDOMAIN ad");
	IS("other.home.test", DNS_A, "NXDOMAIN");
	IS("b.home.test", DNS_A, "NOERROR [none soa]");
	IS("home.test", DNS_SOA,
	   "NOERROR [home.test SOA home.test. nobody.invalid. 1 3600 1200 "
	   "604800 3600]");
	/* Addresses have their names. */
	IS("1.0.0.10.in-addr.arpa", DNS_PTR, "NOERROR [1.0.0.10.in-addr.arpa PTR router.lan.]");
	IS("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", DNS_PTR,
	   "NOERROR [1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa PTR "
	   "router.lan.]");
	IS("2.0.0.10.in-addr.arpa", DNS_PTR, "NXDOMAIN ad"); /* of a wildcard there is none */
}

static void a_view_has_its_own(void **state)
{
	(void)state;
	read_zone("www.example A 10.1.1.1\n", root, to_local, policy_local(2));
	read_zone("www.example A 10.0.0.1\nboth.example A 10.0.0.2\n", root, to_local,
		  policy_local(0));
	assert_string_equal(ask_as(2, "www.example", DNS_A), "NOERROR [www.example A 10.1.1.1]");
	assert_string_equal(ask_as(2, "both.example", DNS_A), "NOERROR [both.example A 10.0.0.2]");
	assert_string_equal(ask_as(1, "www.example", DNS_A), "NOERROR [www.example A 10.0.0.1]");
}

/* --- lists --- */

static void block_lists(void **state)
{
	(void)state;
	struct list *l = list_new("ads");
	static const char *const good[] = {
	    "# comment",           "! comment too",    "",
	    "bad.example # why",   "*.below.example",  "0.0.0.0 host.example host2.example",
	    "127.0.0.1 localhost", "::1 ip6.example\r"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(list_line(l, slice_of(good[i]), LIST_NXDOMAIN));
	assert_false(list_line(l, slice_of("two words"), LIST_NXDOMAIN));
	assert_false(list_line(l, slice_of("a..b"), LIST_NXDOMAIN));
	assert_int_equal(list_count(l), 5);
	policy_add_list(l);
#define BLOCKED "NXDOMAIN ede15"
	IS("bad.example", DNS_A, BLOCKED);
	IS("sub.bad.example", DNS_TXT, BLOCKED);
	IS("below.example", DNS_A, "NXDOMAIN ad");
	IS("a.below.example", DNS_A, BLOCKED);
	IS("host.example", DNS_A, BLOCKED);
	IS("ip6.example", DNS_A, BLOCKED);
	IS("sub.host.example", DNS_A, "NXDOMAIN ad");
	IS("www.example", DNS_A, "NOERROR ad " WWW);
	assert_int_equal(policy_stats.blocked, 5);
}

static void rpz_by_name(void **state)
{
	(void)state;
	rpz("@ SOA a b 1 2 3 4 5\n"
	    "@ NS localhost.\n"
	    "nx.example CNAME .\n"
	    "*.nx.example CNAME .\n"
	    "nodata.example CNAME *.\n"
	    "ok.nx.example CNAME rpz-passthru.\n"
	    "drop.example CNAME rpz-drop.\n"
	    "www.example CNAME rpz-tcp-only.\n"
	    "garden.example A 10.9.9.9\n"
	    "garden.example TXT \"walled\"\n"
	    "moved.example CNAME www.example.\n"
	    "*.star.example CNAME *.example.\n");
	IS("nx.example", DNS_A, "NXDOMAIN ede15");
	IS("x.y.nx.example", DNS_A, "NXDOMAIN ede15");
	IS("ok.nx.example", DNS_A, "NXDOMAIN ad");
	IS("nodata.example", DNS_A, "NOERROR ede15 [none]");
	IS("drop.example", DNS_A, "drop");
	IS("www.example", DNS_A, "tcp");
	stream = true;
	IS("www.example", DNS_A, "NOERROR ad " WWW);
	stream = false;
	IS("garden.example", DNS_A, "NOERROR ede4 [garden.example A 10.9.9.9]");
	IS("garden.example", DNS_AAAA, "NOERROR ede4 [none]");
	IS("moved.example", DNS_A, "NOERROR [moved.example CNAME www.example.] " WWW);
	IS("moved.example", DNS_CNAME, "NOERROR ede4 [moved.example CNAME www.example.]");
	IS("www.star.example", DNS_A,
	   "NXDOMAIN [www.star.example CNAME www.star.example.example.]");
}

static void rpz_by_address(void **state)
{
	(void)state;
	rpz("24.0.113.0.203.rpz-ip CNAME .\n"
	    "32.66.113.0.203.rpz-ip CNAME rpz-passthru.\n"
	    "32.2.100.51.198.rpz-ip A 10.9.9.9\n"
	    "48.zz.db8.2001.rpz-ip CNAME *.\n"
	    "32.8.2.0.192.rpz-client-ip CNAME rpz-drop.\n");
	IS("bad.example", DNS_A, "NOERROR ad [bad.example A 203.0.113.66]");
	IS("sub.bad.example", DNS_A, "NXDOMAIN ede15");
	IS("www.example", DNS_A, "NOERROR ede4 [www.example A 10.9.9.9]");
	IS("six.example", DNS_AAAA, "NOERROR ede15 [none]");
	inet_pton(AF_INET, "192.0.2.8", &client.sin_addr);
	IS("bad.example", DNS_A, "drop");
}

/* The first list in conf is heard first, also when it must wait for the answer. */
static void lists_keep_their_order(void **state)
{
	(void)state;
	rpz("32.66.113.0.203.rpz-ip CNAME rpz-passthru.\n");
	rpz("bad.example CNAME .\n"
	    "*.bad.example CNAME .\n");
	IS("bad.example", DNS_A, "NOERROR ad [bad.example A 203.0.113.66]");
	IS("sub.bad.example", DNS_A, "NXDOMAIN ede15");
}

static void rpz_by_server(void **state)
{
	(void)state;
	static const struct cache_conf conf = {.octets = 1 << 20, .ttl_most = 86400};
	static const uint8_t glue[] = "\2ns\4evil\0\0\1\0\1\0\0\0\x3c\0\4\xcb\0\x71\5";
	static const uint8_t data[] = "\0\x09\2ns\4evil";
	struct cache *c = cache_new(&conf);
	struct cached d = {.kind = CACHE_DELEGATION,
			   .trust = CACHE_AUTHORITY,
			   .set = {.owner = wire_of("bad.example"),
				   .type = DNS_NS,
				   .ttl = 3600,
				   .n = 1,
				   .data = {(const char *)data, 11}},
			   .extra = {(const char *)glue, sizeof(glue) - 1},
			   .extras = 1};
	assert_true(cache_put(c, 0, &d, clock_sec()));
	policy_start(c);
	rpz("ns.evil.rpz-nsdname CNAME .\n");
	IS("bad.example", DNS_A, "NXDOMAIN ede15");
	IS("sub.bad.example", DNS_A, "NXDOMAIN ede15");
	IS("www.example", DNS_A, "NOERROR ad " WWW);
	policy_forget();
	policy_start(c);
	rpz("24.0.113.0.203.rpz-nsip CNAME *.\n");
	IS("sub.bad.example", DNS_A, "NOERROR ede15 [none]");
	IS("www.example", DNS_A, "NOERROR ad " WWW);
	policy_start(NULL);
	cache_free(&c);
}

/* --- DNS64 --- */

static struct dns64 d64;

static void use_dns64(const char *prefix, unsigned bits)
{
	static struct net mapped = {.addr = {[10] = 0xff, [11] = 0xff}, .bits = 96};
	d64 = (struct dns64){.exclude = &mapped, .exclude_n = 1};
	inet_pton(AF_INET6, prefix, d64.prefix.addr);
	d64.prefix.bits = bits;
	policy_set_dns64(&d64);
}

static void dns64_makes_addresses(void **state)
{
	(void)state;
	use_dns64("64:ff9b::", 96);
	IS("www.example", DNS_AAAA,
	   "NOERROR [www.example AAAA 64:ff9b::c633:6401] [www.example "
	   "AAAA 64:ff9b::c633:6402]");
	IS("alias.example", DNS_AAAA,
	   "NOERROR [alias.example CNAME www.example.] [www.example AAAA "
	   "64:ff9b::c633:6401] [www.example AAAA 64:ff9b::c633:6402]");
	IS("www.example", DNS_A, "NOERROR ad " WWW);
	IS("six.example", DNS_AAAA, "NOERROR ad [six.example AAAA 2001:db8::6]");
	IS("mapped.example", DNS_AAAA, "NOERROR [mapped.example AAAA 64:ff9b::c633:6407]");
	IS("nothing.example", DNS_AAAA, "NXDOMAIN ad");
	dnssec_ok = true;
	IS("mapped.example", DNS_AAAA, "NOERROR [mapped.example AAAA 64:ff9b::c633:6407]");
	checking_disabled = true;
	IS("mapped.example", DNS_AAAA, "NOERROR ad [mapped.example AAAA ::ffff:1.2.3.4]");
	IS("1.0.4.6.3.3.6.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa", DNS_PTR,
	   "NOERROR [1.0.4.6.3.3.6.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa "
	   "CNAME "
	   "1.100.51.198.in-addr.arpa.] [1.100.51.198.in-addr.arpa PTR www.example.]");
	assert_true(policy_stats.dns64 >= 3);
}

static void dns64_for_some(void **state)
{
	(void)state;
	use_dns64("64:ff9b::", 96);
	struct net some, not_of;
	net_addr((const uint8_t *)"\xc0\0\2\x08", 4, some.addr);
	some.bits = 128;
	d64.clients = &some;
	d64.clients_n = 1;
	policy_set_dns64(&d64);
	IS("www.example", DNS_AAAA, "NOERROR ad [none soa]");
	inet_pton(AF_INET, "192.0.2.8", &client.sin_addr);
	net_addr((const uint8_t *)"\xc6\x33\x64\1", 4, not_of.addr);
	not_of.bits = 128;
	d64.not_of = &not_of;
	d64.not_of_n = 1;
	policy_set_dns64(&d64);
	IS("www.example", DNS_AAAA, "NOERROR [www.example AAAA 64:ff9b::c633:6402]");
	read_zone("four.lan A 10.0.0.4\n", root, to_local, policy_local(0));
	IS("four.lan", DNS_AAAA, "NOERROR [four.lan AAAA 64:ff9b::a00:4]");
}

/* RFC 6052 2.4. */
static void dns64_prefixes(void **state)
{
	(void)state;
	static const struct {
		const char *prefix;
		unsigned bits;
		const char *made;
	} t[] = {{"2001:db8::", 32, "2001:db8:c000:221::"},
		 {"2001:db8:100::", 40, "2001:db8:1c0:2:21::"},
		 {"2001:db8:122::", 48, "2001:db8:122:c000:2:2100::"},
		 {"2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::"},
		 {"2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::"},
		 {"2001:db8:122:344::", 96, "2001:db8:122:344::192.0.2.33"}};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct net p = {.bits = t[i].bits};
		uint8_t want[16], got[16];
		inet_pton(AF_INET6, t[i].prefix, p.addr);
		assert_int_equal(inet_pton(AF_INET6, t[i].made, want), 1);
		dns64_embed(&p, (const uint8_t *)"\xc0\0\2\x21", got);
		assert_memory_equal(got, want, 16);
	}
}

/* --- rebinding --- */

static bool all_is_ours(const uint8_t *name)
{
	(void)name;
	return true;
}

/* The reverse names of private addresses are not asked of the world, unless somebody has them. */
static void special_names(void **state)
{
	(void)state;
	static struct forward f;
	policy_special_names();
	IS("localhost", DNS_AAAA, "NOERROR [localhost AAAA ::1]");
	IS("a.b.localhost", DNS_A, "NOERROR [a.b.localhost A 127.0.0.1]");
	IS("1.0.0.127.in-addr.arpa", DNS_PTR, "NOERROR [1.0.0.127.in-addr.arpa PTR localhost.]");
	IS("x.onion", DNS_A, "NXDOMAIN");
	IS("1.31.172.in-addr.arpa", DNS_PTR, "NXDOMAIN");
	IS("1.100.51.198.in-addr.arpa", DNS_PTR, "NXDOMAIN"); /* which the world has, here */
	IS("1.32.172.in-addr.arpa", DNS_PTR, "NXDOMAIN ad");
	IS("arpa", DNS_NS, "NOERROR ad [none soa]");
	memcpy(f.zone, wire_of("100.51.198.in-addr.arpa"), 25);
	forward_add(0, &f);
	IS("1.100.51.198.in-addr.arpa", DNS_PTR,
	   "NOERROR ad [1.100.51.198.in-addr.arpa PTR www.example.]");
	forward_forget();
	policy_ours(all_is_ours);
	IS("1.100.51.198.in-addr.arpa", DNS_PTR,
	   "NOERROR ad [1.100.51.198.in-addr.arpa PTR www.example.]");
}

static void private_addresses_are_taken_out(void **state)
{
	(void)state;
	static struct net nets[3], fine;
	const uint8_t *names[1] = {(const uint8_t *)"\4loop\7example"};
	net_addr((const uint8_t *)"\x0a\0\0\0", 4, nets[0].addr);
	nets[0].bits = 104;
	net_addr((const uint8_t *)"\x7f\0\0\0", 4, nets[1].addr);
	nets[1].bits = 104;
	inet_pton(AF_INET6, "fc00::", nets[2].addr);
	nets[2].bits = 7;
	struct rebind b = {.on = true, .nets = nets, .nets_n = 3};
	policy_set_rebind(&b);
	IS("inside.example", DNS_A, "NOERROR ede15 [inside.example A 198.51.100.8]");
	IS("inside.example", DNS_AAAA, "NOERROR ede15 [none]");
	IS("loop.example", DNS_A, "NOERROR ede15 [none]");
	IS("www.example", DNS_A, "NOERROR ad " WWW);
	assert_int_equal(policy_stats.rebinding, 3);
	b.names = names;
	b.names_n = 1;
	policy_set_rebind(&b);
	IS("loop.example", DNS_A, "NOERROR ad [loop.example A 127.0.0.1]");
	net_addr((const uint8_t *)"\x0a\0\0\1", 4, fine.addr);
	fine.bits = 128;
	b.fine = &fine;
	b.fine_n = 1;
	policy_set_rebind(&b);
	IS("inside.example", DNS_A,
	   "NOERROR ad [inside.example A 10.0.0.1] [inside.example A "
	   "198.51.100.8]");
	/* Names that our own servers are asked for. */
	static struct forward f;
	memcpy(f.zone, wire_of("inside.example"), 16);
	IS("inside.example", DNS_AAAA, "NOERROR ede15 [none]");
	forward_add(0, &f);
	IS("inside.example", DNS_AAAA, "NOERROR ad [inside.example AAAA fd00::1]");
	forward_forget();
	IS("inside.example", DNS_AAAA, "NOERROR ede15 [none]");
	policy_ours(all_is_ours);
	IS("inside.example", DNS_AAAA, "NOERROR ad [inside.example AAAA fd00::1]");
}

static void many_keys(void **state)
{
	(void)state;
	struct keys *k = keys_new();
	for (uint32_t i = 1; i <= 100000; i++)
		assert_true(keys_put(k, &i, sizeof(i), i));
	uint32_t i = 77;
	assert_false(keys_put(k, &i, sizeof(i), 1));
	for (i = 1; i <= 100000; i++)
		assert_int_equal(keys_get(k, &i, sizeof(i)), i);
	assert_int_equal(keys_get(k, &i, sizeof(i)), 0);
	assert_int_equal(keys_get(k, &i, 2), 0);
	assert_int_equal(keys_count(k), 100000);
	keys_free(&k);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
	    T(without_policy_nothing_changes),
	    T(local_data_is_like_a_zone),
	    T(a_view_has_its_own),
	    T(block_lists),
	    T(rpz_by_name),
	    T(rpz_by_address),
	    T(lists_keep_their_order),
	    T(rpz_by_server),
	    T(dns64_makes_addresses),
	    T(dns64_for_some),
	    T(dns64_prefixes),
	    T(private_addresses_are_taken_out),
	    T(special_names),
	    T(many_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
