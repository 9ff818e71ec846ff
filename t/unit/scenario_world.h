/* The internet of a scenario: zones, images of them, servers that answer out of these or as they
 * are told to. Stands in for upstream.c: nothing is sent. */
#ifndef T_SCENARIO_WORLD_H
#define T_SCENARIO_WORLD_H
#include <arpa/inet.h>
#include "dnsd/resolve/resolve.h"
#include "dnsd/upstream/forward.h"
#include "dnsd/upstream/upstream.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "libcommon/net/stream.h"
#include "t/unit/dnsd_signer.h"
#include "t/unit/dnsd_zone.h"

enum {
	WORLD_ZONES = 24,
	WORLD_SERVERS = 64,
	WORLD_REPLIES = 64,
	WORLD_LOG = 1000,
	WORLD_FORWARDS = 8,
	WORLD_TURNS = 20, /* of the loop, that a slow server's answer takes */
	WORLD_DAY = 86400,
};
struct world_zone {
	char name[256];
	struct buf text;
	bool is_signed, nsec3, expired, future;
	unsigned key; /* number of the key that signs it */
	struct image *image;
};
enum behaviour { ANSWERS, SILENT, SLOW, UNREACHABLE, BROKEN, REFUSES, FAILS, RESOLVER };
struct world_edit { /* of a server's responses */
	bool strip, spoil;
	uint16_t type; /* records of that type, or with `signatures` those over it; 0: of all */
	bool signatures;
};
struct world_server {
	char ip[64];
	struct zones *zones;
	enum behaviour behaviour;
	uint32_t expect;
	struct world_edit edit[8];
	unsigned edits;
	bool lame[WORLD_ZONES + 1];
};
struct world_reply { /* canned */
	char ip[64];
	uint8_t name[DNS_NAME_MAX];
	uint16_t type; /* 0: any */
	uint16_t flags, rcode;
	struct buf records; /* "an NAME TTL TYPE DATA" */
};
struct world_lame {
	char ip[64];
	uint8_t zone[DNS_NAME_MAX];
};
struct world_forward {
	struct forward f;
	struct forward_server server[4];
};
struct world_sent {
	char ip[64], name[256], type[DNS_TYPE_TEXT];
	bool priming;
};
static struct {
	struct world_zone zone[WORLD_ZONES];
	struct world_server server[WORLD_SERVERS];
	struct world_reply reply[WORLD_REPLIES];
	struct world_lame lame[64];
	struct world_sent sent[WORLD_LOG];
	struct world_forward forward[WORLD_FORWARDS];
	unsigned forwards;
	struct zones *own; /* of the resolver's own process */
	unsigned zones, servers, replies, lames, log;
	unsigned in_flight, most_in_flight;
} world;

/* --- zones -------------------------------------------------------------------------------------
 */
static inline struct world_zone *world_zone(const char *name)
{
	for (unsigned i = 0; i < world.zones; i++)
		if (strcmp(world.zone[i].name, name) == 0)
			return &world.zone[i];
	return NULL;
}

static inline const uint8_t *world_name(const char *text)
{
	static uint8_t wire[8][DNS_NAME_MAX];
	static unsigned at;
	uint8_t *out = wire[at++ % 8];
	if (!dns_name_from_text(slice_of(text), out)) {
		fprintf(stderr, "no name: %s\n", text);
		abort();
	}
	dns_name_lower(out);
	return out;
}

/* Its DS record, of the key with that number. */
static inline void world_ds(const char *zone, unsigned key, struct buf *out)
{
	struct sign_key k;
	uint8_t ds[SIGN_DS];
	signer_make(key, &k);
	sign_ds(world_name(zone), k.dnskey, ds);
	dns_rdata_text(DNS_DS, ds, sizeof(ds), out);
}

static inline struct image *world_image(struct world_zone *z)
{
	uint64_t now = clock_sec();
	struct sign s = {.now = z->expired  ? now - 60 * WORLD_DAY
				: z->future ? now + 60 * WORLD_DAY
					    : now,
			 .lifetime = 14 * WORLD_DAY,
			 .refresh = 5 * WORLD_DAY,
			 .nsec3 = z->nsec3,
			 .batch = signer_batch};
	struct image_options o = {.lenient = true, .sign = z->is_signed ? sign_zone : NULL};
	char path[32];
	const char *why;
	if (z->image)
		return z->image;
	o.sign_arg = &s;
	snprintf(path, sizeof(path), "image%u", (unsigned)(z - world.zone));
	signer_make(z->key, &s.key[s.keys++]);
	struct image_maker *m = image_make(zone_folder, path, world_name(z->name), &o);
	struct slice rest = buf_slice(&z->text);
	while (rest.len)
		if (!zone_line(m, world_name(z->name), slice_cut(&rest, '\n')))
			abort();
	if (!image_finish(m, NULL, zone_print, NULL) ||
	    !(z->image = image_open(zone_folder, path, &why))) {
		fprintf(stderr, "zone %s cannot be made\n", z->name);
		abort();
	}
	unlinkat(zone_folder, path, 0);
	return z->image;
}

/* --- servers -----------------------------------------------------------------------------------
 */
static inline struct world_server *world_server(const char *ip)
{
	for (unsigned i = 0; i < world.servers; i++)
		if (strcmp(world.server[i].ip, ip) == 0)
			return &world.server[i];
	if (world.servers == WORLD_SERVERS)
		abort();
	struct world_server *s = &world.server[world.servers++];
	memset(s, 0, sizeof(*s));
	snprintf(s->ip, sizeof(s->ip), "%s", ip);
	s->expect = 50;
	s->zones = zones_new();
	return s;
}

static inline void world_address(const char *ip, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1)
		v4->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1)
		v6->sin6_family = AF_INET6;
	else
		abort();
	v4->sin_port = htons(53);
}

static inline void world_end(void)
{
	forward_forget();
	if (world.own)
		zones_free(&world.own);
	for (unsigned i = 0; i < world.servers; i++)
		zones_free(&world.server[i].zones);
	for (unsigned i = 0; i < world.zones; i++) {
		image_close(&world.zone[i].image);
		buf_free(&world.zone[i].text);
	}
	for (unsigned i = 0; i < world.replies; i++)
		buf_free(&world.reply[i].records);
	memset(&world, 0, sizeof(world));
}

/* --- what servers answer -----------------------------------------------------------------------
 */
static inline bool world_edited(const struct world_edit *e, uint16_t type, uint16_t covered)
{
	if (e->signatures)
		return type == DNS_RRSIG && (!e->type || e->type == covered);
	return !e->type || e->type == type;
}

/* Writes the response anew, without what is stripped, with what is spoilt. */
static inline size_t world_edit(const struct world_server *s, const uint8_t *pkt, size_t len,
				const uint8_t *name, uint16_t type, uint8_t *out)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	uint8_t owner[DNS_NAME_MAX];
	struct dns_iter it;
	struct dns_header h;
	struct dns_rr rr;
	struct dns_out o;
	size_t n, at;
	dns_iter_init(&it, pkt, len, &h);
	dns_out_init(&o, out, DNS_MSG_MAX, h.id, h.flags);
	dns_out_question(&o, name, type);
	while (dns_iter_rr(&it, &rr)) {
		bool strip = rr.type == DNS_OPT, spoil = false;
		at = rr.owner;
		dns_name_read(pkt, len, &at, owner);
		if (!strip && !dns_rdata_read(pkt, len, &rr, rdata, &n))
			abort();
		uint16_t covered = rr.type == DNS_RRSIG ? dns_u16(rdata) : 0;
		for (unsigned i = 0; i < s->edits; i++) {
			bool hit = world_edited(&s->edit[i], rr.type, covered);
			strip |= hit && s->edit[i].strip;
			spoil |= hit && s->edit[i].spoil;
		}
		if (strip)
			continue;
		if (spoil)
			rdata[n - 1] ^= 1;
		size_t open = dns_out_rr(&o, rr.section, owner, rr.type, rr.ttl);
		dns_out_bytes(&o, rdata, n);
		dns_out_rr_end(&o, open);
	}
	return o.len;
}

static inline void world_canned_record(struct dns_out *o, struct slice line)
{
	static uint8_t rdata[DNS_RDATA_MAX];
	struct dns_word word[ZONE_WORDS];
	struct slice section = slice_word(&line);
	uint8_t owner[DNS_NAME_MAX];
	const char *why = "";
	uint32_t ttl;
	uint16_t type;
	size_t n = zone_words(line, word), len, bad;
	const uint8_t *root = (const uint8_t *)"";
	if (n < 3 || !dns_name_from_zone(word[0].text, root, owner, &why) ||
	    !str_u32(word[1].text, &ttl) || !(type = dns_type_from_text(word[2].text)) ||
	    !dns_rdata_from_text(type, word + 3, n - 3, root, rdata, &len, &why, &bad)) {
		fprintf(stderr, "canned record: %.*s: %s\n", SLICE_FMT(line), why);
		abort();
	}
	size_t open = dns_out_rr(o,
				 slice_eqs(section, "an")   ? DNS_ANSWER
				 : slice_eqs(section, "ns") ? DNS_AUTHORITY
							    : DNS_ADDITIONAL,
				 owner, type, ttl);
	dns_out_bytes(o, rdata, len);
	dns_out_rr_end(o, open);
}

static inline size_t world_canned(const struct world_reply *r, const uint8_t *name, uint16_t type,
				  uint8_t *out)
{
	struct dns_out o;
	struct slice rest = buf_slice(&r->records);
	dns_out_init(&o, out, DNS_MSG_MAX, 0, (uint16_t)(DNS_QR | r->flags | (r->rcode & 15)));
	dns_out_question(&o, name, type);
	while (rest.len)
		world_canned_record(&o, slice_cut(&rest, '\n'));
	return o.len;
}

/* --- resolve_own() -----------------------------------------------------------------------------
 */
static inline const uint8_t *world_own_zone(const uint8_t *name)
{
	const struct zone *z = zones_find(world.own, name, dns_name_len(name));
	return z ? z->name : NULL;
}

static inline size_t world_own_answer(const uint8_t *query, size_t len, uint8_t *out, size_t cap)
{
	struct query q;
	struct answer_conf conf = {.udp_size = 1232};
	struct answer_way way = {.now = (uint32_t)clock_sec(), .stream = true};
	struct answer_info info;
	query_read(&q, query, len);
	return answer_query(world.own, &conf, &q, &way, out, cap, &info);
}
static const struct resolve_own world_own = {world_own_zone, world_own_answer};

static inline size_t world_answer(const struct world_server *s, const uint8_t *name, uint16_t type,
				  uint8_t *out)
{
	static uint8_t pkt[DNS_MSG_MAX];
	uint8_t ask[DNS_QUERY_MAX];
	struct dns_query dq = {.type = type, .edns_size = 1232, .dnssec_ok = true};
	struct query q;
	struct answer_conf conf = {.udp_size = 1232, .additional = true};
	struct answer_way way = {.now = (uint32_t)clock_sec(), .stream = true};
	struct answer_info info;
	uint16_t flags = s->behaviour == REFUSES ? DNS_REFUSED
			 : s->behaviour == FAILS ? DNS_SERVFAIL
						 : 0;
	for (unsigned i = 0; i < world.replies; i++) {
		struct world_reply *r = &world.reply[i];
		if (strcmp(r->ip, s->ip) == 0 && dns_name_eq(r->name, name) &&
		    (!r->type || r->type == type))
			return world_canned(r, name, type, out);
	}
	if (flags) {
		struct world_reply r = {.flags = flags};
		return world_canned(&r, name, type, out);
	}
	query_read(&q, ask, dns_query(ask, name, &dq));
	size_t len = answer_query(s->zones, &conf, &q, &way, pkt, sizeof(pkt), &info);
	if (s->behaviour == RESOLVER) /* no AA, but RA */
		pkt[2] &= (uint8_t)~4, pkt[3] |= 0x80;
	return world_edit(s, pkt, len, name, type, out);
}

/* --- upstream.h --------------------------------------------------------------------------------
 */
struct upstream {
	struct upstream_question q;
	struct world_server *server;
	upstream_fn *fn;
	void *arg;
	unsigned turns;
	bool cancelled, told;
};
struct upstream_stats upstream_stats;

static inline void world_fire(void *arg)
{
	static uint8_t pkt[DNS_MSG_MAX];
	struct upstream *u = arg;
	struct upstream_answer a = {.outcome = UPSTREAM_ANSWER, .ms = 1};
	enum behaviour b = u->server ? u->server->behaviour : UNREACHABLE;
	if (u->cancelled) {
		free(u);
		return;
	}
	if ((b == SILENT || b == SLOW) && u->turns++ < WORLD_TURNS) {
		loop_defer(world_fire, u);
		if (u->told)
			return;
		u->told = true;
		a.outcome = UPSTREAM_LATE;
		u->fn(u->arg, &a);
		return;
	}
	world.in_flight--;
	if (b == SILENT)
		a.outcome = UPSTREAM_TIMEOUT;
	else if (b == UNREACHABLE)
		a.outcome = UPSTREAM_UNREACHABLE;
	else if (b == BROKEN)
		a.outcome = UPSTREAM_BAD;
	else
		a.len = world_answer(u->server, u->q.name, u->q.type, pkt);
	a.pkt = pkt;
	u->fn(u->arg, &a);
	free(u);
}

struct upstream *upstream_ask(const struct upstream_question *q, upstream_fn *fn, void *arg)
{
	struct upstream *u = mem_alloc(sizeof(*u));
	char name[DNS_NAME_TEXT], ip[INET6_ADDRSTRLEN];
	*u = (struct upstream){.q = *q, .fn = fn, .arg = arg};
	stream_ip_text(q->to, ip);
	for (unsigned i = 0; i < world.servers; i++)
		if (strcmp(world.server[i].ip, ip) == 0)
			u->server = &world.server[i];
	if (world.log < WORLD_LOG) {
		struct world_sent *s = &world.sent[world.log++];
		dns_name_text(name, q->name);
		snprintf(s->name, sizeof(s->name), "%.255s", name);
		snprintf(s->ip, sizeof(s->ip), "%s", ip);
		dns_type_text(q->type, s->type);
		s->priming = q->type == DNS_NS && *q->name == 0;
	}
	if (++world.in_flight > world.most_in_flight)
		world.most_in_flight = world.in_flight;
	loop_defer(world_fire, u);
	return u;
}

void upstream_cancel(struct upstream **u)
{
	if (*u) {
		(*u)->cancelled = true;
		world.in_flight--;
	}
	*u = NULL;
}

const char *upstream_outcome_text(enum upstream_outcome o)
{
	static const char *const text[] = {"answered",  "late",          "timed out", "unreachable",
					   "untrusted", "speaks no DNS", "too many"};
	return text[o];
}

uint32_t upstream_expect(const struct sockaddr *server)
{
	char ip[INET6_ADDRSTRLEN];
	stream_ip_text(server, ip);
	for (unsigned i = 0; i < world.servers; i++)
		if (strcmp(world.server[i].ip, ip) == 0)
			return world.server[i].expect;
	return 50;
}

void upstream_lame(const struct sockaddr *server, const uint8_t *zone, uint32_t ms)
{
	(void)ms;
	if (world.lames == 64)
		return;
	struct world_lame *l = &world.lame[world.lames++];
	stream_ip_text(server, l->ip);
	memcpy(l->zone, zone, dns_name_len(zone));
}

bool upstream_is_lame(const struct sockaddr *server, const uint8_t *zone)
{
	char ip[INET6_ADDRSTRLEN];
	stream_ip_text(server, ip);
	for (unsigned i = 0; i < world.lames; i++)
		if (strcmp(world.lame[i].ip, ip) == 0 && dns_name_eq(world.lame[i].zone, zone))
			return true;
	return false;
}

void upstream_forget(void)
{
	world.lames = 0;
}
#endif
