/* What the leader has to do for the members of catalogs, and what it has done. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "dnsd/image/beside.h"
#include "dnsd/catalog/catalog_int.h"
#include "dnsd/leader.h"
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/list.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/loop.h"

enum {
	WRITE_MS = 200, /* changes are gathered */
	AGAIN_MS = 1000,
	PARALLEL = 20, /* zones that the store is asked to delete at a time */
};

/* A zone that a catalog brought. */
struct record {
	struct list link; /* of those that leave and wait, else alone */
	uint64_t due;     /* clock_mono() when it may be asked about */
	struct catalog_entry entry;
	struct pool *pool;
	const struct catalog *of;
	bool leaves, busy; /* busy: the store is asked */
	int lock;          /* meanwhile no process asks for it */
};

static struct {
	int state;
	struct catalog *catalog;
	size_t n;
	struct map *records;
	struct list leaving; /* in the order in which they are due */
	unsigned busy;
	struct timer write, again;
} self;

/* --- the file ----------------------------------------------------------------------------------
 */

static int print(const void *key, size_t len, void *value, void *arg)
{
	const struct record *r = value;
	struct buf *out = arg;
	(void)key;
	(void)len;
	catalog_print(&r->entry, &out[r->of - self.catalog]);
	return 0;
}

static void write_files(struct timer *t)
{
	struct buf *out = mem_alloc(self.n * sizeof(*out));
	for (size_t i = 0; i < self.n; i++)
		buf_init(&out[i], CATALOG_FILE);
	map_each(self.records, print, out);
	for (size_t i = 0; i < self.n; i++) {
		const struct catalog *c = &self.catalog[i];
		if (!out[i].failed &&
		    beside_write(self.state, c->image_name, "members", buf_slice(&out[i])))
			continue;
		log_event(LOG_LV_ERROR, NULL, "catalog-file", LS("catalog", c->conf->name),
			  LS("reason", strerror(errno)));
		timer_set(t, AGAIN_MS, write_files);
	}
	for (size_t i = 0; i < self.n; i++)
		buf_free(&out[i]);
	free(out);
}

static void changed(void)
{
	if (!timer_is_set(&self.write))
		timer_set(&self.write, WRITE_MS, write_files);
}

/* --- records -------------------------------------------------------------------------------------
 */

static struct record *find(const uint8_t *zone)
{
	return map_get(self.records, zone, dns_name_len(zone));
}

static void record_add(const struct catalog *of, const uint8_t *zone, const uint8_t *label)
{
	struct pool *pool = pool_new(0);
	struct record *r = pool_alloc(pool, sizeof(*r));
	size_t len = dns_name_len(zone);
	*r = (struct record){.pool = pool, .of = of, .lock = -1};
	list_init(&r->link);
	r->entry.zone = pool_dup(pool, zone, len);
	r->entry.label = pool_dup(pool, label, dns_name_len(label));
	map_set(self.records, zone, len, r);
}

static void record_free(struct record *r)
{
	struct pool *pool = r->pool;
	map_del(self.records, r->entry.zone, dns_name_len(r->entry.zone));
	list_del(&r->link);
	pool_free(&pool);
	changed();
}

/* --- zones that leave ----------------------------------------------------------------------------
 */

static void leave_some(struct timer *t);

static void wait_until(struct record *r, uint64_t ms)
{
	r->due = clock_mono() + ms;
	list_add_tail(&self.leaving, &r->link);
}

static void release(struct record *r)
{
	close(r->lock);
	r->lock = -1;
	r->busy = false;
	self.busy--;
}

/* It is over with it, or it is tried again: also after a deletion, since another process that did
 * not know yet may have fetched the zone meanwhile. */
static void end(struct record *r, bool over, const char *why)
{
	release(r);
	if (why)
		log_event(LOG_LV_WARN, NULL, "member-stays", LS("catalog", r->of->conf->name),
			  LS("reason", why));
	if (over && r->leaves)
		record_free(r);
	else if (r->leaves)
		wait_until(r, AGAIN_MS);
	leave_some(NULL);
}

static void on_deleted(void *arg, enum msg_type type, const void *msg)
{
	struct record *r = arg;
	(void)type;
	(void)msg;
	if (!r->leaves) /* it has come again meanwhile */
		refresh_reset(r->entry.zone);
	end(r, false, NULL);
}

static void on_read(void *arg, enum msg_type type, const void *msg)
{
	struct record *r = arg;
	const struct msg_zone_chunks *c = msg;
	struct slice text;
	if (type == MSG_zone_chunks && c->zone_n == 1) {
		const struct msg_zone_delete m = {
		    {(const char *)r->entry.zone, dns_name_len(r->entry.zone)}};
		if (c->zone->source != ZONE_SECONDARY)
			end(r, true, "it is edited here now");
		else if (!r->leaves || !uplink_call(MSG_zone_delete, &m, on_deleted, r))
			end(r, false, NULL);
		return;
	}
	bool none = peer_error(type, msg, &text) == ERR_NOTFOUND;
	end(r, none, NULL);
}

static bool ask(struct record *r)
{
	const struct msg_zone_read m = {
	    {(const char *)r->entry.zone, dns_name_len(r->entry.zone)}, SLICE(""), 0};
	r->lock = refresh_lock(r->entry.zone);
	if (r->lock < 0)
		return false;
	r->busy = true;
	self.busy++;
	if (uplink_call(MSG_zone_read, &m, on_read, r))
		return true;
	release(r);
	return false;
}

static void leave_some(struct timer *t)
{
	(void)t;
	bool can = leader() && peer_up(uplink_store());
	while (can && !list_empty(&self.leaving) && self.busy < PARALLEL) {
		struct record *r = list_entry(self.leaving.next, struct record, link);
		if (r->due > clock_mono())
			break;
		list_del(&r->link);
		if (!ask(r))
			wait_until(r, AGAIN_MS);
	}
	if (!list_empty(&self.leaving) && !timer_is_set(&self.again))
		timer_set(&self.again, AGAIN_MS, leave_some);
}

/* --- what there is to do -------------------------------------------------------------------------
 */

static int look_member(const void *key, size_t len, void *value, void *arg)
{
	const struct member *m = value;
	struct record *r = map_get(self.records, key, len);
	(void)arg;
	if (!r) {
		record_add(m->of, m->conf.wire, m->label);
		changed();
		return 0;
	}
	r->leaves = false;
	list_del(&r->link);
	list_init(&r->link);
	if (!dns_name_eq(r->entry.label, m->label)) {
		refresh_reset(m->conf.wire);
	} else if (r->of != m->of) {
		r->of = m->of;
		changed();
	}
	return 0;
}

struct records {
	struct record **record;
	size_t n;
};

/* Those that fn puts into its arg. */
static void free_some(int (*fn)(const void *key, size_t len, void *value, void *arg))
{
	struct records l = {mem_alloc((map_count(self.records) + 1) * sizeof(struct record *)), 0};
	map_each(self.records, fn, &l);
	for (size_t i = 0; i < l.n; i++)
		record_free(l.record[i]);
	free(l.record);
}

static int look_record(const void *key, size_t len, void *value, void *arg)
{
	struct record *r = value;
	struct records *out = arg;
	(void)len;
	if (catalog_member(key) || r->leaves)
		return 0;
	if (conf_zone(key)->name && !r->busy) {
		out->record[out->n++] = r; /* it is dnsd.conf's now */
	} else {
		r->leaves = true;
		if (!r->busy)
			list_add_tail(&self.leaving, &r->link);
	}
	return 0;
}

void book_look(void)
{
	if (!leader())
		return;
	catalog_each(look_member, NULL);
	free_some(look_record);
	if (!list_empty(&self.leaving))
		leave_some(NULL);
}

/* It was fetched whole: the label is the one that it was fetched under. */
static void on_good(const uint8_t *zone)
{
	struct record *r = find(zone);
	const struct member *m = catalog_member(zone);
	if (!leader() || !r || !m || r->busy || refresh_resets(zone) ||
	    dns_name_eq(r->entry.label, m->label))
		return;
	record_free(r);
	record_add(m->of, m->conf.wire, m->label);
}

/* --- the start -----------------------------------------------------------------------------------
 */

static struct catalog_list read_file(struct catalog *c)
{
	struct catalog_list l;
	struct buf text;
	bool there = beside_read(self.state, c->image_name, "members", CATALOG_FILE, &text);
	catalog_parse(there ? buf_slice(&text) : SLICE(""), &l);
	c->known |= there;
	buf_free(&text);
	return l;
}

static void take(const struct catalog *c, const struct catalog_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (!find(l->entry[i].zone))
			record_add(c, l->entry[i].zone, l->entry[i].label);
}

static int old_record(const void *key, size_t len, void *value, void *arg)
{
	struct record *r = value;
	struct records *out = arg;
	(void)key;
	(void)len;
	if (!r->busy)
		out->record[out->n++] = r;
	return 0;
}

/* Another process was it until now: what it has done is in the files. */
static void on_lead(void)
{
	free_some(old_record);
	for (size_t i = 0; i < self.n; i++) {
		struct catalog_list l = read_file(&self.catalog[i]);
		take(&self.catalog[i], &l);
		catalog_list_free(&l);
	}
	book_look();
}

void book_start(int state, struct catalog *c, size_t n)
{
	self.state = state;
	self.catalog = c;
	self.n = n;
	self.records = map_new();
	list_init(&self.leaving);
	for (size_t i = 0; i < n; i++) {
		c[i].list = read_file(&c[i]);
		take(&c[i], &c[i].list);
	}
	refresh_watch(on_good);
	leader_watch(on_lead);
}

const struct catalog *book_owner(const uint8_t *zone)
{
	const struct record *r = find(zone);
	return r ? r->of : NULL;
}
