/* What servers were like: a table of places of eight, keyed by a hash that servers do not know the
 * key of, so that nobody can crowd out those that he does not like. Round trip times are smoothed
 * as RFC 6298 has it; a query that was not answered doubles what is expected of the next. */
#include <string.h>
#include "dnsd/upstream/upstream_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/sip.h"

enum {
	WAYS = 8,
	SETS = 2048,
	LAME = 8192,
	MEMORY_MS = 900000,
	UNKNOWN_MS = 376, /* a server that is not known, until it is late */
	PATIENCE_LEAST_MS = 50,
	PATIENCE_MOST_MS = 10000,
	FAILS_MOST = 7,
	FORGIVE_MS = 20000, /* a failure is forgotten after so long: the server is tried again */
};

struct lame {
	uint64_t tag, until; /* clock_mono() */
};

static struct server table[SETS][WAYS];
static struct lame lame[LAME];
static uint8_t secret[SIP_KEY];
static bool drawn;

static const uint8_t *key(void)
{
	if (!drawn)
		id_random(secret, sizeof(secret));
	drawn = true;
	return secret;
}

size_t server_key(const struct sockaddr *sa, uint8_t out[SERVER_KEY])
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)sa;
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)sa;
	memset(out, 0, SERVER_KEY);
	out[18] = (uint8_t)sa->sa_family;
	if (sa->sa_family == AF_INET6) {
		memcpy(out, &six->sin6_addr, 16);
		memcpy(out + 16, &six->sin6_port, 2);
	} else {
		memcpy(out, &four->sin_addr, 4);
		memcpy(out + 16, &four->sin_port, 2);
	}
	return SERVER_KEY;
}

static bool is(const struct server *v, const uint8_t k[SERVER_KEY])
{
	return v->family == k[18] && memcmp(v->addr, k, 16) == 0 &&
	       memcmp(&v->port, k + 16, 2) == 0;
}

static struct server *find(const struct sockaddr *sa, uint8_t k[SERVER_KEY], uint64_t now,
			   struct server **victim)
{
	struct server *set = table[sip13(key(), k, server_key(sa, k)) % SETS];
	*victim = NULL;
	for (int i = 0; i < WAYS; i++) {
		struct server *v = &set[i];
		if (v->family && !v->under_way && now - v->used > MEMORY_MS) {
			v->family = 0;
			upstream_stats.servers--;
		}
		if (is(v, k))
			return v;
		if (!v->under_way &&
		    (!*victim || !v->family || ((*victim)->family && v->used < (*victim)->used)))
			*victim = v;
	}
	return NULL;
}

struct server *server_get(const struct sockaddr *sa, uint64_t now)
{
	uint8_t k[SERVER_KEY];
	struct server *victim, *v = find(sa, k, now, &victim);
	if (!v && victim) {
		v = victim;
		upstream_stats.servers += !v->family;
		*v = (struct server){.family = k[18]};
		memcpy(v->addr, k, 16);
		memcpy(&v->port, k + 16, 2);
	}
	if (!v)
		return NULL;
	v->used = now;
	if (now > v->until)
		v->no_edns = v->no_cookie = v->plain_case = false;
	return v;
}

void server_answered(struct server *v, uint32_t us)
{
	v->fails = 0;
	us += !us;
	if (!v->srtt) {
		v->srtt = us;
		v->var = us / 2;
		return;
	}
	uint32_t off = v->srtt > us ? v->srtt - us : us - v->srtt;
	v->var = v->var - v->var / 4 + off / 4;
	v->srtt = v->srtt - v->srtt / 8 + us / 8;
	v->srtt += !v->srtt;
}

void server_failed(struct server *v, uint64_t now)
{
	if (v->fails < FAILS_MOST)
		v->fails++;
	v->failed = now;
}

void server_note(struct server *v, bool *fact, uint64_t now)
{
	*fact = true;
	v->until = now + MEMORY_MS;
}

void server_cookie(struct server *v, struct slice cookie)
{
	v->cookie_len = 0;
	if (cookie.len <= COOKIE_CLIENT || cookie.len > COOKIE_MOST)
		return;
	v->cookie_len = (uint8_t)(cookie.len - COOKIE_CLIENT);
	memcpy(v->cookie, cookie.p + COOKIE_CLIENT, v->cookie_len);
}

static uint32_t expected(const struct server *v, uint64_t now)
{
	uint64_t ms =
	    v->srtt ? ((uint64_t)v->srtt + 4 * (uint64_t)v->var + 999) / 1000 : UNKNOWN_MS;
	uint64_t forgiven = (now - v->failed) / FORGIVE_MS;
	if (v->fails > forgiven) {
		if (ms < PATIENCE_LEAST_MS)
			ms = PATIENCE_LEAST_MS;
		ms <<= v->fails - forgiven;
	}
	return ms > PATIENCE_MOST_MS ? PATIENCE_MOST_MS : (uint32_t)ms;
}

uint32_t server_patience(const struct server *v, uint64_t now)
{
	uint32_t ms = expected(v, now);
	return ms < PATIENCE_LEAST_MS ? PATIENCE_LEAST_MS : ms;
}

uint32_t upstream_expect(const struct sockaddr *sa)
{
	uint8_t k[SERVER_KEY];
	uint64_t now = clock_mono();
	struct server *victim, *v = find(sa, k, now, &victim);
	return v ? expected(v, now) : UNKNOWN_MS;
}

void server_client_cookie(const struct sockaddr *sa, uint8_t out[COOKIE_CLIENT])
{
	uint8_t k[SERVER_KEY];
	size_t n = server_key(sa, k);
	k[19] = 'c'; /* apart from the hash that finds the place */
	uint64_t h = sip24(key(), k, n);
	memcpy(out, &h, COOKIE_CLIENT);
}

static struct lame *lame_at(const struct sockaddr *sa, const uint8_t *zone, uint64_t *tag)
{
	uint8_t k[SERVER_KEY + DNS_NAME_MAX];
	size_t n = server_key(sa, k), len = dns_name_len(zone);
	memcpy(k + n, zone, len);
	dns_name_lower(k + n);
	*tag = sip24(key(), k, n + len);
	return &lame[*tag % LAME];
}

void upstream_lame(const struct sockaddr *sa, const uint8_t *zone, uint32_t ms)
{
	uint64_t tag;
	struct lame *l = lame_at(sa, zone, &tag);
	*l = (struct lame){tag, clock_mono() + ms};
}

bool upstream_is_lame(const struct sockaddr *sa, const uint8_t *zone)
{
	uint64_t tag;
	const struct lame *l = lame_at(sa, zone, &tag);
	return l->tag == tag && l->until > clock_mono();
}

void upstream_forget(void)
{
	for (int i = 0; i < SETS; i++)
		for (int j = 0; j < WAYS; j++) {
			struct server *v = &table[i][j];
			struct server keep = {.family = v->family,
					      .port = v->port,
					      .under_way = v->under_way,
					      .used = v->used};
			memcpy(keep.addr, v->addr, sizeof(keep.addr));
			*v = v->under_way ? keep : (struct server){0};
		}
	memset(lame, 0, sizeof(lame));
	upstream_stats.servers = 0;
}
