/* When a secondary is asked for (RFC 1034 4.3.5, RFC 1996), and what comes of it. Of several
 * processes the leader keeps the times; the one that gets a NOTIFY or a command asks by itself, and
 * goes on until that went well. Files in the state folder tell the others (refresh_file.c): each
 * lets the zone expire by them. All of that is looked at once a second. */
#include <stdlib.h>
#include "dnsd/image/image.h"
#include "dnsd/leader.h"
#include "dnsd/secondary/refresh_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

enum {
	TICK_MS = 1000,
	BUSY_MS = 5000,
	STORE_MS = 5000, /* after an attempt that the store went away in */
};

static struct {
	struct list zones; /* those whose turn it was last are the last */
	struct map *by_name;
	size_t n;
	unsigned busy;
	bool kicked; /* those that waited for their turn are looked at soon */
	struct timer tick;
	struct refresh_limits limits;
	uint64_t began, transfers, failures;
	void (*found_good)(const uint8_t *wire); /* NULL: nobody is told */
} self;

const struct dns_server *refresh_server(const struct secondary *s)
{
	return &s->server[s->at];
}

static uint32_t random32(void)
{
	uint32_t r;
	id_random(&r, sizeof(r));
	return r;
}

/* --- when it expires ------------------------------------------------------------------------- */

uint64_t refresh_expires(const struct secondary *s)
{
	uint64_t from = s->fresh_ms ? s->fresh_ms : self.began;
	return from + refresh_expire(&s->soa, &self.limits);
}

static void set_expired(struct secondary *s, bool expired)
{
	const struct served *z = load_find(s->wire);
	if (s->expired == expired || !z)
		return;
	s->expired = expired;
	load_expire(z->number, expired);
	if (expired)
		log_event(LOG_LV_ERROR, NULL, "zone-expired", LS("zone", s->name),
			  LU("serial", s->soa.serial), LS("last", s->why));
	else
		log_event(LOG_LV_INFO, NULL, "zone-revived", LS("zone", s->name),
			  LU("serial", s->soa.serial));
}

static void look_image(struct secondary *s, const struct image *image)
{
	struct image_soa soa;
	if (image && image_soa(image, &soa)) {
		s->soa = zone_soa_of(soa.rdata, soa.len);
		s->have = true;
	}
}

/* Images come without a word at the start; they go when an administrator deletes the zone, which is
 * fetched anew then. */
static void look_served(struct secondary *s)
{
	const struct served *z = load_find(s->wire);
	const struct image *image = z ? z->image : NULL;
	if (image && !s->shown)
		look_image(s, image);
	if (!image && s->shown) {
		s->have = false;
		s->failed = 0;
		s->due_ms = 0;
	}
	s->shown = image != NULL;
}

/* Another process may have found it good meanwhile. */
static void look_expired(struct secondary *s, uint64_t now)
{
	if (!s->have || (!s->expired && now < refresh_expires(s)))
		return;
	uint64_t fresh = refresh_file_time(s);
	if (fresh > s->fresh_ms)
		s->fresh_ms = fresh;
	set_expired(s, now >= refresh_expires(s));
}

/* --- the end of an attempt -------------------------------------------------------------------- */

static void answer_waiters(struct secondary *s, const char *said)
{
	struct list *at;
	while ((at = list_pop(&s->present))) {
		struct waiter *w = list_entry(at, struct waiter, link);
		if (said)
			buf_printf(&w->call->out, "%s: %s\n", s->name, said);
		control_done(w->call, said ? NULL : s->why);
		free(w);
	}
}

static void kick(void *arg);

static void release(struct secondary *s, bool fetched)
{
	refresh_file_unlock(s, fetched);
	s->busy = false;
	s->ended_ms = clock_mono();
	if (self.busy-- == conf.transfer.parallel && !self.kicked) {
		self.kicked = true;
		loop_defer(kick, NULL);
	}
}

static void secondary_free(struct secondary *s)
{
	struct pool *pool = s->pool;
	pool_free(&pool);
}

void refresh_good(struct secondary *s, const struct zone_soa *soa, const char *said, bool fetched)
{
	uint64_t now = clock_ms();
	self.transfers += fetched;
	s->have = true;
	s->soa = *soa;
	s->failed = 0;
	s->why[0] = '\0';
	s->due_ms = now + refresh_next(soa, &self.limits, random32());
	s->insists = false;
	if (!s->gone)
		refresh_file_note(s, now);
	set_expired(s, false);
	if (s->whole_now)
		s->reset = false;
	release(s, true);
	answer_waiters(s, said);
	if (s->gone)
		secondary_free(s);
	else if (self.found_good)
		self.found_good(s->wire);
}

void refresh_bad(struct secondary *s)
{
	uint64_t retry = refresh_retry(&s->soa, s->have, ++s->failed, &self.limits, random32());
	self.failures++;
	s->due_ms = clock_ms() + (peer_up(uplink_store()) || retry < STORE_MS ? retry : STORE_MS);
	s->insists |= s->asked;
	release(s, false);
	answer_waiters(s, NULL);
	if (s->gone)
		secondary_free(s);
}

static void start(struct secondary *s)
{
	struct list *at;
	if (!refresh_file_lock(s)) { /* another process is at it */
		s->due_ms = clock_ms() + BUSY_MS;
		return;
	}
	uint64_t fresh = refresh_file_time(s);
	if (!s->wanted && s->have && fresh > s->fresh_ms) { /* another process has done it */
		refresh_file_unlock(s, false);
		s->insists = false;
		s->fresh_ms = fresh;
		s->due_ms = fresh + refresh_next(&s->soa, &self.limits, random32());
		return;
	}
	s->busy = true;
	s->whole_now = s->whole || s->reset;
	s->asked = s->wanted;
	s->wanted = s->whole = false;
	while ((at = list_pop(&s->waiters)))
		list_add_tail(&s->present, at);
	self.busy++;
	refresh_ask(s);
}

/* While the store is away only who waits for an answer is told so. */
static bool may_start(const struct secondary *s)
{
	return !s->busy && self.busy < conf.transfer.parallel &&
	       (peer_up(uplink_store()) || !list_empty(&s->waiters));
}

/* A clock that went back must not make it late. */
static bool is_due(const struct secondary *s, uint64_t now)
{
	uint64_t most = self.limits.refresh_most > self.limits.retry_most ? self.limits.refresh_most
									  : self.limits.retry_most;
	return now >= s->due_ms || s->due_ms - now > most;
}

static void start_some(void)
{
	uint64_t now = clock_ms();
	bool leads = leader();
	size_t n = self.n;
	for (struct list *at = self.zones.next, *next; n; at = next, n--) {
		struct secondary *s = list_entry(at, struct secondary, link);
		next = at->next;
		if (!may_start(s) || !(s->wanted || ((leads || s->insists) && is_due(s, now))))
			continue;
		list_del(at);
		list_add_tail(&self.zones, at);
		start(s);
	}
}

static void kick(void *arg)
{
	(void)arg;
	self.kicked = false;
	start_some();
}

static void on_tick(struct timer *t)
{
	uint64_t now = clock_ms();
	timer_set(t, TICK_MS, on_tick);
	list_each(at, &self.zones)
	{
		struct secondary *s = list_entry(at, struct secondary, link);
		look_served(s);
		look_expired(s, now);
	}
	start_some();
}

/* --- from outside ----------------------------------------------------------------------------- */

struct secondary *refresh_find(const uint8_t *wire)
{
	return self.by_name ? map_get(self.by_name, wire, dns_name_len(wire)) : NULL;
}

void refresh_want(struct secondary *s)
{
	s->wanted = true;
	if (may_start(s) && clock_mono() - s->ended_ms >= TICK_MS)
		start(s);
}

void refresh_notified(struct secondary *s, const struct dns_server *from)
{
	if (!s->busy)
		s->at = (size_t)(from - s->server);
	if (!s->wanted)
		refresh_file_mark(s);
	refresh_want(s);
}

/* An image of another serial is served. */
static void on_changed(unsigned zone, uint32_t before, uint32_t serial)
{
	const struct served *z = load_zone(zone);
	struct secondary *s = z ? refresh_find(z->wire) : NULL;
	(void)before;
	(void)serial;
	if (s)
		look_image(s, z->image);
}

void refresh_add(const struct zone_conf *z)
{
	const struct served *served = load_find(z->wire);
	size_t len = dns_name_len(z->wire);
	struct pool *pool = pool_new(0);
	struct secondary *s = pool_alloc(pool, sizeof(*s));
	*s = (struct secondary){.pool = pool,
				.wire = pool_dup(pool, z->wire, len),
				.name = pool_strdup(pool, z->name),
				.server = z->primaries,
				.servers_n = z->primaries_n,
				.lock = -1};
	list_init(&s->waiters);
	list_init(&s->present);
	refresh_file_names(s);
	s->fresh_ms = refresh_file_time(s);
	s->wanted = refresh_file_marked(s);
	look_image(s, served ? served->image : NULL);
	if (s->have && s->fresh_ms)
		s->due_ms = s->fresh_ms + refresh_next(&s->soa, &self.limits, random32());
	list_add_tail(&self.zones, &s->link);
	map_set(self.by_name, s->wire, len, s);
	self.n++;
}

void refresh_remove(const uint8_t *wire)
{
	struct secondary *s = map_del(self.by_name, wire, dns_name_len(wire));
	if (!s)
		return;
	list_del(&s->link);
	self.n--;
	str_fmt(s->why, sizeof(s->why), "it is no secondary any more");
	while (!list_empty(&s->waiters))
		list_add_tail(&s->present, list_pop(&s->waiters));
	s->gone = true;
	if (s->busy)
		return;
	answer_waiters(s, NULL);
	secondary_free(s);
}

void refresh_reset(const uint8_t *wire)
{
	struct secondary *s = refresh_find(wire);
	if (!s || s->reset)
		return;
	s->reset = true;
	refresh_want(s);
}

bool refresh_resets(const uint8_t *wire)
{
	const struct secondary *s = refresh_find(wire);
	return s && s->reset;
}

void refresh_watch(void (*fn)(const uint8_t *wire))
{
	self.found_good = fn;
}

void refresh_start(int state)
{
	self.by_name = map_new();
	list_init(&self.zones);
	refresh_files(state);
	self.began = clock_ms();
	self.limits = (struct refresh_limits){
	    .refresh_least = conf.transfer.refresh_least,
	    .refresh_most = conf.transfer.refresh_most,
	    .retry_least = conf.transfer.retry_least,
	    .retry_most = conf.transfer.retry_most,
	};
	const struct zone_conf *z;
	for (size_t i = 0; (z = conf_zone_at(i)); i++)
		if (z->primaries_n)
			refresh_add(z);
	if (!self.n)
		return;
	load_changed(on_changed);
	on_tick(&self.tick);
}

struct refresh_counts refresh_count(void)
{
	struct refresh_counts c = {
	    .zones = self.n, .transfers = self.transfers, .failures = self.failures};
	if (self.n)
		list_each(at, &self.zones) c.expired +=
		    list_entry(at, struct secondary, link)->expired;
	return c;
}
