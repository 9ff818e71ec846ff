/* A packet from anybody to the whole server: questions, NOTIFY, UPDATE, transfers, with and without
 * a good signature. What comes back is a whole message within its limits, signed where the query
 * was, and what comes later is as well. Two of the zones have primaries, of which one has an image.
 *
 * The first octet says how the query comes, the second whether and how it is signed. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/stat.h>
#include "dnsd/secondary/secondary.h"
#include "dnsd/wire/later.h"
#include "dnsd/wire/serve.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"
#include "t/unit/dnsd_odd.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { TURNS = 30000, UNSIGNED = 0, SIGNED = 1, OF_ANOTHER_TIME = 2 };

static const struct {
	const char *name, *text;
} FILES[] = {{"b.test", odd_plain},
	     {"child.b.test", odd_child},
	     {"c.test", odd_other},
	     {"s.test", odd_nsec},
	     {"one.key", "key.one:bm9ib2R5IGtub3dz"}};

static const char CONF[] =
    "version 1\ncontent 127.0.0.1:53\nstate-dir state\nstore off\nversion \"1\"\nnsid x\n"
    "key key.one file one.key\nrefuse 192.0.2.9\n"
    "allow-transfer key key.one\nallow-transfer 192.0.2.1\n"
    "zone b.test file b.test\nzone child.b.test file child.b.test\n"
    "zone c.test file c.test\nzone s.test file s.test\n";

static char dir[] = "/tmp/hamlet-fuzz-XXXXXX";
static struct list later;
static struct tsig client;
static bool zones_are_there;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static int folder;

static void put_file(const char *name, const char *text)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void on_zones(void)
{
	zones_are_there = true;
}

static void remove_dir(void)
{
	char command[64];
	snprintf(command, sizeof(command), "rm -r %s", dir);
	check(system(command) == 0); // NOLINT(cert-env33-c): a name of our own making
}

static void on_store(void)
{
}

/* As a catalog brings them: what NOTIFY is about, from 192.0.2.7 or by the key. */
static void add_secondaries(int state)
{
	static const uint8_t served[] = "\001c\004test", missing[] = "\003sec\004test";
	static struct dns_server primary = {.text = "192.0.2.7"};
	static struct zone_conf z[2] = {
	    {.name = "c.test", .wire = (uint8_t *)(uintptr_t)served},
	    {.name = "sec.test", .wire = (uint8_t *)(uintptr_t)missing}};
	struct sockaddr_in *sa = (struct sockaddr_in *)&primary.sa;
	*sa = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000207u)};
	primary.sa_len = sizeof(*sa);
	primary.key = conf_key("key.one");
	uplink_store_start(ROLE_DNSD, on_store); /* there is none */
	refresh_start(state);
	for (size_t i = 0; i < 2; i++) {
		z[i].primaries = &primary;
		z[i].primaries_n = 1;
	}
	conf_zone_put(&z[1]);
	load_named(z[1].wire);
	for (size_t i = 0; i < 2; i++)
		refresh_add(&z[i]);
}

static void turn(void)
{
	uv_run(loop_get(), UV_RUN_NOWAIT);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct pool *pool;
	char name[64];
	(void)argc;
	(void)argv;
	clock_init();
	log_init("fuzz", LOG_TO_STDERR, LOG_LV_ERROR);
	list_init(&later);
	check(mkdtemp(dir) != NULL);
	setenv("HAMLET_RUNDIR", dir, 1);
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(folder >= 0 && mkdirat(folder, "state", 0700) == 0);
	for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++)
		put_file(FILES[i].name, FILES[i].text);
	pool = pool_new(0);
	snprintf(name, sizeof(name), "%s/dnsd.conf", dir);
	check(conf_parse(pool, name, CONF, strlen(CONF), conf_table, &conf, conf_verify, stderr) ==
	      0);
	builder_start();
	int state = openat(folder, "state", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	serve_start(state);
	transfer_start(state);
	load_start(state, on_zones);
	for (int i = 0; i < TURNS && !zones_are_there; i++) {
		turn();
		usleep(1000);
	}
	check(zones_are_there);
	add_secondaries(state);
	remove_dir();
	return 0;
}

/* --- what comes back -------------------------------------------------------------------------- */

static void whole(const uint8_t *out, size_t n)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	uint8_t name[DNS_NAME_MAX];
	check(dns_iter_init(&it, out, n, &h) && h.flags & DNS_QR && h.count[DNS_QUESTION] <= 1);
	while (dns_iter_rr(&it, &rr)) {
		size_t at = rr.owner;
		check(dns_name_read(out, n, &at, name) > 0);
	}
	check(!it.bad && it.at == n);
	if (client.key)
		check(tsig_answer(&client, out, n, clock_sec()) == TSIG_GOOD);
}

static void on_reply(struct later *l, const uint8_t *p, size_t len)
{
	(void)l;
	if (len)
		whole(p, len);
}

static void on_go_on(struct later *l)
{
	static uint8_t out[DNS_MSG_MAX];
	size_t n;
	while ((n = l->next(l->arg, out, sizeof(out))) > 0) {
		check(n <= sizeof(out));
		whole(out, n);
	}
	later_free(l);
}

static struct later *keep(void *stream)
{
	struct later *l = later_new(&later, sizeof(*l));
	if (l) {
		l->reply = on_reply;
		l->go_on = stream ? on_go_on : NULL;
	}
	return l;
}

/* --- what goes in ----------------------------------------------------------------------------- */

/* All of it is records: one more can stand behind them. */
static bool ends_with_a_record(const uint8_t *pkt, size_t len)
{
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	if (!dns_iter_init(&it, pkt, len, &h))
		return false;
	while (dns_iter_rr(&it, &rr))
		;
	return !it.bad && it.at == len;
}

/* Adds a signature of ours, as far as there is room. */
static size_t sign(uint8_t *pkt, size_t len, size_t cap, uint8_t how)
{
	uint64_t now = how == OF_ANOTHER_TIME ? 1 : clock_sec();
	memset(&client, 0, sizeof(client));
	if (how == UNSIGNED || !ends_with_a_record(pkt, len))
		return len;
	size_t n = tsig_ask(&client, conf_key("key.one"), pkt, len, cap, now);
	if (!n || how == OF_ANOTHER_TIME)
		client.key = NULL;
	return n ? n : len;
}

/* A signature is looked at only when the query is well-formed; then the response has one. */
static void expect(const struct query_from *from, const uint8_t *pkt, size_t len)
{
	struct query q;
	query_read(&q, pkt, len);
	if (q.kind == QUERY_DROP || q.rcode == DNS_FORMERR || !q.tsig ||
	    conf_has(&conf.refuse, from->client))
		client.key = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t out[DNS_MSG_MAX];
	if (len < 2 || len > UDP_MAX)
		return 0;
	uint8_t how = data[0] & 3;
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(0xc0000200u + (data[0] >> 4))};
	struct query_from from = {.client = (struct sockaddr *)&sa,
				  .by = how < 3 ? (enum transport)how : BY_UDP,
				  .keep = keep,
				  .origin = how == BY_UDP || how > 2 ? NULL : &later};
	uint8_t *pkt = malloc(len - 2 + TSIG_ROOM);
	if (!pkt)
		return 0;
	memcpy(pkt, data + 2, len - 2);
	size_t n = sign(pkt, len - 2, len - 2 + TSIG_ROOM, data[1] % 3);
	uint8_t *exact = malloc(n + 1); /* so that nobody reads on */
	if (exact) {
		memcpy(exact, pkt, n);
		expect(&from, exact, n);
		struct slice one = {(const char *)exact, n};
		if (data[0] & 8)
			serve_ahead(&one, &from.client, 1);
		size_t cap = from.by == BY_UDP ? UDP_MAX : DNS_MSG_MAX;
		size_t got = serve(&from, exact, n, out, cap);
		check(got <= cap);
		if (got)
			whole(out, got);
	}
	free(pkt);
	free(exact);
	turn();
	tsig_end(&client);
	return 0;
}
