/* The zones of the store: which there are, and when they change. A watch tells which zone has
 * changed, come or gone; its row tells the rest. After each connection all of them are listed. What
 * has changed is compiled at once; a large zone not all the time. */
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "dnsd/catalog/catalog.h"
#include "dnsd/image/beside.h"
#include "dnsd/image/image_int.h"
#include "dnsd/image/journal.h"
#include "dnsd/load/load_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/store.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

enum {
	START_MS = 3000, /* how long the start waits for the store when nothing of it is here */
	AGAIN_MS = 1000, /* after what the store could not answer */
	OFTEN_MS = 100,  /* what takes longer to compile is left alone for as long in between */
};

static struct {
	bool started;
	int state;
	struct map *by_id;
	uint64_t round;   /* of the list at hand; whatever is of an earlier one is forgotten */
	time_t list_time; /* when it began, as files have it */
	struct timer late, again;
} self;

struct question {
	uint64_t round, id;
};

static void list_from(uint64_t after);
static void look(uint64_t id);

static void restart(struct timer *t)
{
	(void)t;
	if (peer_up(uplink_store()))
		load_store_up();
}

/* Everything is asked anew; a connection that is lost does that by itself. */
static void failed(const char *what, enum msg_type type, const void *msg)
{
	struct slice text = SLICE("an answer that is none");
	if (peer_error(type, msg, &text) == ERR_LOST)
		return;
	log_event(LOG_LV_WARN, NULL, "store-failed", LS("what", what), LSL("reason", text));
	timer_set(&self.again, AGAIN_MS, restart);
}

static struct question *question(uint64_t id)
{
	struct question *q = mem_alloc(sizeof(*q));
	q->round = self.round;
	q->id = id;
	return q;
}

/* Takes the question; false: it is of a connection before. */
static bool answered(void *arg, struct question *out)
{
	*out = *(struct question *)arg;
	free(arg);
	return out->round == self.round;
}

static void call(enum msg_type t, const void *msg, peer_reply_fn *fn, struct question *q)
{
	if (uplink_call(t, msg, fn, q))
		return;
	free(q);
	timer_set(&self.again, AGAIN_MS, restart);
}

/* Its records come from a file, or are made. */
static bool is_local(const struct served *s)
{
	return s->file || s->conf->catalog == CATALOG_OURS;
}

/* --- compiling -------------------------------------------------------------------------------- */

static void compile(struct served *s)
{
	const struct image_origin *o = s->image ? image_origin(s->image) : NULL;
	if (!o || o->id != s->id || o->version != s->version || s->why[0])
		load_again(s->number, false);
}

static void on_later(struct timer *t)
{
	compile(list_entry(t, struct served, later));
}

void load_store_built(struct served *s, uint64_t ms)
{
	s->not_before = ms < OFTEN_MS ? 0 : clock_mono() + ms;
}

static void changed(struct served *s)
{
	uint64_t now = clock_mono();
	if (s->not_before <= now)
		compile(s);
	else if (!timer_is_set(&s->later))
		timer_set(&s->later, s->not_before - now, on_later);
}

/* --- secondaries that are named no longer ------------------------------------------------------
 */

static bool is_left(const struct served *s)
{
	return s->id && s->secondary && !s->conf->name && catalogs_known();
}

void load_store_named(struct served *s)
{
	bool left = is_left(s);
	if (left == s->left)
		return;
	load_leave(s, left);
	if (left) {
		log_event(LOG_LV_WARN, NULL, "zone-left", LS("zone", s->name),
			  LS("reason", "neither dnsd.conf nor a catalog names this secondary any "
				       "more: it is not served"));
		return;
	}
	log_event(LOG_LV_INFO, NULL, "zone-named", LS("zone", s->name));
	if (!load_present(s))
		changed(s);
}

void load_named_all(void)
{
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (s)
			load_store_named((struct served *)(uintptr_t)s);
	}
}

/* --- zones ------------------------------------------------------------------------------------ */

static void unlink_image(const struct served *s)
{
	const char *why;
	char overlay[NAME_MAX + 1];
	struct image *image = image_open(self.state, s->image_name, &why);
	uint64_t id = s->id || !s->image ? s->id : image_origin(s->image)->id;
	/* A zone of this name may have come again, and another process been faster. */
	if (image && image_origin(image)->id == id) {
		unlinkat(self.state, s->image_name, 0);
		if (image_overlay_name(overlay, sizeof(overlay), s->image_name, ""))
			unlinkat(self.state, overlay, 0);
		journal_remove(self.state, s->image_name);
	}
	image_close(&image);
}

static void zone_gone(struct served *s)
{
	map_del(self.by_id, &s->id, sizeof(s->id));
	timer_clear(&s->later);
	load_touch();
	if (is_local(s)) {
		s->id = 0;
		return;
	}
	log_event(LOG_LV_INFO, NULL, "zone-gone", LS("zone", s->name));
	unlink_image(s);
	s->id = 0;
	if (s->conf->name) { /* it is one of ours still */
		load_withdraw(s);
		return;
	}
	load_orphan_gone(s->wire);
	load_remove(s);
}

static void zone_is(const struct row_zone *row)
{
	uint8_t wire[DNS_NAME_MAX];
	if (!row->id || !row->name.len ||
	    dns_name_check((const uint8_t *)row->name.p, row->name.len) != row->name.len)
		return;
	memcpy(wire, row->name.p, row->name.len);
	dns_name_lower(wire);
	struct served *s = (struct served *)(uintptr_t)load_find(wire);
	if (!s && !conf.store)
		return;
	if (!s)
		s = load_add(wire, NULL);
	if (s->id != row->id) {
		map_del(self.by_id, &s->id, sizeof(s->id));
		if (is_local(s))
			log_event(LOG_LV_WARN, NULL, "zone-twice", LS("zone", s->name),
				  LS("file", s->file),
				  LS("served", "that of dnsd.conf, not the store's"));
		s->id = row->id;
		map_set(self.by_id, &s->id, sizeof(s->id), s);
		load_touch();
	}
	s->version = store_version_of(row);
	s->secondary = row->source == ZONE_SECONDARY;
	s->round = self.round;
	load_store_named(s);
	if (s->left || is_local(s))
		return;
	if (s->image || !load_present(s)) {
		changed(s);
	} else { /* another process was faster */
		load_log(s, s->image, false, 0);
		load_tell(s, 0);
	}
}

/* --- one zone --------------------------------------------------------------------------------- */

static void on_row(void *arg, enum msg_type type, const void *msg)
{
	struct question q;
	const struct msg_zone_chunks *c = msg;
	if (!answered(arg, &q))
		return;
	struct served *s = map_get(self.by_id, &q.id, sizeof(q.id));
	bool again = s && s->changed;
	if (s)
		s->asked = s->changed = false;
	bool found = type == MSG_zone_chunks && c->zone_n == 1;
	bool gone = found ? c->zone->id != q.id : peer_error(type, msg, NULL) == ERR_NOTFOUND;
	if (gone && s)
		zone_gone(s);
	if (found)
		zone_is(c->zone);
	else if (!gone)
		failed("zone-read", type, msg);
	if (again)
		look(q.id);
}

static void on_new(void *arg, enum msg_type type, const void *msg)
{
	struct question q;
	const struct msg_zones *z = msg;
	if (!answered(arg, &q))
		return;
	if (type != MSG_zones)
		failed("zone-list", type, msg);
	else if (z->zones_n && z->zones->id == q.id)
		zone_is(z->zones);
}

static void look(uint64_t id)
{
	struct served *s = map_get(self.by_id, &id, sizeof(id));
	if (!id)
		return;
	if (!s) {
		const struct msg_zone_list m = {.after = id - 1};
		call(MSG_zone_list, &m, on_new, question(id));
	} else if (s->asked) {
		s->changed = true;
	} else {
		const struct msg_zone_read m = {
		    {(const char *)s->wire, dns_name_len(s->wire)}, SLICE(""), 0};
		s->asked = true;
		call(MSG_zone_read, &m, on_row, question(id));
	}
}

static void on_found(void *arg, enum msg_type type, const void *msg)
{
	struct question q;
	const struct msg_zone_chunks *c = msg;
	if (!answered(arg, &q))
		return;
	if (type == MSG_zone_chunks && c->zone_n == 1)
		zone_is(c->zone);
	else if (peer_error(type, msg, NULL) != ERR_NOTFOUND)
		failed("zone-read", type, msg);
}

void load_store_find(const struct served *s)
{
	const struct msg_zone_read m = {
	    {(const char *)s->wire, dns_name_len(s->wire)}, SLICE(""), 0};
	if (self.started && peer_up(uplink_store()))
		call(MSG_zone_read, &m, on_found, question(0));
}

/* --- all zones -------------------------------------------------------------------------------- */

static void list_end(void)
{
	for (unsigned i = 0; i < load_end(); i++) {
		struct served *s = (struct served *)(uintptr_t)load_zone(i);
		if (!s || s->round == self.round)
			continue;
		bool held = s->image || !s->conf->name;
		if (s->id || (!is_local(s) && held))
			zone_gone(s);
	}
	load_orphan_listed(self.list_time);
	load_touch();
	timer_clear(&self.late);
	load_wait(false);
}

static void on_list(void *arg, enum msg_type type, const void *msg)
{
	struct question q;
	const struct msg_zones *z = msg;
	if (!answered(arg, &q))
		return;
	if (type != MSG_zones) {
		failed("zone-list", type, msg);
		return;
	}
	for (uint32_t i = 0; i < z->zones_n; i++)
		zone_is(&z->zones[i]);
	if (z->zones_n)
		list_from(z->zones[z->zones_n - 1].id);
	else
		list_end();
}

static void list_from(uint64_t after)
{
	const struct msg_zone_list m = {.after = after};
	call(MSG_zone_list, &m, on_list, question(0));
}

/* --- the watch -------------------------------------------------------------------------------- */

static void on_watch(void *arg, enum msg_type type, const void *msg)
{
	(void)arg;
	if (type == MSG_ok)
		list_from(0);
	else if (type == MSG_watch_event)
		look(((const struct msg_watch_event *)msg)->value);
	else
		failed("watch", type, msg);
}

void load_store_up(void)
{
	static uint32_t watch;
	const struct msg_watch m = {.kind = WATCH_ZONE, .grant = SLICE(""), .object = 0};
	if (!self.started)
		return;
	/* The watch of a connection that was lost is over; this one may be asked for twice. */
	if (watch)
		peer_cancel(uplink_store(), watch);
	self.round++;
	self.list_time = time(NULL);
	for (unsigned i = 0; i < load_end(); i++) {
		struct served *s = (struct served *)(uintptr_t)load_zone(i);
		if (s)
			s->asked = s->changed = false;
	}
	watch = uplink_call(MSG_watch, &m, on_watch, NULL);
	if (!watch)
		timer_set(&self.again, AGAIN_MS, restart);
}

/* --- the start -------------------------------------------------------------------------------- */

static void on_late(struct timer *t)
{
	(void)t;
	log_event(LOG_LV_WARN, NULL, "starting-without", LS("missing", "the store"));
	load_wait(false);
}

/* An image of the store's is served until the store says otherwise. */
static void take_image(void *arg, const char *file)
{
	static const char kind[] = ".image";
	size_t len = strlen(file);
	const char *why;
	(void)arg;
	if (len < sizeof(kind) || strcmp(file + len - strlen(kind), kind) != 0)
		return;
	struct image *image = image_open(self.state, file, &why);
	uint64_t id = image ? image_origin(image)->id : 0;
	if (id && id != CATALOG_ORIGIN && !load_find(image_zone(image)))
		load_present(load_add(image_zone(image), NULL));
	image_close(&image);
}

void load_store_start(int state)
{
	self.state = state;
	self.started = true;
	self.by_id = map_new();
	load_orphan_start(state);
	if (conf.store)
		beside_each(state, take_image, NULL);
	bool some = false;
	for (unsigned i = 0; i < load_end() && !some; i++) {
		const struct served *s = load_zone(i);
		some = s && !is_local(s) && s->image;
	}
	struct pool *pool = pool_new(0);
	/* Where no store runs at all there is nothing to wait for. */
	if (!some && access(store_socket(pool, ROLE_DNSD), F_OK) == 0) {
		load_wait(true);
		timer_set(&self.late, START_MS, on_late);
	}
	pool_free(&pool);
	if (peer_up(uplink_store()))
		load_store_up();
}
