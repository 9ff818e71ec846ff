/* The stub's configuration, and what it remembers of its servers. */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include "libcommon/base/clock.h"
#include "libcommon/dns/stub_int.h"

enum {
	SRTT_GUESS = 30, /* ms, of a server that was never asked */
	/* One that was slow is measured again some day: each choice of another takes this part off
	 * what is remembered of it. */
	SRTT_FADE = 64,
	PENALTY_MAX = 60000,     /* ms */
	PENALTY_HALF_MS = 30000, /* a penalty is half of it after this time */
	RESOLV_CONF_MAX = 16384, /* octets that are read of the file */
};

static void range(uint32_t *v, uint32_t def, uint32_t min, uint32_t max)
{
	if (!*v)
		*v = def;
	if (*v < min)
		*v = min;
	if (*v > max)
		*v = max;
}

void stub_conf_range(struct stub_conf *c)
{
	range(&c->timeout_ms, 2000, 100, 30000);
	range(&c->attempts, 2, 1, 10);
	range(&c->deadline_ms, 20000, 200, 300000);
	range(&c->parallel, 256, 1, 4096);
	range(&c->queue, 10000, 1, 1000000);
	range(&c->cache_entries, 4096, 1, 1000000);
	range(&c->ttl_max, 86400, 1, 604800);
	range(&c->negative_max, 900, 1, 86400);
	if (c->servers > STUB_SERVERS)
		c->servers = STUB_SERVERS;
}

/* "192.0.2.1", "2001:db8::1", "fe80::1%eth0"; port 53. */
static bool address(struct slice text, struct sockaddr_storage *out)
{
	char s[INET6_ADDRSTRLEN];
	struct slice host = slice_cut(&text, '%');
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	*out = (struct sockaddr_storage){0};
	if (!str_fmt(s, sizeof(s), "%.*s", SLICE_FMT(host)))
		return false;
	if (inet_pton(AF_INET, s, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(53);
		return true;
	}
	if (inet_pton(AF_INET6, s, &v6->sin6_addr) != 1)
		return false;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(53);
	char scope[IF_NAMESIZE] = "";
	if (text.len && str_fmt(scope, sizeof(scope), "%.*s", SLICE_FMT(text)))
		v6->sin6_scope_id = if_nametoindex(scope);
	return true;
}

static void option(struct stub_conf *conf, struct slice word)
{
	struct slice key = slice_cut(&word, ':');
	uint32_t v = 0;
	if (slice_eqs(key, "trust-ad"))
		conf->trust_ad = true;
	else if (!str_u32(word, &v) || v == 0)
		return;
	else if (slice_eqs(key, "timeout") && !conf->timeout_ms)
		conf->timeout_ms = v > 30 ? 30000 : v * 1000;
	else if (slice_eqs(key, "attempts") && !conf->attempts)
		conf->attempts = v;
}

void stub_resolv_conf(struct stub_conf *conf, struct slice text)
{
	bool add = conf->servers == 0; /* configured ones stay alone */
	while (text.len) {
		struct slice line = slice_cut(&text, '\n');
		struct slice word = slice_word(&line);
		if (slice_eqs(word, "nameserver")) {
			if (add && conf->servers < STUB_SERVERS &&
			    address(slice_trim(slice_word(&line)), &conf->server[conf->servers]))
				conf->servers++;
		} else if (slice_eqs(word, "options")) {
			while ((word = slice_word(&line)).len)
				option(conf, word);
		}
	}
}

static void read_file(struct stub_conf *c)
{
	static char text[RESOLV_CONF_MAX];
	const char *file = c->resolv_conf ? c->resolv_conf : "/etc/resolv.conf";
	FILE *f = *file ? fopen(file, "re") : NULL;
	if (!f)
		return;
	size_t n = fread(text, 1, sizeof(text), f);
	fclose(f);
	stub_resolv_conf(c, (struct slice){text, n});
}

socklen_t stub_addr_len(const struct sockaddr_storage *ss)
{
	return ss->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static bool on_loopback(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)ss;
	if (ss->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
}

void stub_servers(struct stub *s)
{
	struct stub_conf *c = &s->conf;
	if (!c->servers)
		read_file(c);
	if (!c->servers && address(SLICE("127.0.0.1"), &c->server[0]))
		c->servers = 1;
	stub_conf_range(c);
	for (unsigned i = 0; i < c->servers; i++) {
		s->server[i].addr = c->server[i];
		s->server[i].trust_ad = c->trust_ad || on_loopback(&c->server[i]);
	}
}

/* The penalty as it is now: halved for each PENALTY_HALF_MS, and straight in between. */
static uint32_t penalty(const struct server *v)
{
	uint64_t now = clock_ms();
	uint64_t age = now > v->penalty_at ? now - v->penalty_at : 0;
	if (age / PENALTY_HALF_MS >= 32)
		return 0;
	uint32_t p = v->penalty >> (age / PENALTY_HALF_MS);
	return p - (uint32_t)(p / 2 * (age % PENALTY_HALF_MS) / PENALTY_HALF_MS);
}

struct server *stub_server_pick(struct stub *s, unsigned tried)
{
	struct server *best = NULL;
	uint64_t least = UINT64_MAX;
	for (unsigned i = 0; i < s->conf.servers; i++) {
		struct server *v = &s->server[i];
		uint64_t score = (uint64_t)(v->srtt ? v->srtt : SRTT_GUESS) + penalty(v);
		if (!(tried & 1u << i) && score < least) {
			best = v;
			least = score;
		}
	}
	for (unsigned i = 0; best && !tried && i < s->conf.servers; i++)
		if (&s->server[i] != best && s->server[i].srtt > 1)
			s->server[i].srtt -= (s->server[i].srtt + SRTT_FADE - 1) / SRTT_FADE;
	return best;
}

void stub_server_good(struct server *v, uint64_t rtt_ms)
{
	uint32_t rtt = rtt_ms < 1 ? 1 : rtt_ms > PENALTY_MAX ? PENALTY_MAX : (uint32_t)rtt_ms;
	v->srtt = v->srtt ? (7 * v->srtt + rtt + 4) / 8 : rtt;
	v->penalty = 0;
}

void stub_server_bad(struct server *v, uint32_t ms)
{
	uint32_t p = penalty(v) + ms;
	v->penalty = p < PENALTY_MAX ? p : PENALTY_MAX;
	v->penalty_at = clock_ms();
}
