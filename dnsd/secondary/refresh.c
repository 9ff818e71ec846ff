/* When a secondary asks its primaries, and what comes of it (RFC 1034 4.3.5, RFC 1996). Of several
 * processes the leader keeps the times; the one that gets a NOTIFY or a command asks by itself.
 * A lock in the state folder (NAME.xfr) lets one ask at a time, and the time of a file there
 * (NAME.refresh) says to all of them, and after a restart, when the zone was last found good: each
 * lets the zone expire by it. All of that is looked at once a second. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/image/image.h"
#include "dnsd/leader.h"
#include "dnsd/secondary/refresh_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/serial.h"
#include "libcommon/dns/zonechunk.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

enum { TICK_MS = 1000, BUSY_MS = 5000, IMAGE_SUFFIX = 6 };

static struct {
	struct list zones; /* those whose turn it was last are the last */
	struct map *by_name;
	size_t n;
	unsigned busy;
	bool kicked; /* those that waited for their turn are looked at soon */
	int state;
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

/* --- when it was last good -------------------------------------------------------------------- */

uint64_t refresh_file_time(const struct secondary *s)
{
	struct stat st;
	if (fstatat(self.state, s->refresh_file, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
}

static void note_time(struct secondary *s, uint64_t now)
{
	const struct timespec t = {(time_t)(now / 1000), (long)(now % 1000) * 1000000};
	const struct timespec times[2] = {t, t};
	int fd =
	    openat(self.state, s->refresh_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || futimens(fd, times) != 0)
		log_event(LOG_LV_ERROR, NULL, "refresh-file", LS("zone", s->name),
			  LS("reason", strerror(errno)));
	if (fd >= 0)
		close(fd);
	s->fresh_ms = now;
}

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

static void release(struct secondary *s)
{
	close(s->lock);
	s->lock = -1;
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

static void good(struct secondary *s, const struct zone_soa *soa, const char *said)
{
	uint64_t now = clock_ms();
	s->have = true;
	s->soa = *soa;
	s->failed = 0;
	s->why[0] = '\0';
	s->due_ms = now + refresh_next(soa, &self.limits, random32());
	note_time(s, now);
	set_expired(s, false);
	if (s->whole_now)
		s->reset = false;
	release(s);
	answer_waiters(s, said);
	if (s->gone)
		secondary_free(s);
	else if (self.found_good)
		self.found_good(s->wire);
}

static void bad(struct secondary *s)
{
	s->failed++;
	self.failures++;
	s->due_ms =
	    clock_ms() + refresh_retry(&s->soa, s->have, s->failed, &self.limits, random32());
	release(s);
	answer_waiters(s, NULL);
	if (s->gone)
		secondary_free(s);
}

static void ask_server(struct secondary *s);

/* This one was of no use: the next one. */
static void server_bad(struct secondary *s, const char *why)
{
	str_fmt(s->why, sizeof(s->why), "%s: %s", refresh_server(s)->text, why);
	log_event(LOG_LV_WARN, NULL, "refresh-failed", LS("zone", s->name),
		  LS("from", refresh_server(s)->text), LS("reason", why));
	s->at = (s->at + 1) % s->servers_n;
	if (++s->tried < s->servers_n && !s->gone)
		ask_server(s);
	else
		bad(s);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void transferred(struct secondary *s, const struct xfr_done *d)
{
	char said[200];
	self.transfers++;
	log_event(LOG_LV_INFO, NULL, "zone-transferred", LS("zone", s->name),
		  LS("from", refresh_server(s)->text), LS("by", d->how),
		  LU("serial", d->soa.serial), LU("before", s->have ? s->serial : 0),
		  LU("records", d->records), LU("octets", d->octets), LU("messages", d->messages),
		  LU("left-out", d->foreign), LU("ms", d->ms));
	str_fmt(said, sizeof(said), "serial %u, by %s from %s, %llu records", d->soa.serial, d->how,
		refresh_server(s)->text, (unsigned long long)d->records);
	good(s, &d->soa, said);
}

static void current(struct secondary *s, const struct zone_soa *soa)
{
	char said[200];
	log_event(LOG_LV_DEBUG, NULL, "zone-current", LS("zone", s->name),
		  LS("from", refresh_server(s)->text), LU("serial", soa->serial));
	str_fmt(said, sizeof(said), "serial %u, as %s has it", soa->serial,
		refresh_server(s)->text);
	good(s, soa, said);
}

static void older(struct secondary *s, uint32_t serial)
{
	char why[100];
	str_fmt(why, sizeof(why), "it has serial %u, older than ours, %u: zone refresh --force",
		serial, s->serial);
	server_bad(s, why);
}

static void on_done(void *arg, const struct xfr_done *d)
{
	struct secondary *s = arg;
	refresh_dead_set(refresh_server(s), d->end == XFR_NOT && d->unreached);
	if (d->end == XFR_NEW)
		transferred(s, d);
	else if (d->end == XFR_CURRENT)
		current(s, &d->soa);
	else if (d->end == XFR_OLDER)
		older(s, d->soa.serial);
	else
		server_bad(s, d->why);
}

static void transfer(struct secondary *s, bool poll)
{
	const struct xfr_ask ask = {.zone = s->wire,
				    .server = refresh_server(s),
				    .have = s->have,
				    .serial = s->serial,
				    .records = s->records,
				    .octets = s->octets,
				    .whole = s->whole_now,
				    .poll = poll};
	xfr_in(&ask, on_done, s);
}

static void on_soa(void *arg, enum soa_verdict v, const struct zone_soa *soa, const char *why)
{
	struct secondary *s = arg;
	if (v == SOA_NONE)
		server_bad(s, why);
	else if (v == SOA_TCP)
		transfer(s, true);
	else if (soa->serial == s->serial)
		current(s, soa);
	else if (zone_serial_above(soa->serial, s->serial))
		transfer(s, false);
	else
		older(s, soa->serial);
}

/* By UDP where nobody wants the way to be secret; a zone that is not here is fetched at once. */
static void ask_server(struct secondary *s)
{
	if (!s->asked && refresh_dead(refresh_server(s))) {
		server_bad(s, "it was not reached a moment ago");
		return;
	}
	bool fetch = !s->have || s->whole_now;
	if (fetch || refresh_server(s)->tls)
		transfer(s, !fetch);
	else
		soa_poll(s->wire, refresh_server(s), on_soa, s);
}

static bool soa_in(struct slice chunk, struct zone_soa *out)
{
	struct zone_chunk_in in;
	struct zone_rr rr;
	zone_chunk_open(&in, chunk);
	while (zone_chunk_next(&in, &rr))
		if (rr.type == DNS_SOA) {
			*out = zone_soa_of(rr.rdata, rr.rdlen);
			return true;
		}
	return false;
}

static void store_bad(struct secondary *s, const char *why)
{
	str_fmt(s->why, sizeof(s->why), "%s", why);
	log_event(LOG_LV_WARN, NULL, "refresh-failed", LS("zone", s->name), LS("from", "store"),
		  LS("reason", why));
	bad(s);
}

static void on_read(void *arg, enum msg_type type, const void *msg)
{
	struct secondary *s = arg;
	const struct msg_zone_chunks *m = msg;
	struct slice text;
	char why[200];
	if (type == MSG_zone_chunks && m->zone_n == 1 && m->chunks_n > 0) {
		if (m->zone->source != ZONE_SECONDARY) {
			store_bad(s, "the zone is edited here: zone delete it first");
			return;
		}
		s->have = soa_in(m->chunks->data, &s->soa);
		s->serial = m->zone->serial;
		s->records = m->zone->records;
		s->octets = m->zone->size;
	} else if (peer_error(type, msg, &text) == ERR_NOTFOUND) {
		s->have = false;
	} else {
		str_fmt(why, sizeof(why), "the store: %.*s", SLICE_FMT(text));
		store_bad(s, why);
		return;
	}
	ask_server(s);
}

/* -1: another process is at it. */
static int lock(const char *file)
{
	int fd = openat(self.state, file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void start(struct secondary *s)
{
	const struct msg_zone_read m = {.zone = {(const char *)s->wire, dns_name_len(s->wire)},
					.max = 1};
	struct list *at;
	s->lock = lock(s->lock_file);
	if (s->lock < 0) {
		s->due_ms = clock_ms() + BUSY_MS;
		return;
	}
	uint64_t fresh = refresh_file_time(s);
	if (!s->wanted && s->have && fresh > s->fresh_ms) { /* another process has done it */
		close(s->lock);
		s->fresh_ms = fresh;
		s->due_ms = fresh + refresh_next(&s->soa, &self.limits, random32());
		return;
	}
	s->busy = true;
	s->whole_now = s->whole || s->reset;
	s->asked = s->wanted;
	s->wanted = s->whole = false;
	s->tried = 0;
	while ((at = list_pop(&s->waiters)))
		list_add_tail(&s->present, at);
	self.busy++;
	if (!uplink_call(MSG_zone_read, &m, on_read, s))
		store_bad(s, "the store is busy");
}

static bool may_start(const struct secondary *s)
{
	return !s->busy && self.busy < conf.transfer.parallel;
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
		if (!may_start(s) || !(s->wanted || (leads && is_due(s, now))))
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

static const char *file_name(struct pool *pool, const uint8_t *wire, const char *suffix)
{
	const char *image = compile_image_name(pool, wire);
	return pool_printf(pool, "%.*s%s", (int)(strlen(image) - IMAGE_SUFFIX), image, suffix);
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
				.refresh_file = file_name(pool, z->wire, ".refresh"),
				.lock_file = file_name(pool, z->wire, ".xfr"),
				.lock = -1};
	list_init(&s->waiters);
	list_init(&s->present);
	s->fresh_ms = refresh_file_time(s);
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

int refresh_lock(const uint8_t *wire)
{
	struct pool *pool = pool_new(0);
	int fd = lock(file_name(pool, wire, ".xfr"));
	pool_free(&pool);
	return fd;
}

void refresh_start(int state)
{
	self.by_name = map_new();
	list_init(&self.zones);
	self.state = state;
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
