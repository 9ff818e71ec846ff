/* The blocks of smtpd.conf about mail going out: what they come to, how routes inherit and are
 * found, what mistakes are told, and that -nn shows no secret and reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/net/tls.h"
#include "smtpd/smtpd.h"

static struct pool *pool;
static char dir[] = "/tmp/hamlet-route-XXXXXX";
static char errors[8192];

static void put_file(const char *name, const char *text, mode_t mode)
{
	char path[128];
	assert_true(str_fmt(path, sizeof(path), "%s/%s", dir, name));
	unlink(path);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* Reads the text as DIR/smtpd.conf; the mistakes, without the folder, are in `errors`. */
static int load(const char *text)
{
	char path[128], *said = NULL;
	size_t len;
	put_file("smtpd.conf", text, 0600);
	pool_free(&pool);
	pool = pool_new(0);
	memset(&conf, 0, sizeof(conf));
	assert_true(str_fmt(path, sizeof(path), "%s/smtpd.conf", dir));
	FILE *f = open_memstream(&said, &len);
	int mistakes = conf_load(pool, path, conf_table, &conf, conf_verify, f);
	fclose(f);
	errors[0] = 0;
	for (struct slice rest = {said, len}; rest.len;) {
		struct slice line = slice_cut(&rest, '\n');
		size_t skip = slice_starts(line, dir) ? strlen(dir) + 1 : 0;
		size_t at = strlen(errors);
		str_fmt(errors + at, sizeof(errors) - at, "%.*s\n", (int)(line.len - skip),
			line.p + skip);
	}
	free(said);
	return mistakes;
}

#define HEAD "version 1\nhostname mail.a.test\nsmtp 127.0.0.1:2525\n"

static void good(const char *text)
{
	char whole[8192];
	assert_true(str_fmt(whole, sizeof(whole), HEAD "%s", text));
	load(whole);
	assert_string_equal(errors, "");
}

/* The mistakes of text, which begins in line 4. */
static void bad(const char *text, const char *want)
{
	char whole[8192];
	assert_true(str_fmt(whole, sizeof(whole), HEAD "%s", text));
	int n = load(whole);
	assert_string_equal(errors, want);
	assert_true(n > 0);
}

static const struct route *of(const char *domain)
{
	return route_of(slice_of(domain));
}

static void defaults_are_whole(void **state)
{
	(void)state;
	good("");
	assert_true(relay_conf.on);
	assert_int_equal(relay_conf.lease, 300000);
	assert_null(relay_conf.helo);
	assert_int_equal(relay_conf.dns.servers, 0);
	assert_string_equal(relay_conf.dns.resolv_conf, "/etc/resolv.conf");
	assert_int_equal(relay_conf.dns.ttl_max, 86400);
	assert_false(relay_conf.dns.no_cache);
	const struct route *r = of("b.test");
	assert_int_equal(r->hosts, 0);
	assert_int_equal(r->protocol, ROUTE_SMTP);
	assert_int_equal(r->tls, OUT_TLS_MAY);
	assert_null(r->user);
	assert_int_equal(r->retry_first, 60000);
	assert_int_equal(r->retry_longest, 4 * 3600000);
	assert_int_equal(r->give_up, 5 * 86400000);
	assert_int_equal(r->times.dot, 600000);
	assert_int_equal(r->times.min_rate, 1000);
	assert_ptr_equal(r, of("[192.0.2.1]"));
	assert_ptr_equal(r, of(""));
}

static void routes_are_found(void **state)
{
	(void)state;
	good("route b.test c.test { connections 1 }\nroute .b.test { connections 2 }\n"
	     "route .deep.b.test { connections 3 }\nroute .test { connections 4 }\n"
	     "route bücher.example { connections 5 }\nroute * { connections 6 }\n");
	assert_int_equal(of("b.test")->connections, 1);
	assert_int_equal(of("C.TEST.")->connections, 1);
	assert_int_equal(of("x.b.test")->connections, 2);
	assert_int_equal(of("x.y.b.test")->connections, 2);
	assert_int_equal(of("deep.b.test")->connections, 2);
	assert_int_equal(of("x.deep.B.test")->connections, 3);
	assert_int_equal(of("d.test")->connections, 4);
	assert_int_equal(of("xb.test")->connections, 4);
	assert_int_equal(of("test")->connections, 6);
	assert_int_equal(of("xn--bcher-kva.example")->connections, 5);
	assert_int_equal(of("BÜCHER.example")->connections, 5);
	assert_int_equal(of("*")->connections, 6);
	assert_int_equal(of("..")->connections, 6);
	assert_int_equal(of("[IPv6:2001:db8::1]")->connections, 6);
	assert_int_equal(of("\xff.test")->connections, 6);
}

static void routes_inherit(void **state)
{
	(void)state;
	put_file("secret", "tell nobody\r\nsecond line\n", 0600);
	good("route b.test { connections 3 }\nroute c.test { host mx.c.test }\n"
	     "route d.test { direct on }\nroute e.test {\n timeouts { rcpt 9s }\n source 192.0.2.9 "
	     "}\n"
	     "route * {\n host smart.test 587\n auth me secret\n tls verify\n tls-name big.test\n"
	     " recipients 50\n source 192.0.2.1 2001:db8::1\n timeouts {\n rcpt 7s\n mail 8s\n "
	     "}\n}\n");
	const struct route *r = of("b.test"), *rest = of("x.test");
	assert_int_equal(r->connections, 3);
	assert_int_equal(rest->connections, 20);
	assert_int_equal(r->recipients, 50);
	assert_int_equal(r->hosts, 1);
	assert_string_equal(r->host[0].name, "smart.test");
	assert_int_equal(r->host[0].port, 587);
	assert_string_equal(r->user, "me");
	assert_string_equal(r->password, "tell nobody");
	assert_string_equal(r->tls_name, "big.test");
	assert_int_equal(r->times.rcpt, 7000);
	assert_int_equal(r->source4.s_addr, inet_addr("192.0.2.1"));
	/* Who says where takes nothing that belongs to the hosts of others. */
	r = of("c.test");
	assert_string_equal(r->host[0].name, "mx.c.test");
	assert_null(r->user);
	assert_null(r->password);
	assert_null(r->tls_name);
	assert_int_equal(r->tls, OUT_TLS_VERIFY);
	assert_int_equal(r->recipients, 50);
	r = of("d.test");
	assert_int_equal(r->hosts, 0);
	assert_null(r->user);
	/* Blocks inside are inherited line by line. */
	r = of("e.test");
	assert_int_equal(r->times.rcpt, 9000);
	assert_int_equal(r->times.mail, 8000);
	assert_int_equal(r->times.data, 120000);
	assert_int_equal(r->source4.s_addr, inet_addr("192.0.2.9"));
	assert_true(IN6_IS_ADDR_UNSPECIFIED(&r->source6));
	assert_string_equal(r->user, "me");
}

static void values_are_read(void **state)
{
	char text[INET6_ADDRSTRLEN];
	(void)state;
	put_file("secret", "pass word", 0400);
	good("relay {\n on no\n letters 7\n memory 2M\n lease 1m\n helo [192.0.2.1]\n}\n"
	     "dns {\n server 192.0.2.53 [2001:db8::53]:5353\n server 192.0.2.54:54 2001:db8::1\n"
	     " timeout 1500ms\n trust-ad on\n cache off\n negative-max 1m\n}\n"
	     "route b.test {\n host mx.Example 2525\n host 2001:db8::25\n host [192.0.2.25]\n"
	     " mx Bücher.test\n protocol lmtp\n tls verify\n tls-name LMTP.b.test\n"
	     " auth user secret\n source 2001:db8::7 192.0.2.7\n}\n");
	assert_false(relay_conf.on);
	assert_int_equal(relay_conf.letters, 7);
	assert_int_equal(relay_conf.memory, 2 << 20);
	assert_string_equal(relay_conf.helo, "[192.0.2.1]");
	const struct stub_conf *d = &relay_conf.dns;
	assert_int_equal(d->servers, 4);
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&d->server[2];
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&d->server[1];
	assert_int_equal(v4->sin_family, AF_INET);
	assert_int_equal(ntohs(v4->sin_port), 54);
	assert_int_equal(v6->sin6_family, AF_INET6);
	assert_int_equal(ntohs(v6->sin6_port), 5353);
	v6 = (const struct sockaddr_in6 *)&d->server[3];
	assert_int_equal(ntohs(v6->sin6_port), 53);
	inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
	assert_string_equal(text, "2001:db8::1");
	assert_int_equal(d->timeout_ms, 1500);
	assert_true(d->trust_ad);
	assert_true(d->no_cache);
	assert_int_equal(d->negative_max, 60);
	const struct route *r = of("b.test");
	assert_int_equal(r->hosts, 4);
	assert_string_equal(r->host[0].name, "mx.example");
	assert_int_equal(r->host[0].port, 2525);
	assert_string_equal(r->host[1].name, "2001:db8::25");
	assert_int_equal(r->host[1].port, 0);
	assert_string_equal(r->host[2].name, "192.0.2.25");
	assert_false(r->host[2].mx);
	assert_string_equal(r->host[3].name, "xn--bcher-kva.test");
	assert_true(r->host[3].mx);
	assert_int_equal(r->protocol, ROUTE_LMTP);
	assert_string_equal(r->tls_name, "lmtp.b.test");
	assert_string_equal(r->password, "pass word");
	inet_ntop(AF_INET6, &r->source6, text, sizeof(text));
	assert_string_equal(text, "2001:db8::7");
	assert_int_equal(r->source4.s_addr, inet_addr("192.0.2.7"));
}

static void mistakes_have_their_place(void **state)
{
	(void)state;
	bad("dns {\n server 192.0.2.1 ns.test\n server 1.1.1.1:0\n}\n",
	    "smtpd.conf:5:9: server: \"ns.test\" is not an address (try 192.0.2.1 or "
	    "[2001:db8::1]:5353)\n"
	    "smtpd.conf:6:9: server: \"1.1.1.1:0\" is not an address (try 192.0.2.1 or "
	    "[2001:db8::1]:5353)\n");
	bad("dns {\n server 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 "
	    "10.0.0.8 "
	    "10.0.0.9\n}\n",
	    "smtpd.conf:5:9: server: more than 8\n");
	bad("relay {\n helo \"a b\"\n}\n",
	    "smtpd.conf:5:2: helo: \"a b\" is neither a host name nor [an address]\n");
	bad("relay {\n letter 3\n}\n",
	    "smtpd.conf:5:2: letter: no such directive (did you mean letters?)\n");
	bad("route {\n}\n", "smtpd.conf:4:1: route: needs DOMAIN ... before its {\n");
	bad("route b.test a_b.test 192.0.2.1 .. {\n}\nroute c.test {\n}\nroute B.TEST c.test. "
	    "{\n}\n",
	    "smtpd.conf:4:1: route: \"a_b.test\" is not a domain (try b.test, .b.test or *)\n"
	    "smtpd.conf:4:1: route: \"192.0.2.1\" is not a domain (try b.test, .b.test or *)\n"
	    "smtpd.conf:4:1: route: \"..\" is not a domain (try b.test, .b.test or *)\n"
	    "smtpd.conf:8:1: route: B.TEST already has one, in line 4\n"
	    "smtpd.conf:8:1: route: c.test. already has one, in line 6\n");
	bad("route b.test {\n host 192.0.2.256\n host a..b 25\n host b 65536\n host b 0\n host b "
	    "25 "
	    "26\n mx 192.0.2.1\n mx -x\n}\n",
	    "smtpd.conf:5:7: host: \"192.0.2.256\" is not a host name\n"
	    "smtpd.conf:6:7: host: \"a..b\" is not a host name\n"
	    "smtpd.conf:7:7: host: \"65536\" is not a port\n"
	    "smtpd.conf:8:7: host: \"0\" is not a port\n"
	    "smtpd.conf:9:7: host: takes a name and a port\n"
	    "smtpd.conf:10:5: mx: \"192.0.2.1\" is an address, not a domain (try host)\n"
	    "smtpd.conf:11:5: mx: \"-x\" is not a domain name\n");
	bad("route b.test {\n source 192.0.2.1 192.0.2.2 eth0\n}\n",
	    "smtpd.conf:5:9: source: \"192.0.2.2\" is a second one of IPv4\n"
	    "smtpd.conf:5:9: source: \"eth0\" is not an address\n");
	bad("route b.test {\n tls always\n protocol smtps\n connections 0\n give-up 61d\n}\n",
	    "smtpd.conf:5:6: tls: \"always\" is not one of none | may | must | verify\n"
	    "smtpd.conf:6:11: protocol: \"smtps\" is not one of smtp | submissions | lmtp\n"
	    "smtpd.conf:7:14: connections: \"0\" is not between 1 and 10000\n"
	    "smtpd.conf:8:10: give-up: \"61d\" is not between 1s and 60d\n");
}

static void contradictions_are_told_once(void **state)
{
	(void)state;
	put_file("secret", "s", 0600);
	bad("route b.test {\n direct on\n host x\n}\n",
	    "smtpd.conf:5:2: direct: and hosts are named too\n");
	bad("route b.test {\n protocol lmtp\n}\n",
	    "smtpd.conf:5:2: protocol: needs a host or mx\n");
	bad("route b.test {\n tls verify\n auth u secret\n}\n",
	    "smtpd.conf:6:2: auth: needs a host or mx\n");
	bad("route * {\n host x\n auth u secret\n}\nroute b.test {\n}\nroute c.test {\n}\n",
	    "smtpd.conf:6:2: auth: needs tls verify (or must, or none): who is on the way could "
	    "undo tls may\n");
	bad("route * {\n host x\n protocol submissions\n}\nroute b.test {\n tls none\n}\n",
	    "smtpd.conf:9:2: tls: protocol submissions is never without TLS\n");
	bad("route b.test {\n tls none\n tls-name x.test\n}\n",
	    "smtpd.conf:6:2: tls-name: of no use with tls none\n");
	bad("route b.test {\n tls-name x_y\n}\n",
	    "smtpd.conf:5:2: tls-name: \"x_y\" is not a host name\n");
	bad("route b.test {\n retry-first 5h\n}\n",
	    "smtpd.conf:5:2: retry-first: is longer than retry-longest\n");
	bad("route b.test {\n give-up 1h\n}\n",
	    "smtpd.conf:5:2: give-up: is shorter than retry-longest\n");
}

static void password_files_are_checked(void **state)
{
	(void)state;
	char long_line[1100], want[512];
	memset(long_line, 'x', sizeof(long_line) - 1);
	long_line[sizeof(long_line) - 1] = 0;
	static const struct {
		const char *text;
		mode_t mode;
		const char *why;
	} FILES[] = {
	    {"p", 0640, "others than its owner have rights to it (chmod 600)"},
	    {"p", 0604, "others than its owner have rights to it (chmod 600)"},
	    {"", 0600, "its first line is empty"},
	    {"\r\nx\n", 0600, "its first line is empty"},
	    {"a\tb\001\n", 0600, "its first line has control characters"},
	};
	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
		put_file("secret", FILES[i].text, FILES[i].mode);
		str_fmt(want, sizeof(want), "smtpd.conf:6:7: auth: %s/secret: %s\n", dir,
			FILES[i].why);
		bad("route b.test {\n host x\n auth u secret\n tls must\n}\n", want);
	}
	put_file("secret", long_line, 0600);
	str_fmt(want, sizeof(want),
		"smtpd.conf:6:7: auth: %s/secret: its first line is longer than 1000 octets\n",
		dir);
	bad("route b.test {\n host x\n auth u secret\n tls must\n}\n", want);
	bad("route b.test {\n host x\n auth u /\n tls must\n}\n",
	    "smtpd.conf:6:7: auth: /: is not a file\n");
	/* Told where it stands, not again where it is inherited. */
	bad("route * {\n host x\n auth u /nonexistent\n tls must\n}\nroute b.test {\n}\n",
	    "smtpd.conf:6:7: auth: /nonexistent: No such file or directory\n");
	bad("route b.test {\n host x\n auth u\n tls must\n}\n",
	    "smtpd.conf:6:7: auth: takes a user and the file of the password\n");
}

/* A CA that is none, one that is there, and the system's. */
static void authorities_are_read_before_the_sandbox(void **state)
{
	char want[256];
	(void)state;
	bad("route b.test {\n tls-ca missing.pem\n}\n",
	    (str_fmt(want, sizeof(want), "smtpd.conf:5:9: tls-ca: %s/missing.pem: cannot be read\n",
		     dir),
	     want));
	put_file("ca.pem", "nothing\n", 0644);
	bad("route b.test {\n tls-ca ca.pem\n}\n",
	    (str_fmt(want, sizeof(want),
		     "smtpd.conf:5:2: tls-ca: %s/ca.pem: no certificates in it\n", dir),
	     want));
	put_file("ca.pem",
		 "-----BEGIN CERTIFICATE-----\n"
		 "MIIBgjCCASmgAwIBAgIUZnIHo4BSlAL29ZntvUC+7k5X5uMwCgYIKoZIzj0EAwIw\n"
		 "FjEUMBIGA1UEAwwLaGFtbGV0IHRlc3QwIBcNMjYxMTI0MTIxNDQ0WhgPMjEyNjEw\n"
		 "MzExMjE0NDRaMBYxFDASBgNVBAMMC2hhbWxldCB0ZXN0MFkwEwYHKoZIzj0CAQYI\n"
		 "KoZIzj0DAQcDQgAErs93K4WP0xFSPW3dX/nphXEsGXVqvcvFUEhLHHBHf1X8OQGH\n"
		 "4Kv7RdsU3DV/BpFk4uP7nTjk5vOpLWiWC6q876NTMFEwHQYDVR0OBBYEFFiHnDqQ\n"
		 "Kjm/Ll1wwRFcQ3DdAlpzMB8GA1UdIwQYMBaAFFiHnDqQKjm/Ll1wwRFcQ3DdAlpz\n"
		 "MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgXW3LTHVQWlK83ZGU\n"
		 "wRIQjSIqF25pHtrPZbdopB9z9O8CIBf5+ozS1jnEBDlz/loAHwMGfHud7cRHNENz\n"
		 "+6yvgOyv\n"
		 "-----END CERTIFICATE-----\n",
		 0644);
	good("route b.test {\n tls-ca ca.pem\n tls verify\n}\nroute c.test {\n tls-ca ca.pem\n}\n"
	     "route d.test {\n}\n");
	relay_conf_start();
	assert_non_null(of("b.test")->tls_ctx);
	assert_ptr_equal(of("b.test")->tls_ctx, of("c.test")->tls_ctx);
	assert_int_equal(tls_ctx_trusted(of("b.test")->tls_ctx), 1);
	assert_non_null(of("d.test")->tls_ctx);
	assert_ptr_equal(of("d.test")->tls_ctx, of("x.test")->tls_ctx);
	assert_ptr_not_equal(of("d.test")->tls_ctx, of("b.test")->tls_ctx);
	good("relay { on off }\n");
	relay_conf_start();
	assert_null(of("b.test")->tls_ctx);
}

static char *dump(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	conf_dump(f, conf_table, &conf);
	fclose(f);
	return text;
}

static void the_dump_is_no_secret_and_reads_back(void **state)
{
	(void)state;
	put_file("secret", "tell nobody\n", 0600);
	good("relay { helo out.a.test }\ndns { server [::1]:5353 127.0.0.1 }\n"
	     "route b.test .b.test {\n connections 3\n}\nroute c.test {\n mx d.test 26\n}\n"
	     "route d.test {\n direct on\n timeouts { rcpt 9s }\n}\n"
	     "route * {\n host smart.test 587\n host 192.0.2.1\n auth \"the user\" secret\n tls "
	     "must\n"
	     " source 192.0.2.1\n timeouts { mail 8s }\n}\n");
	char *one = dump();
	assert_null(strstr(one, "nobody"));
	assert_non_null(strstr(one, "auth \"the user\" /tmp/hamlet-route-"));
	assert_int_equal(load(one), 0);
	assert_string_equal(errors, "");
	char *two = dump();
	assert_string_equal(one, two);
	assert_string_equal(of("b.test")->password, "tell nobody");
	assert_int_equal(of("d.test")->hosts, 0);
	assert_null(of("d.test")->user);
	assert_int_equal(of("d.test")->times.mail, 8000);
	assert_int_equal(of("c.test")->hosts, 1);
	assert_null(of("c.test")->user);
	free(one);
	free(two);
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const FILES[] = {"smtpd.conf", "secret", "ca.pem"};
	char path[128];
	(void)state;
	pool_free(&pool);
	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++)
		if (str_fmt(path, sizeof(path), "%s/%s", dir, FILES[i]))
			unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_whole),
	    cmocka_unit_test(values_are_read),
	    cmocka_unit_test(routes_are_found),
	    cmocka_unit_test(routes_inherit),
	    cmocka_unit_test(mistakes_have_their_place),
	    cmocka_unit_test(contradictions_are_told_once),
	    cmocka_unit_test(password_files_are_checked),
	    cmocka_unit_test(authorities_are_read_before_the_sandbox),
	    cmocka_unit_test(the_dump_is_no_secret_and_reads_back),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
