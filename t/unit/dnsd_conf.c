/* dnsd.conf: zones, listeners, what the sandbox allows, networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "dnsd/policy/policy.h"
#include "dnsd/secondary/secondary.h"
#include "dnsd/upstream/forward.h"
#include "dnsd/wire/serve.h"
#include "libcommon/dns/name.h"
#include "t/unit/dnsd_read.h"

static void zones_have_a_file(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\n"
					 "zone A.test file z/a\n"
					 "zone b.test {\n\tfile /z/b\n}\nzone .  file root\n"),
			 0);
	const struct zone_conf *z = conf.zones.item[0];
	assert_string_equal(z->text, "/etc/z/a");
	assert_string_equal(z->name, "A.test");
	assert_memory_equal(z->wire, "\001a\004test", 8);
	z = conf.zones.item[1];
	assert_string_equal(z->text, "/z/b");
	z = conf.zones.item[2];
	assert_int_equal(z->wire[0], 0);
	assert_string_equal(z->text, "/etc/root");
	struct sandbox sb = {0};
	conf_sandbox(pool, &sb);
	assert_string_equal(sb.paths[0].path, "/var/lib/hamlet/dnsd");
	assert_true(sb.paths[0].write);
	assert_string_equal(sb.paths[1].path, "/etc/z");
	assert_false(sb.paths[1].write);
	assert_string_equal(sb.paths[2].path, "/z");
	assert_string_equal(sb.paths[3].path, "/etc");
	assert_null(sb.paths[4].path);
	pool_free(&pool);
}

static unsigned port_of(const struct dns_server *s)
{
	return ntohs(s->sa.ss_family == AF_INET ? ((const struct sockaddr_in *)&s->sa)->sin_port
						: ((const struct sockaddr_in6 *)&s->sa)->sin6_port);
}

static void secondaries_have_primaries(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\n"
					 "zone a.test from 192.0.2.1\n"
					 "zone b.test from 2001:db8::1 port 5353 {\n"
					 "\tprimary 192.0.2.2 tls ns.b.test\n"
					 "\tprimary 192.0.2.3 tls ns.b.test port 54\n}\n"
					 "zone c.test file c\n"),
			 0);
	const struct zone_conf *z = conf.zones.item[0];
	assert_int_equal(z->primaries_n, 1);
	assert_null(z->text);
	assert_string_equal(z->primaries->text, "192.0.2.1");
	assert_int_equal(port_of(z->primaries), 53);
	assert_null(z->primaries->key);
	assert_null(z->primaries->tls);
	z = conf.zones.item[1];
	assert_int_equal(z->primaries_n, 3);
	assert_string_equal(z->primaries[0].text, "2001:db8::1 port 5353");
	assert_int_equal(port_of(&z->primaries[0]), 5353);
	assert_int_equal(port_of(&z->primaries[1]), 853);
	assert_string_equal(z->primaries[1].tls, "ns.b.test");
	assert_int_equal(port_of(&z->primaries[2]), 54);
	assert_true(conf_has_secondaries(true));
	z = conf.zones.item[2];
	assert_int_equal(z->primaries_n, 0);
	assert_int_equal(conf.transfer.refresh_least, 60000);
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\nzone c.test file c\n"),
			 0);
	assert_false(conf_has_secondaries(false));
	pool_free(&pool);
}

static unsigned view_of(const char *address)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};
	if (inet_pton(AF_INET, address, &four.sin_addr) == 1)
		return conf_view_of((struct sockaddr *)&four);
	assert_int_equal(inet_pton(AF_INET6, address, &six.sin6_addr), 1);
	return conf_view_of((struct sockaddr *)&six);
}

static void views_have_clients_and_zones(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\nzone a.test file z/a\n"
					 "view lab {\n\tclients 10.9.0.0/16\n}\n"
					 "view inside {\n\tclients 10.0.0.0/8 fd00::/8\n"
					 "\tzone A.test file in/a\n\tzone c.test file in/c\n}\n"),
			 0);
	assert_int_equal(view_of("10.9.1.2"), 1);
	assert_int_equal(view_of("10.8.1.2"), 2);
	assert_int_equal(view_of("fd00::1"), 2);
	assert_int_equal(view_of("::ffff:10.8.1.2"), 2);
	assert_int_equal(view_of("192.0.2.1"), 0);
	assert_int_equal(view_of("2001:db8::1"), 0);
	assert_int_equal(conf_view(SLICE("inside")), 2);
	assert_int_equal(conf_view(SLICE("")), 0);
	assert_string_equal(conf_view_name(2), "inside");
	assert_string_equal(conf_view_name(0), "");
	const uint8_t *a = (const uint8_t *)"\1a\4test", *c = (const uint8_t *)"\1c\4test";
	assert_string_equal(conf_zone(a)->text, "/etc/z/a");
	assert_string_equal(conf_zone_in(2, a)->text, "/etc/in/a");
	assert_null(conf_zone_in(1, a)->name);
	assert_null(conf_zone(c)->name);
	assert_int_equal(conf_zone_in(2, c)->view, 2);
	assert_ptr_equal(conf_zone_at(2), conf_zone_in(2, c));
	assert_null(conf_zone_at(3));
	assert_string_equal(compile_image_name(pool, a), "a.test.image");
	assert_string_equal(compile_image_name_in(pool, 2, a), "a.test@inside.image");
	struct sandbox sb = {0};
	conf_sandbox(pool, &sb);
	assert_string_equal(sb.paths[1].path, "/etc/z");
	assert_string_equal(sb.paths[2].path, "/etc/in");
	assert_null(sb.paths[3].path);
	memset(&conf, 0, sizeof(conf));
	pool_free(&pool);
}

static char key_path[64];

static void key_file(const char *text, mode_t mode)
{
	FILE *f = fopen(key_path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(key_path, mode), 0);
}

/* Reads `before`, the path of the key's file, and `behind`. */
static int load_key(struct pool *pool, const char *before, const char *behind)
{
	char whole[1024];
	snprintf(whole, sizeof(whole), "version 1\ncontent 127.0.0.1:53\n%s%s%s\n", before,
		 key_path, behind);
	return conf_read(pool, whole);
}

static void keys_have_a_file(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	key_file("hmac-sha384:one.test.:c2VjcmV0c2VjcmV0\r\nmore\n", 0600);
	assert_int_equal(load_key(pool, "key One.test file ", ""), 0);
	const struct tsig_key *k = conf_key("one.TEST.");
	assert_non_null(k);
	assert_int_equal(k->algorithm, TSIG_SHA384);
	assert_memory_equal(k->secret, "secretsecret", k->secret_len);
	assert_ptr_equal(conf_key_find((const uint8_t *)"\3one\4test"), k);
	assert_null(conf_key("two.test"));
	assert_null(conf_key("one..test"));
	key_file("c2VjcmV0c2VjcmV0", 0640);
	assert_int_equal(
	    load_key(pool, "key a {\n\talgorithm hmac-sha512-256\n\tsecret-file ", "\n}"), 0);
	assert_int_equal(conf_key("a")->algorithm, TSIG_SHA512);
	assert_int_equal(conf_key("a")->mac_len, 32);
	memset(&conf, 0, sizeof(conf));
	pool_free(&pool);
}

static void sources(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	socklen_t len;
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\nsource 192.0.2.1\n"), 0);
	const struct sockaddr_in *v4 = (const void *)conf_source(AF_INET, &len);
	assert_non_null(v4);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), 0xc0000201);
	assert_int_equal(len, sizeof(*v4));
	assert_null(conf_source(AF_INET6, &len));
	assert_int_equal(len, 0);
	assert_true(conf_source_bind(-1, AF_INET6)); /* nothing to do */
	assert_false(conf_source_bind(-1, AF_INET));
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\n"), 0);
	assert_null(conf_source(AF_INET, &len));
	pool_free(&pool);
}

static void mistakes_in_keys(void **state)
{
	(void)state;
	static const struct {
		const char *before, *behind, *text, *why;
		mode_t mode;
	} BAD[] = {
	    {"key a file ", "", "c2VjcmV0c2VjcmV0", "(chmod 640)", 0644},
	    {"key a file ", "", "c2VjcmV0c2VjcmV0", "(chmod 640)", 0620},
	    {"key a file ", "", "b:c2VjcmV0c2VjcmV0", "has another name", 0600},
	    {"key a file ", "", "c2VjcmV0*", "not base64", 0600},
	    {"key a file ", "", "\n", "8 to 256 octets", 0600},
	    {"key a file ", "", "hmac-md5:a:c2VjcmV0c2VjcmV0", "unknown algorithm", 0600},
	    {"key a {\n\talgorithm md5\n\tsecret-file ", "\n}", "", "unknown algorithm", 0600},
	    {"key a file ", ".not", "", "No such file", 0600},
	    {"key a file ", "/../..", "", "Not a directory", 0600},
	    {"key a file /tmp #", "", "", "is not a file", 0600},
	    {"key a..b file ", "", "", "is not a name", 0600},
	    {"key a flie ", "", "", "only `file PATH` may follow", 0600},
	    {"key a #", "", "", "where is its secret?", 0600},
	    {"key a file ", "\nkey A. file k", "c2VjcmV0c2VjcmV0", "k: No such file", 0600},
	};
	struct pool *pool = pool_new(0);
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		key_file(BAD[i].text, BAD[i].mode);
		assert_int_equal(load_key(pool, BAD[i].before, BAD[i].behind), 1);
		if (!strstr(said, BAD[i].why))
			fail_msg("%s: %s", BAD[i].before, said);
		assert_null(strstr(said, "c2Vj"));
	}
	char twice[256];
	snprintf(twice, sizeof(twice), "key a file %s\nkey A. file ", key_path);
	key_file("c2VjcmV0c2VjcmV0", 0600);
	assert_int_equal(load_key(pool, twice, ""), 1);
	assert_non_null(strstr(said, "is there twice"));
	memset(&conf, 0, sizeof(conf));
	pool_free(&pool);
}

/* Whether the address may have the zone (NULL: one without a block). */
static bool may(const char *zone, const char *address, const char *key, bool tls)
{
	static const struct xfr_conf none;
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&sa;
	const struct xfr_conf *x = &none;
	for (size_t i = 0; zone && i < conf.zones.n; i++) {
		const struct zone_conf *z = conf.zones.item[i];
		if (strcmp(z->name, zone) == 0)
			x = &z->xfr;
	}
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1)
		v4->sin_family = AF_INET;
	else
		assert_int_equal(inet_pton(AF_INET6, address, &sa.sin6_addr), 1);
	return conf_xfr_may(x, &conf.xfr, (struct sockaddr *)&sa, key ? conf_key(key) : NULL, tls);
}

static void who_gets_the_zones(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	key_file("c2VjcmV0c2VjcmV0", 0600);
	assert_int_equal(load_key(pool, "zone a.test file x\nkey k file ",
				  "\nsecondary 192.0.2.1 key k\n"
				  "secondary 2001:db8::1 port 5353\n"
				  "allow-transfer 198.51.100.0/24 tls\n"
				  "zone b.test {\n\tfile y\n\tallow-transfer key k\n}\n"
				  "zone c.test {\n\tfile z\n\tnotify 192.0.2.7\n}\n"),
			 0);
	assert_true(may(NULL, "192.0.2.1", "k", false));
	assert_true(may("a.test", "::ffff:192.0.2.1", "k", false));
	assert_false(may("a.test", "192.0.2.1", NULL, true));
	assert_false(may("a.test", "192.0.2.2", "k", true));
	assert_true(may("a.test", "2001:db8::1", NULL, false));
	assert_true(may("a.test", "198.51.100.9", NULL, true));
	assert_false(may("a.test", "198.51.100.9", NULL, false));
	assert_true(may("b.test", "203.0.113.1", "k", false));
	assert_false(may("b.test", "192.0.2.1", NULL, true));
	assert_true(may("c.test", "2001:db8::1", NULL, false)); /* has only others to notify */
	const struct zone_conf *a = conf.zones.item[0], *c = conf.zones.item[2];
	struct xfr_peers told = conf_xfr_told(&a->xfr, &conf.xfr);
	assert_int_equal(told.n, 2);
	assert_ptr_equal(told.peer[0].key, conf_key("k"));
	const struct sockaddr_in *v4 = (const void *)&told.peer[0].net.sa;
	const struct sockaddr_in6 *v6 = (const void *)&told.peer[1].net.sa;
	assert_int_equal(ntohs(v4->sin_port), 53);
	assert_int_equal(ntohs(v6->sin6_port), 5353);
	assert_int_equal(told.peer[1].len, sizeof(*v6));
	told = conf_xfr_told(&c->xfr, &conf.xfr);
	assert_int_equal(told.n, 1);
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\nzone a.test file x\n"),
			 0);
	assert_false(may("a.test", "127.0.0.1", NULL, true));
	memset(&conf, 0, sizeof(conf));
	pool_free(&pool);
}

static int make_key_file(void **state)
{
	(void)state;
	strcpy(key_path, "/tmp/hamlet-key-XXXXXX");
	int fd = mkstemp(key_path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_key_file(void **state)
{
	(void)state;
	return unlink(key_path);
}

static void mistakes_are_told(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} BAD[] = {
	    {"store off\nzone a.test\n", "zone a.test: where is it from?"},
	    {"zone a..test file x\n", "\"a..test\" is not a domain name"},
	    {"zone a.test file x\nzone A.TEST. file y\n", "zone A.TEST.: is there twice"},
	    {"zone a.test file ../x\n", "/etc/../x: give the path without"},
	    {"zone a.test fiel x\n", "only `file PATH` or `from ADDRESS` may follow"},
	    {"zone a.test from x\n", "from: \"x\" is not an address"},
	    {"zone a.test {\n\tprimary 192.0.2.1:53\n}\n",
	     "primary: \"192.0.2.1:53\" is not an address"},
	    {"zone a.test from 192.0.2.1 port 0\n", "from: port \"0\" is not a port"},
	    {"zone a.test from 192.0.2.1 port\n",
	     "from: \"port\": [port N] [key NAME] [tls NAME] may follow here"},
	    {"zone a.test from 192.0.2.1 key k\n", "from: key \"k\" is no key that is given here"},
	    {"zone a.test from 192.0.2.1 5353\n",
	     "from: \"5353\": [port N] [key NAME] [tls NAME] may follow here"},
	    {"zone a.test file x {\n\tprimary 192.0.2.1\n}\n",
	     "zone a.test: it has a file and a primary"},
	    {"zone a.test file x {\n\tfile y\n}\n",
	     "only `file PATH` or `from ADDRESS` may follow"},
	    {"content unix:/x\n", "content: unix:/x is no address of a network"},
	    {"udp-size 100\n", "udp-size"},
	    {"rrl {\n\tslip 1000\n}\n", "slip"},
	    {"source lo\n", "source: give one address"},
	    {"source ::1 192.0.2.1\n", "source: give one address"},
	    {"source ::1\nsource 192.0.2.1\nsource 192.0.2.2\n",
	     "source: 192.0.2.2: there is one of its kind already"},
	    {"secondary ns2.test\n", "\"ns2.test\" is not an address"},
	    {"secondary 192.0.2.0/24\n", "is not an address"},
	    {"secondary 192.0.2.1 port 0\n", "secondary: port \"0\" is not a port"},
	    {"secondary 192.0.2.1 key\n",
	     "\"key\": [port N] [key NAME] [tls] [catalog NAME] may follow here"},
	    {"notify ::1 key nix\n", "notify: key \"nix\" is no key that is given here"},
	    {"notify ::1 tls\n", "notify: \"tls\": [port N] [key NAME] may follow here"},
	    {"allow-transfer 192.0.2.0/33\n", "is not a network"},
	    {"allow-transfer 192.0.2.0/\n", "is not a network"},
	    {"allow-transfer all\n", "is not a network"},
	    {"allow-transfer 192.0.2.1 port 1\n", "\"port\": [key NAME] [tls] may follow"},
	    {"allow-transfer key\n", "\"key\": [key NAME]"},
	};
	struct pool *pool = pool_new(0);
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), "version 1\ncontent 127.0.0.1:53\n%s", BAD[i].text);
		assert_int_equal(conf_read(pool, text), 1);
		if (!strstr(said, BAD[i].why))
			fail_msg("%s: not %s", said, BAD[i].why);
	}
	assert_int_equal(conf_read(pool, "version 1\n"), 1);
	assert_non_null(strstr(said, "nothing to listen on"));
	pool_free(&pool);
}

static const struct listener_kind *kind_of(const struct listen_spec *spec)
{
	return spec->arg;
}

static void an_address_has_datagrams_and_connections(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct listen_spec *spec;
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\ncontent [::1]:53\n"
					 "content-tls 127.0.0.1:853\n"
					 "tcp {\n\tconnections-per-address 7\n}\n"),
			 0);
	assert_int_equal(conf_listeners(pool, &spec), 5);
	assert_string_equal(spec[0].name, "dns-udp-127.0.0.1-53");
	assert_true(spec[0].udp && spec[0].raw && spec[1].udp);
	assert_string_equal(spec[2].name, "dns-tcp-127.0.0.1-53");
	assert_false(spec[2].udp || spec[2].raw);
	assert_int_equal(spec[2].max_per_address, 7);
	assert_false(kind_of(&spec[3])->tls);
	assert_string_equal(spec[4].name, "dns-tls-127.0.0.1-853");
	assert_true(kind_of(&spec[4])->tls);
	assert_int_equal(kind_of(&spec[4])->serves, SERVES_CONTENT);
	pool_free(&pool);
}

/* An address of both halves has one socket. */
static void both_halves_at_one_address(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct listen_spec *spec;
	struct sockaddr_in in = {.sin_family = AF_INET};
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\ncontent 127.0.0.2:53\n"
					 "cache 127.0.0.2:53\ncache 127.0.0.3:53\n"
					 "cache-tls 127.0.0.3:853\n"
					 "recursion-for 192.0.2.0/24 127.0.0.0/8\n"
					 "recursion {\n\texempt 192.0.2.7\n}\n"),
			 0);
	assert_int_equal(conf_listeners(pool, &spec), 7);
	assert_int_equal(conf_listener_serves("dns-udp-127.0.0.1-53"), SERVES_CONTENT);
	assert_int_equal(conf_listener_serves("dns-udp-127.0.0.2-53"), SERVES_BOTH);
	assert_int_equal(conf_listener_serves("cache-udp-127.0.0.3-53"), SERVES_CACHE);
	assert_string_equal(spec[6].name, "cache-tls-127.0.0.3-853");
	assert_true(kind_of(&spec[6])->tls);
	inet_pton(AF_INET, "192.0.2.7", &in.sin_addr);
	assert_true(conf_recursion_for((struct sockaddr *)&in));
	assert_true(conf_recursion_unlimited((struct sockaddr *)&in));
	inet_pton(AF_INET, "192.0.2.8", &in.sin_addr);
	assert_false(conf_recursion_unlimited((struct sockaddr *)&in));
	inet_pton(AF_INET, "192.0.3.8", &in.sin_addr);
	assert_false(conf_recursion_for((struct sockaddr *)&in));
	/* Nobody but this machine, unless told. */
	assert_int_equal(conf_read(pool, "version 1\ncache 127.0.0.1:53\n"), 0);
	assert_false(conf_recursion_for((struct sockaddr *)&in));
	inet_pton(AF_INET, "127.9.9.9", &in.sin_addr);
	assert_true(conf_recursion_for((struct sockaddr *)&in));
	assert_int_equal(conf.recursion.size, 64 << 20);
	pool_free(&pool);
}

static void networks(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct sockaddr_in in = {.sin_family = AF_INET};
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\n"
					 "allow 192.0.2.0/24\nallow 2001:db8::/32\n"),
			 0);
	inet_pton(AF_INET, "192.0.2.77", &in.sin_addr);
	assert_true(conf_has(&conf.allow, (struct sockaddr *)&in));
	assert_false(conf_has(&conf.refuse, (struct sockaddr *)&in));
	inet_pton(AF_INET, "192.0.3.77", &in.sin_addr);
	assert_false(conf_has(&conf.allow, (struct sockaddr *)&in));
	assert_int_equal(conf.rrl.responses_per_second, 200);
	assert_int_equal(conf.tcp.idle_timeout, 10000);
	pool_free(&pool);
}

static void zones_are_signed_or_not(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	static const char text[] = "version 1\ncontent 127.0.0.1:53\n"
				   "dnssec on {\n\tnsec3 on\n\trollover-interval 365d\n}\n"
				   "zone a.test file a\n"
				   "zone b.test {\n\tfile b\n\tdnssec off\n}\n"
				   "zone c.test {\n\tfile c\n\tdnssec on {\n\t\tnsec3 off\n"
				   "\t\tzonemd on\n\t}\n}\n";
	assert_int_equal(conf_read(pool, text), 0);
	const struct zone_conf *a = conf.zones.item[0], *b = conf.zones.item[1],
			       *c = conf.zones.item[2];
	assert_true(a->dnssec.on && a->dnssec.nsec3 && !a->dnssec.zonemd);
	assert_false(b->dnssec.on);
	assert_true(c->dnssec.on && !c->dnssec.nsec3 && c->dnssec.zonemd);
	assert_int_equal(c->dnssec.interval, 365 * 86400000ull);
	assert_true(conf_zone((const uint8_t *)"\1d\4test")->dnssec.on);
	assert_int_equal(conf_read(pool, "version 1\ncontent 127.0.0.1:53\nzone a.test file a\n"),
			 0);
	a = conf.zones.item[0];
	assert_false(a->dnssec.on);
	static const struct {
		const char *text, *why;
	} bad[] = {
	    {"dnssec maybe\n", "dnssec: on or off is wanted"},
	    {"dnssec {\n}\n", "dnssec: needs on|off before its {"},
	    {"zone a.test {\n\tfile a\n\tdnssec on on\n}\n",
	     "zone a.test: dnssec: on or off is wanted"},
	    {"dnssec on {\n\tsignature-lifetime 2d\n\tsignature-refresh 25h\n}\n",
	     "signature-refresh: is more than half of signature-lifetime"},
	    {"resolver unix:/x\n", "resolver: unix:/x is no address of a network"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char all[256];
		str_fmt(all, sizeof(all), "version 1\ncontent 127.0.0.1:53\n%s", bad[i].text);
		assert_int_equal(conf_read(pool, all), 1);
		if (!strstr(said, bad[i].why))
			fail_msg("%s", said);
	}
	pool_free(&pool);
}

static const uint8_t *name_of(const char *text)
{
	static uint8_t name[DNS_NAME_MAX];
	assert_true(dns_name_from_text(slice_of(text), name) > 0);
	return name;
}

static void forwards_and_policy(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	assert_int_equal(conf_read(pool, "version 1\ncache 127.0.0.1:53\n"
					 "forward . {\n\tserver 9.9.9.9 tls dns.example\n"
					 "\tserver 2001:db8::1 port 5353\n\tfirst on\n}\n"
					 "stub Corp.example b.example {\n\tserver 10.0.0.1\n}\n"
					 "local {\n\trecord \"a.lan A 10.0.0.1\"\n"
					 "\tzone home.lan\n}\n"
					 "dns64 64:ff9b::/96\nrebinding\n"
					 "view in {\n\tclients 10.0.0.0/8\n"
					 "\tforward v.example {\n\t\tserver 10.0.0.2\n\t}\n}\n"),
			 0);
	const struct forward *f = forward_find(0, name_of("www.test"));
	assert_non_null(f);
	assert_int_equal(f->n, 2);
	assert_true(f->first);
	assert_false(f->stub);
	assert_string_equal(f->server[0].tls, "dns.example");
	assert_int_equal(ntohs(((struct sockaddr_in *)&f->server[0].addr)->sin_port), 853);
	assert_int_equal(ntohs(((struct sockaddr_in6 *)&f->server[1].addr)->sin6_port), 5353);
	assert_true(conf_forwards_by_tls());
	assert_true(forward_find(0, name_of("a.corp.example"))->stub);
	assert_true(forward_find(0, name_of("b.example"))->stub);
	assert_ptr_equal(forward_find(0, name_of("v.example")), f);
	assert_int_equal(forward_find(1, name_of("v.example"))->n, 1);
	assert_int_equal(forward_space(1), 1);
	assert_int_equal(forward_space(2), 0);
	assert_true(policy_is_on());
	pool_free(&pool);
}

static void mistakes_in_policy(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "forward . {\n\tserver 9.9.9\n}\n",
	    "forward a..b {\n\tserver 9.9.9.9\n}\n",
	    "forward . {\n}\n",
	    "stub a {\n\tserver 9.9.9.9 tls a\n}\n",
	    "local {\n\trecord \"a.lan A 300x\"\n}\n",
	    "local {\n\trecord \"a.lan CNAME b.\"\n\trecord \"a.lan A 10.0.0.1\"\n}\n",
	    "local {\n\tzone a file /nowhere\n}\n",
	    "dns64 64:ff9b::/97\n",
	    "dns64 10.0.0.0/8\n",
	    "block /nowhere\n",
	    "rpz a {\n\tfile /nowhere\n}\n",
	    "rebinding {\n\tallow a..b\n}\n",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[256];
		struct pool *pool = pool_new(0);
		str_fmt(text, sizeof(text), "version 1\ncache 127.0.0.1:53\n%s", bad[i]);
		assert_int_equal(conf_read(pool, text), 1);
		pool_free(&pool);
	}
	policy_forget();
	forward_forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forwards_and_policy),
	    cmocka_unit_test(mistakes_in_policy),
	    cmocka_unit_test(zones_have_a_file),
	    cmocka_unit_test(secondaries_have_primaries),
	    cmocka_unit_test(views_have_clients_and_zones),
	    cmocka_unit_test(zones_are_signed_or_not),
	    cmocka_unit_test_setup_teardown(keys_have_a_file, make_key_file, remove_key_file),
	    cmocka_unit_test_setup_teardown(who_gets_the_zones, make_key_file, remove_key_file),
	    cmocka_unit_test(sources),
	    cmocka_unit_test_setup_teardown(mistakes_in_keys, make_key_file, remove_key_file),
	    cmocka_unit_test(mistakes_are_told),
	    cmocka_unit_test(an_address_has_datagrams_and_connections),
	    cmocka_unit_test(both_halves_at_one_address),
	    cmocka_unit_test(networks),
	};
	return cmocka_run_group_tests(tests, NULL, free_said);
}
