/* Plays a scenario, t/scenario/NAME.txt, against dnsd's resolver. The format:
 *
 * # a comment. Words are separated by spaces. An indented line belongs to the one before it that is
 * not indented. First the world, then what happens in it.
 *
 * zone NAME [signed] [nsec3] [expired] [future] [key N]
 *     OWNER TTL TYPE DATA            relative to the zone, "@" is the zone; SOA is added if missing
 *     ds ZONE [key N]                the DS record of a zone's key (that of `zone ZONE`, or key N)
 * server ADDRESS [ZONE ...]          authoritative for these zones
 * behave ADDRESS answers|silent|slow|unreachable|broken|refuses|fails|resolver
 *                                    slow: told late, then an answer; resolver: RA without AA
 * expect ADDRESS MS                  what the resolver believes to know of its speed (50)
 * strip ADDRESS TYPE|all             leaves records of that type out of its responses
 * strip-signatures ADDRESS TYPE|all  ... the RRSIGs over it
 * spoil ADDRESS TYPE|all, spoil-signatures ADDRESS TYPE|all
 *                                    turns the last bit of their data
 * straight ADDRESS                   undoes strip and spoil
 * reply ADDRESS NAME TYPE|* [aa] [ra] [tc] [RCODE]
 *                                    a canned response, before what its zones would say
 *     an|ns|ar OWNER TTL TYPE DATA   names absolute
 * unreply ADDRESS NAME TYPE|*
 * root NAME ADDRESS                  a root hint
 * anchor ZONE [key N]                a trust anchor; none: nothing is validated
 * negative ZONE                      a negative trust anchor
 * forward ZONE [stub] [first] ADDRESS ...
 * own ZONE                           served by the resolver's own process
 * aggressive                         proofs answer for other names (RFC 8198)
 * families 4|6|46                    of addresses that the resolver may use
 *
 * serve ADDRESS ZONE, unserve ADDRESS ZONE: later changes of what a server has
 * advance SECONDS                    moves the clock
 * flush [NAME]                       empties the cache (of the name and what is below)
 * forget                             what is known of servers
 * ask NAME TYPE [cd] [renew] [apart] [times N]
 *                                    resolves it (N times at once), then checks:
 *     rcode RCODE
 *     security secure|insecure|indeterminate|bogus|unchecked
 *     answer NAME TTL|* TYPE DATA    a record of the answer. When there is one such line, all have
 *                                    to be given; RRSIGs do not count
 *     empty                          no records
 *     proof TYPE                     a record of that type is in the last part's authority section
 *     ede N|none
 *     why TEXT                       part of the reason
 *     queries N | queries N-M        questions sent, priming (. NS) not counted
 *     sent ADDRESS NAME TYPE         it was; "*" in place of each of them: any
 *     unsent ADDRESS NAME TYPE
 *     parallel N                     most exchanges at a time
 * cached NAME TYPE [cd] [stale]      the same from the cache alone; `missing` when it is not there
 */
#ifndef T_SCENARIO_PLAY_H
#define T_SCENARIO_PLAY_H
#include <fcntl.h>
#include <sys/mman.h>
#include "dnsd/resolve/resolve.h"
#include "dnsd/resolve/explain.h"
#include "dnsd/validate/anchor.h"
#include "t/unit/scenario_world.h"

enum { PLAY_WORDS = 64, PLAY_TEXT = 65536 };
static struct {
	const char *file;
	unsigned line;
	char *text; /* of the file */
	struct buf hints, anchors;
	struct cache *cache;
	struct anchors *trust;
	bool began;
	int64_t *clock;
	/* Of the question asked last. */
	bool asked, done, hit;
	unsigned answers;
	struct pool *pool;
	uint16_t rcode, ede;
	enum rrset_security security;
	char why[512];
	struct buf answer, proofs; /* lines */
	struct buf given;          /* the `answer` lines */
	bool told_answer, stale;
	struct explain explain;
} play;

static inline void play_fail(const char *what, const char *detail)
{
	fprintf(stderr, "%s:%u: %s%s%s\n", play.file, play.line, what, detail ? ": " : "",
		detail ? detail : "");
	if (play.answer.len)
		fprintf(stderr, "answer:\n%.*s", (int)play.answer.len, play.answer.p);
	if (play.asked)
		fprintf(stderr, "rcode %u security %d ede %u: %s\n%.*s", play.rcode,
			(int)play.security, play.ede, play.why, (int)play.explain.text.len,
			play.explain.text.p ? play.explain.text.p : "");
	fail();
}

static inline unsigned play_number(const char *w)
{
	uint32_t v = 0;
	if (!str_u32(slice_of(w), &v))
		play_fail("a number is wanted", w);
	return v;
}

static inline uint16_t play_type(const char *w)
{
	uint16_t t =
	    strcmp(w, "*") == 0 || strcmp(w, "all") == 0 ? 0 : dns_type_from_text(slice_of(w));
	if (!t && strcmp(w, "*") != 0 && strcmp(w, "all") != 0)
		play_fail("no type", w);
	return t;
}

static const char *const play_rcodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
					  "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
					  "NXRRSET", "NOTAUTH", "NOTZONE"};

static inline uint16_t play_rcode(const char *w)
{
	for (unsigned i = 0; i < sizeof(play_rcodes) / sizeof(play_rcodes[0]); i++)
		if (strcmp(play_rcodes[i], w) == 0)
			return (uint16_t)i;
	play_fail("no rcode", w);
	return 0;
}

/* --- the world ---------------------------------------------------------------------------------
 */
static inline void play_zone(char **w, unsigned n)
{
	if (n < 2 || world.zones == WORLD_ZONES)
		play_fail("zone NAME", NULL);
	struct world_zone *z = &world.zone[world.zones];
	*z = (struct world_zone){.key = world.zones++};
	snprintf(z->name, sizeof(z->name), "%s", w[1]);
	for (unsigned i = 2; i < n; i++) {
		if (strcmp(w[i], "signed") == 0)
			z->is_signed = true;
		else if (strcmp(w[i], "nsec3") == 0)
			z->nsec3 = true;
		else if (strcmp(w[i], "expired") == 0)
			z->expired = true;
		else if (strcmp(w[i], "future") == 0)
			z->future = true;
		else if (strcmp(w[i], "key") == 0 && i + 1 < n)
			z->key = play_number(w[++i]);
		else
			play_fail("of a zone is unknown", w[i]);
	}
}

/* Indented: `line` whole, w its words. */
static inline void play_zone_line(char *line)
{
	buf_printf(&world.zone[world.zones - 1].text, "%s\n", line);
}

static inline unsigned play_key(const char *zone, char **w, unsigned n)
{
	struct world_zone *z = world_zone(zone);
	if (n == 4 && strcmp(w[2], "key") == 0)
		return play_number(w[3]);
	if (!z)
		play_fail("no such zone", zone);
	return z ? z->key : 0;
}

static inline unsigned play_words(char *line, char **w)
{
	static char none[] = "";
	unsigned n = 0;
	for (char *p = strtok(line, " \t"); p && n < PLAY_WORDS; p = strtok(NULL, " \t"))
		w[n++] = p;
	for (unsigned i = n; i < PLAY_WORDS; i++)
		w[i] = none;
	return n;
}

/* "ds ZONE" becomes a record; the SOA is added. When all zones are known. */
static inline void play_finish_zone(struct world_zone *z)
{
	struct buf out = {0};
	bool soa = false;
	struct slice rest = buf_slice(&z->text);
	while (rest.len) {
		char line[4096], *w[PLAY_WORDS];
		struct slice l = slice_cut(&rest, '\n');
		snprintf(line, sizeof(line), "%.*s", SLICE_FMT(l));
		unsigned n = play_words(line, w);
		soa |= n > 2 && strcmp(w[2], "SOA") == 0;
		if (n > 1 && strcmp(w[0], "ds") == 0) {
			buf_printf(&out, "%s. 3600 DS ", w[1]);
			world_ds(w[1], play_key(w[1], w, n), &out);
			buf_addc(&out, '\n');
		} else {
			buf_printf(&out, "%.*s\n", SLICE_FMT(l));
		}
	}
	if (!soa)
		buf_adds(&out, "@ 3600 SOA ns. host. 1 3600 600 86400 300\n");
	buf_free(&z->text);
	z->text = out;
}

static inline void play_serve_zone(struct zones *to, const char *name)
{
	struct world_zone *z = world_zone(name);
	if (!z)
		play_fail("no such zone", name);
	else
		zones_set(to, world_name(name), world_image(z), 0);
}

static inline void play_serve(char **w, unsigned n, bool on)
{
	struct world_server *s = world_server(w[1]);
	for (unsigned i = 2; i < n; i++) {
		if (on)
			play_serve_zone(s->zones, w[i]);
		else
			zones_remove(s->zones, world_name(w[i]));
	}
}

static inline void play_behave(char **w)
{
	static const char *const name[] = {[ANSWERS] = "answers", [SILENT] = "silent",
					   [SLOW] = "slow",       [UNREACHABLE] = "unreachable",
					   [BROKEN] = "broken",   [REFUSES] = "refuses",
					   [FAILS] = "fails",     [RESOLVER] = "resolver"};
	for (unsigned i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (strcmp(name[i], w[2]) == 0) {
			world_server(w[1])->behaviour = (enum behaviour)i;
			return;
		}
	play_fail("no behaviour", w[2]);
}

static inline void play_edit(char **w, bool strip, bool signatures)
{
	struct world_server *s = world_server(w[1]);
	if (s->edits == 8)
		play_fail("too many edits", NULL);
	s->edit[s->edits++] = (struct world_edit){
	    .strip = strip, .spoil = !strip, .signatures = signatures, .type = play_type(w[2])};
}

static inline void play_reply(char **w, unsigned n)
{
	if (n < 4 || world.replies == WORLD_REPLIES)
		play_fail("reply ADDRESS NAME TYPE", NULL);
	struct world_reply *r = &world.reply[world.replies++];
	*r = (struct world_reply){.type = play_type(w[3])};
	snprintf(r->ip, sizeof(r->ip), "%s", world_server(w[1])->ip);
	memcpy(r->name, world_name(w[2]), dns_name_len(world_name(w[2])));
	for (unsigned i = 4; i < n; i++) {
		if (strcmp(w[i], "aa") == 0)
			r->flags |= DNS_AA;
		else if (strcmp(w[i], "ra") == 0)
			r->flags |= DNS_RA;
		else if (strcmp(w[i], "tc") == 0)
			r->flags |= DNS_TC;
		else
			r->rcode = play_rcode(w[i]);
	}
}

static inline void play_unreply(char **w)
{
	for (unsigned i = 0; i < world.replies; i++) {
		struct world_reply *r = &world.reply[i];
		if (strcmp(r->ip, w[1]) == 0 && dns_name_eq(r->name, world_name(w[2])) &&
		    r->type == play_type(w[3]))
			r->ip[0] = '\0';
	}
}

/* --- what happens ------------------------------------------------------------------------------
 */
static inline void play_begin(void)
{
	const char *why;
	struct cache_conf conf = {.octets = 4 << 20,
				  .ttl_most = WORLD_DAY,
				  .negative_most = 3600,
				  .failure_ttl = 5,
				  .stale = WORLD_DAY,
				  .prefetch = 10};
	if (play.anchors.len) {
		if (!play.trust)
			play.trust = anchors_new();
		if (!anchors_add_text(play.trust, buf_slice(&play.anchors), &why))
			play_fail("anchor", why);
		buf_clear(&play.anchors);
	}
	if (play.began) {
		resolve_anchors(play.trust);
		return;
	}
	play.began = true;
	play.cache = cache_new(&conf);
	resolve_start(play.cache);
	if (!resolve_hints(play.hints.len ? buf_cstr(&play.hints) : NULL, &why))
		play_fail("hints", why);
	resolve_anchors(play.trust);
}

static inline void play_collect(struct buf *out, const struct rrset *s)
{
	struct slice data = s->data, rdata;
	char name[DNS_NAME_TEXT], type[DNS_TYPE_TEXT];
	dns_name_text(name, s->owner);
	for (unsigned i = 0; i < s->n && rrset_next(&data, &rdata); i++) {
		buf_printf(out, "%s %u %s ", name, s->ttl, dns_type_text(s->type, type));
		dns_rdata_text(s->type, (const uint8_t *)rdata.p, rdata.len, out);
		buf_addc(out, '\n');
	}
}

static inline void play_proofs(const struct cached *c)
{
	const uint8_t *p = (const uint8_t *)c->extra.p, *end = p + c->extra.len;
	char type[DNS_TYPE_TEXT];
	for (; c->extras && p < end; p += 10 + dns_u16(p + 8)) {
		p += dns_name_len(p);
		buf_printf(&play.proofs, "%s\n", dns_type_text(dns_u16(p), type));
	}
}

static inline void play_take(void *arg, const struct resolved *r)
{
	(void)arg;
	play.done = true;
	play.answers++;
	play.rcode = r->rcode;
	play.ede = r->ede;
	play.security = r->security;
	play.stale = r->stale;
	snprintf(play.why, sizeof(play.why), "%s", r->why);
	for (unsigned i = 0; i < r->n; i++) {
		if (r->part[i].kind == CACHE_RRSET)
			play_collect(&play.answer, &r->part[i].set);
		play_proofs(&r->part[i]);
	}
}

static inline void play_count(void *arg, const struct resolved *r)
{
	(void)arg;
	(void)r;
	play.answers++;
}

/* The records that were given are those of the answer, in any order. */
static inline void play_check_answer(void)
{
	struct slice rest = buf_slice(&play.given);
	unsigned want = 0, have = 0;
	if (!play.told_answer)
		return;
	while (rest.len) {
		struct slice line = slice_cut(&rest, '\n'), all = buf_slice(&play.answer);
		struct slice name = slice_word(&line), ttl = slice_word(&line);
		bool found = false;
		while (all.len && !found) {
			struct slice l = slice_cut(&all, '\n');
			found = slice_eq(slice_word(&l), name);
			struct slice t = slice_word(&l);
			found = found && (slice_eqs(ttl, "*") || slice_eq(t, ttl)) &&
				slice_eq(slice_trim(l), slice_trim(line));
		}
		if (!found)
			play_fail("this is not in the answer", buf_cstr(&play.given));
		want++;
	}
	rest = buf_slice(&play.answer);
	while (rest.len) {
		slice_cut(&rest, '\n');
		have++;
	}
	if (want != have)
		play_fail("the answer has other records", buf_cstr(&play.given));
}

static inline void play_settle(void)
{
	for (unsigned i = 0; i < 4 * WORLD_TURNS; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
}

static inline void play_forget_ask(void)
{
	if (play.asked)
		play_check_answer();
	buf_clear(&play.answer);
	buf_clear(&play.proofs);
	buf_clear(&play.given);
	explain_end(&play.explain);
	play.asked = play.told_answer = play.done = false;
	world.log = world.most_in_flight = 0;
}

static inline void play_ask(char **w, unsigned n)
{
	play_begin();
	if (n < 3)
		play_fail("ask NAME TYPE", NULL);
	struct resolve_ask q = {.name = world_name(w[1]), .type = play_type(w[2])};
	unsigned times = 1;
	for (unsigned i = 3; i < n; i++) {
		q.checking_disabled |= strcmp(w[i], "cd") == 0;
		q.renew |= strcmp(w[i], "renew") == 0;
		q.apart |= strcmp(w[i], "apart") == 0;
		if (strcmp(w[i], "times") == 0)
			times = play_number(w[i + 1]);
	}
	play.asked = true;
	play.answers = 0;
	explain_begin(&play.explain);
	for (unsigned i = 1; i < times; i++)
		resolve(&q, play_count, NULL);
	q.explain = &play.explain;
	resolve(&q, play_take, NULL);
	for (unsigned i = 0; i < 100000 && play.answers < times; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	if (play.answers < times)
		play_fail("no end of it", w[1]);
	play_settle();
}

static inline void play_cached(char **w, unsigned n)
{
	play_begin();
	bool cd = false, stale = false;
	for (unsigned i = 3; i < n; i++) {
		cd |= strcmp(w[i], "cd") == 0;
		stale |= strcmp(w[i], "stale") == 0;
	}
	struct resolve_ask q = {
	    .name = world_name(w[1]), .type = play_type(w[2]), .checking_disabled = cd};
	static struct resolved out;
	play.asked = true;
	play.hit = resolve_cached(&q, clock_sec(), stale, &out);
	if (play.hit)
		play_take(NULL, &out);
}

static inline bool play_matches(const char *pattern, const char *is)
{
	return strcmp(pattern, "*") == 0 || strcasecmp(pattern, is) == 0;
}

static inline unsigned play_sent(char **w)
{
	unsigned n = 0;
	for (unsigned i = 0; i < world.log; i++) {
		const struct world_sent *s = &world.sent[i];
		n += play_matches(w[1], s->ip) && play_matches(w[2], s->name) &&
		     play_matches(w[3], s->type);
	}
	return n;
}

static inline void play_queries(const char *w)
{
	unsigned n = 0, least, most;
	char text[32];
	for (unsigned i = 0; i < world.log; i++)
		n += !world.sent[i].priming;
	if (sscanf(w, "%u-%u", &least, &most) != 2)
		least = most = play_number(w);
	snprintf(text, sizeof(text), "%u", n);
	if (n < least || n > most)
		play_fail("questions sent", text);
}

static inline void play_check(char **w, unsigned n, const char *line)
{
	static const char *const security[] = {"unchecked", "bogus", "indeterminate", "insecure",
					       "secure"};
	char text[64];
	const char *c = w[0];
	if (!play.asked)
		play_fail("nothing was asked", NULL);
	if (strcmp(c, "missing") == 0) {
		if (play.hit)
			play_fail("it is in the cache", NULL);
		return;
	}
	if (!play.done)
		play_fail("it is not in the cache", NULL);
	if (strcmp(c, "rcode") == 0 && n == 2) {
		if (play.rcode != play_rcode(w[1]))
			play_fail("rcode", play_rcodes[play.rcode % 11]);
	} else if (strcmp(c, "security") == 0 && n == 2) {
		if (strcmp(security[play.security], w[1]) != 0)
			play_fail("security", security[play.security]);
	} else if (strcmp(c, "answer") == 0) {
		play.told_answer = true;
		buf_printf(&play.given, "%s\n", line + strlen("answer "));
	} else if (strcmp(c, "empty") == 0) {
		play.told_answer = true;
	} else if (strcmp(c, "stale") == 0) {
		if (!play.stale)
			play_fail("it is not stale", NULL);
	} else if (strcmp(c, "proof") == 0 && n == 2) {
		snprintf(text, sizeof(text), "%s\n", w[1]);
		if (!strstr(buf_cstr(&play.proofs), text))
			play_fail("no such proof", buf_cstr(&play.proofs));
	} else if (strcmp(c, "ede") == 0 && n == 2) {
		snprintf(text, sizeof(text), "%u", play.ede);
		if (play.ede != (strcmp(w[1], "none") == 0 ? RESOLVE_NO_EDE : play_number(w[1])))
			play_fail("ede", text);
	} else if (strcmp(c, "why") == 0) {
		if (!strstr(play.why, line + strlen("why ")))
			play_fail("why", play.why);
	} else if (strcmp(c, "queries") == 0 && n == 2) {
		play_queries(w[1]);
	} else if (strcmp(c, "sent") == 0 && n == 4) {
		if (!play_sent(w))
			play_fail("it was not sent", line);
	} else if (strcmp(c, "unsent") == 0 && n == 4) {
		if (play_sent(w))
			play_fail("it was sent", line);
	} else if (strcmp(c, "parallel") == 0 && n == 2) {
		snprintf(text, sizeof(text), "%u", world.most_in_flight);
		if (world.most_in_flight != play_number(w[1]))
			play_fail("exchanges at a time", text);
	} else {
		play_fail("unknown check", line);
	}
}

static inline void play_anchor(char **w, unsigned n)
{
	buf_printf(&play.anchors, "%s. 3600 IN DS ", strcmp(w[1], ".") == 0 ? "" : w[1]);
	world_ds(w[1], play_key(w[1], w, n), &play.anchors);
	buf_addc(&play.anchors, '\n');
}

static inline void play_negative(char **w)
{
	if (!play.trust)
		play.trust = anchors_new();
	if (!anchors_add_negative(play.trust, world_name(w[1])))
		play_fail("negative", w[1]);
}

static inline void play_forward(char **w, unsigned n)
{
	struct world_forward *f = &world.forward[world.forwards];
	if (world.forwards == WORLD_FORWARDS)
		play_fail("too many forwards", NULL);
	world.forwards++;
	memcpy(f->f.zone, world_name(w[1]), dns_name_len(world_name(w[1])));
	for (unsigned i = 2; i < n; i++) {
		if (strcmp(w[i], "stub") == 0)
			f->f.stub = true;
		else if (strcmp(w[i], "first") == 0)
			f->f.first = true;
		else if (f->f.n < 4)
			world_address(w[i], &f->server[f->f.n++].addr);
	}
	f->f.server = f->server;
	forward_add(0, &f->f);
}

static inline void play_own(char **w)
{
	play_begin();
	if (!world.own)
		world.own = zones_new();
	play_serve_zone(world.own, w[1]);
	resolve_own(&world_own);
}

static inline void play_root(char **w)
{
	buf_printf(&play.hints, ". 3600 IN NS %s.\n%s. 3600 IN %s %s\n", w[1], w[1],
		   strchr(w[2], ':') ? "AAAA" : "A", w[2]);
}

static inline bool play_world_line(char **w, unsigned n)
{
	const char *c = w[0];
	if (strcmp(c, "zone") == 0)
		play_zone(w, n);
	else if (strcmp(c, "server") == 0 && n > 1)
		play_serve(w, n, true);
	else if (strcmp(c, "serve") == 0 && n > 1)
		play_serve(w, n, true);
	else if (strcmp(c, "unserve") == 0 && n > 1)
		play_serve(w, n, false);
	else if (strcmp(c, "behave") == 0 && n == 3)
		play_behave(w);
	else if (strcmp(c, "expect") == 0 && n == 3)
		world_server(w[1])->expect = play_number(w[2]);
	else if (strncmp(c, "strip", 5) == 0 && n == 3)
		play_edit(w, true, strcmp(c, "strip-signatures") == 0);
	else if (strncmp(c, "spoil", 5) == 0 && n == 3)
		play_edit(w, false, strcmp(c, "spoil-signatures") == 0);
	else if (strcmp(c, "straight") == 0 && n == 2)
		world_server(w[1])->edits = 0;
	else if (strcmp(c, "reply") == 0)
		play_reply(w, n);
	else if (strcmp(c, "unreply") == 0 && n == 4)
		play_unreply(w);
	else if (strcmp(c, "root") == 0 && n == 3)
		play_root(w);
	else if (strcmp(c, "anchor") == 0 && n > 1)
		play_anchor(w, n);
	else if (strcmp(c, "forward") == 0 && n > 2)
		play_forward(w, n);
	else if (strcmp(c, "own") == 0 && n == 2)
		play_own(w);
	else if (strcmp(c, "negative") == 0 && n == 2)
		play_negative(w);
	else
		return false;
	return true;
}

static inline void play_flush(const uint8_t *name)
{
	cache_flush(play.cache, name, 0, true);
	resolve_flush(name);
}

static inline void play_line(char **w, unsigned n)
{
	const char *c = w[0];
	play_forget_ask();
	if (play_world_line(w, n))
		return;
	if (strcmp(c, "aggressive") == 0) {
		play_begin();
		resolve_aggressive(1 << 20);
	} else if (strcmp(c, "families") == 0 && n == 2)
		resolve_families(strchr(w[1], '4') != NULL, strchr(w[1], '6') != NULL);
	else if (strcmp(c, "advance") == 0 && n == 2)
		*play.clock += (int64_t)play_number(w[1]) * 1000;
	else if (strcmp(c, "flush") == 0)
		play_flush(n > 1 ? world_name(w[1]) : (const uint8_t *)"");
	else if (strcmp(c, "forget") == 0)
		upstream_forget();
	else if (strcmp(c, "ask") == 0)
		play_ask(w, n);
	else if (strcmp(c, "cached") == 0)
		play_cached(w, n);
	else
		play_fail("unknown", c);
}

/* --- files -------------------------------------------------------------------------------------
 */
/* One pass over the file: the zones, or all the rest: zones may name each other. */
static inline void play_pass(bool zones)
{
	char *copy = strdup(play.text), *rest = copy, *line, *w[PLAY_WORDS];
	enum { TOP, ZONE, REPLY, CHECK } in = TOP;
	play.line = 0;
	while ((line = strsep(&rest, "\n"))) {
		char whole[4096];
		play.line++;
		bool indented = *line == ' ' || *line == '\t';
		line += strspn(line, " \t");
		if (!*line || *line == '#')
			continue;
		snprintf(whole, sizeof(whole), "%s", line);
		unsigned n = play_words(line, w);
		if (!indented)
			in = strcmp(w[0], "zone") == 0    ? ZONE
			     : strcmp(w[0], "reply") == 0 ? REPLY
							  : CHECK;
		if (zones != (in == ZONE))
			continue;
		if (!indented && in == ZONE)
			play_zone(w, n);
		else if (!indented)
			play_line(w, n);
		else if (in == ZONE)
			play_zone_line(whole);
		else if (in == REPLY)
			buf_printf(&world.reply[world.replies - 1].records, "%s\n", whole);
		else
			play_check(w, n, whole);
	}
	free(copy);
}

static inline char *play_read(const char *path)
{
	char *text = mem_alloc(PLAY_TEXT);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, PLAY_TEXT - 1);
	if (n < 0)
		play_fail("cannot be read", path);
	close(fd);
	return text;
}

static inline void play_file(const char *path)
{
	play.file = path;
	play.text = play_read(path);
	*play.clock = 0;
	resolve_families(true, true);
	play_pass(true);
	for (unsigned i = 0; i < world.zones; i++)
		play_finish_zone(&world.zone[i]);
	play_pass(false);
	play_forget_ask();
}

/* Also after a scenario that failed. */
static inline void play_end(void)
{
	if (play.began)
		resolve_stop();
	play_settle();
	cache_free(&play.cache);
	anchors_free(&play.trust);
	play.trust = NULL;
	explain_end(&play.explain);
	buf_free(&play.hints);
	buf_free(&play.anchors);
	buf_free(&play.answer);
	buf_free(&play.proofs);
	buf_free(&play.given);
	free(play.text);
	play.text = NULL;
	play.began = play.asked = play.done = play.told_answer = false;
	world_end();
}

/* The clock that tests move: before anything looks at it. */
static inline void play_clock(void)
{
	static char path[] = "/tmp/hamlet-scenario-XXXXXX";
	int fd = mkstemp(path);
	int64_t zero = 0;
	if (fd < 0 || write(fd, &zero, sizeof(zero)) != sizeof(zero))
		abort();
	play.clock = mmap(NULL, sizeof(zero), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	setenv("HAMLET_CLOCK", path, 1);
	clock_init();
	unlink(path);
	close(fd);
}
#endif
