/* Zones: from their source to an image to service. One image is compiled at a time, by the builder;
 * the zone that is served is exchanged in the loop, between two queries. What cannot be compiled
 * leaves what is served as it is. */
#include <stdlib.h>
#include "dnsd/answer/answer.h"
#include "dnsd/sign/dnssec.h"
#include "dnsd/load/load_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"
#include "libcommon/net/job.h"
#include "libcommon/net/loop.h"

enum { LOGGED_LINES = 20, LISTENERS = 8, DUE_MS = 30000, DUE_SOON_MS = 100 };

struct task {
	struct list link;
	struct served *zone;
	struct reload *reload; /* NULL: nobody waits */
	struct compile work;
};

static struct {
	struct zones **zones;   /* by view */
	struct served **served; /* by number; NULL: free */
	unsigned n, used;       /* all below `used` are taken */
	struct map *by_name; /* of none of the views: its name alone, else and the view's number */
	int state;
	struct list tasks; /* the first is in work when `busy` */
	bool busy;
	void (*done)(void); /* NULL: was called */
	bool waits;         /* for the store, then done is called */
	served_change_fn *listener[LISTENERS];
	unsigned listeners;
	struct timer due;
	void (*came_or_went)(void); /* NULL: nobody is told */
} self;

const struct zones *load_zones(unsigned view)
{
	return self.zones[view];
}

unsigned load_end(void)
{
	return self.n;
}

const struct served *load_zone(unsigned number)
{
	return number < self.n ? self.served[number] : NULL;
}

struct key {
	uint8_t name[DNS_NAME_MAX + sizeof(unsigned)];
	size_t len;
};

static struct key key_of(unsigned view, const uint8_t *wire)
{
	struct key k = {.len = dns_name_len(wire)};
	memcpy(k.name, wire, k.len);
	if (view) {
		memcpy(k.name + k.len, &view, sizeof(view));
		k.len += sizeof(view);
	}
	return k;
}

const struct served *load_find_in(unsigned view, const uint8_t *wire)
{
	const struct key k = key_of(view, wire);
	return map_get(self.by_name, k.name, k.len);
}

const struct served *load_find(const uint8_t *wire)
{
	return load_find_in(0, wire);
}

const struct served *load_seen(const struct sockaddr *client, const uint8_t *wire)
{
	unsigned view = conf.views.n ? conf_view_of(client) : 0;
	const struct served *s = load_find_in(view, wire);
	return s || !view ? s : load_find(wire);
}

void load_count(unsigned zone)
{
	self.served[zone]->queries++;
}

void load_changed(served_change_fn *fn)
{
	if (self.listeners < LISTENERS)
		self.listener[self.listeners++] = fn;
}

void load_watch(void (*fn)(void))
{
	self.came_or_went = fn;
}

void load_touch(void)
{
	if (self.came_or_went)
		self.came_or_went();
}

/* --- exchanging images --------------------------------------------------------------------- */

static void close_image(void *arg)
{
	struct image *image = arg;
	image_close(&image);
}

static void image_closed(void *arg, bool cancelled)
{
	if (cancelled)
		close_image(arg);
}

/* Unmapping a large one takes its time. */
static void put_away(const struct image *image)
{
	if (image && !job_start(close_image, image_closed, (void *)(uintptr_t)image))
		close_image((void *)(uintptr_t)image);
}

/* Returns the serial of the image before, which goes; 0: there was none. */
static uint32_t serve_image(struct served *s, const struct image *image)
{
	const struct image *old = s->image;
	uint32_t before = old ? image_serial(old) : 0;
	zones_set(self.zones[s->view], s->wire, s->expired ? NULL : image, s->number);
	s->image = image;
	put_away(old);
	return before;
}

void load_expire(unsigned zone, bool expired)
{
	struct served *s = self.served[zone];
	s->expired = expired;
	zones_set(self.zones[s->view], s->wire, expired ? NULL : s->image, s->number);
	zones_expire(self.zones[s->view], s->wire, expired);
}

static void tell(const struct served *s, uint32_t before)
{
	uint32_t serial = image_serial(s->image);
	for (unsigned i = 0; i < self.listeners && serial != before; i++)
		self.listener[i](s->number, before, serial);
}

/* --- zones come and go ------------------------------------------------------------------------ */

static unsigned free_number(void)
{
	unsigned i = self.used;
	while (i < self.n && self.served[i])
		i++;
	if (i == self.n) {
		self.n = self.n ? 2 * self.n : 16;
		self.served = mem_realloc(self.served, self.n * sizeof(*self.served));
		memset(self.served + i, 0, (self.n - i) * sizeof(*self.served));
	}
	self.used = i + 1;
	return i;
}

struct served *load_add(const uint8_t *wire, const char *file)
{
	return load_add_in(0, wire, file);
}

static const char *name_of(const struct served *s)
{
	char text[DNS_NAME_TEXT];
	const char *name = s->conf->name;
	if (!name) {
		dns_name_text(text, s->wire);
		name = text;
	}
	return pool_printf(s->pool, "%s%s%s", name, s->view ? "@" : "", conf_view_name(s->view));
}

struct served *load_add_in(unsigned view, const uint8_t *wire, const char *file)
{
	struct pool *pool = pool_new(0);
	struct served *s = pool_alloc(pool, sizeof(*s));
	const struct key k = key_of(view, wire);
	memcpy(s->wire, wire, dns_name_len(wire));
	s->pool = pool;
	s->number = free_number();
	s->view = view;
	s->conf = conf_zone_in(view, wire);
	s->name = name_of(s);
	s->file = file;
	s->image_name = compile_image_name_in(pool, view, wire);
	self.served[s->number] = s;
	map_set(self.by_name, k.name, k.len, s);
	zones_set(self.zones[view], s->wire, NULL, s->number);
	load_touch();
	return s;
}

void load_named(const uint8_t *wire)
{
	struct served *s = (struct served *)(uintptr_t)load_find(wire);
	const struct zone_conf *z = conf_zone(wire);
	if (!s && z->name) {
		s = load_add(wire, NULL);
		load_present(s);
		load_store_find(s);
	} else if (s && !z->name && !s->id) {
		load_remove(s);
	} else if (s) {
		s->conf = z;
		s->name = name_of(s);
		if (z->name)
			load_store_named(s);
	}
}

void load_leave(struct served *s, bool left)
{
	s->left = left;
	if (!left) {
		zones_set(self.zones[s->view], s->wire, NULL, s->number);
		return;
	}
	timer_clear(&s->later);
	zones_remove(self.zones[s->view], s->wire);
	put_away(s->image);
	s->image = NULL;
	s->expired = s->again = false;
}

static void forget(struct served *s)
{
	struct pool *pool = s->pool;
	pool_free(&pool);
}

static void task_free(struct task *t)
{
	buf_free(&t->work.errors);
	free(t);
}

void load_remove(struct served *s)
{
	struct list *at = self.tasks.next, *next;
	for (; at != &self.tasks; at = next) {
		struct task *t = list_entry(at, struct task, link);
		bool in_work = self.busy && at == self.tasks.next;
		next = at->next;
		if (t->zone == s && in_work) {
			s->gone = true;
		} else if (t->zone == s) {
			list_del(&t->link);
			if (t->reload)
				load_reloaded(t->reload, s, NULL);
			task_free(t);
		}
	}
	const struct key k = key_of(s->view, s->wire);
	timer_clear(&s->later);
	zones_remove(self.zones[s->view], s->wire);
	put_away(s->image);
	s->image = NULL;
	map_del(self.by_name, k.name, k.len);
	self.served[s->number] = NULL;
	load_touch();
	if (s->number < self.used)
		self.used = s->number;
	if (!s->gone)
		forget(s);
}

/* --- compiling ----------------------------------------------------------------------------- */

static void log_lines(const struct served *s, struct slice lines, bool failed)
{
	for (int i = 0; lines.len && i < LOGGED_LINES; i++)
		log_event(failed ? LOG_LV_ERROR : LOG_LV_WARN, NULL,
			  failed ? "zone-mistake" : "zone-warning", LS("zone", s->name),
			  LSL("line", slice_cut(&lines, '\n')));
}

static void log_task(const struct served *s, const struct compile *c)
{
	struct image_stats n = {0};
	log_lines(s, buf_slice(&c->errors), c->mistakes > 0);
	if (!c->out) {
		log_event(LOG_LV_ERROR, NULL, "zone-failed", LS("zone", s->name),
			  LS("from", s->file ? s->file : "store"), LU("mistakes", c->mistakes),
			  LS("served", s->image ? "as it was before" : "no"));
		return;
	}
	image_numbers(c->out, &n);
	log_event(LOG_LV_INFO, NULL, "zone-loaded", LS("zone", s->name),
		  LU("serial", image_serial(c->out)), LU("names", n.names),
		  LU("records", n.records), LU("compiled", c->built), LU("ms", c->ms));
}

/* It could not be compiled, but another process was faster, and has signed again what is served. */
static void take_signed(struct served *s)
{
	const char *why;
	struct image *image = image_open(self.state, s->image_name, &why);
	if (image && s->image && image_origin(image)->dnssec &&
	    image_origin(image)->id == image_origin(s->image)->id &&
	    dns_name_eq(image_zone(image), s->wire) &&
	    image_serial(image) != image_serial(s->image)) {
		tell(s, serve_image(s, image));
		image = NULL;
	}
	image_close(&image);
}

static void begin_next(void);
static void on_due(struct timer *t);

static void task_end(struct task *t)
{
	struct served *s = t->zone;
	struct compile *c = &t->work;
	struct slice first = buf_slice(&c->errors);
	first = slice_cut(&first, '\n');
	if (s->gone || s->left) {
		image_close(&c->out);
	} else if (!(c->dnssec & DNSSEC_TELL)) {
		log_task(s, c);
		s->again = !c->out && c->again;
		str_fmt(s->why, sizeof(s->why), "%.*s", c->out && !c->renewed ? 0 : (int)first.len,
			first.p);
	}
	if (t->reload)
		load_reloaded(t->reload, s, s->gone ? NULL : c);
	if (c->built && !s->gone)
		load_store_built(s, c->ms);
	if (c->out)
		tell(s, serve_image(s, c->out));
	else if (!s->gone)
		take_signed(s);
	if (c->out && conf.views.n && image_origin(c->out)->dnssec)
		timer_set(&self.due, DUE_SOON_MS, on_due);
	if (s->gone)
		forget(s);
	task_free(t);
}

/* The first task is over. */
static void first_end(const struct built *b, struct slice errors)
{
	struct task *t = list_entry(list_pop(&self.tasks), struct task, link);
	struct compile *c = &t->work;
	const char *why;
	self.busy = false;
	buf_add_slice(&c->errors, errors);
	c->mistakes = b ? b->mistakes : 1;
	c->again = b && b->again;
	c->renewed = b && b->renewed;
	if (b && b->ok) {
		c->built = b->built;
		c->ms = b->ms;
		c->out = image_open(self.state, c->image, &why);
		if (c->out && !dns_name_eq(image_zone(c->out), c->zone))
			image_close(&c->out);
		if (!c->out)
			c->mistakes++;
	}
	task_end(t);
	begin_next();
}

static void on_built(const struct built *b, struct slice errors)
{
	if (self.busy)
		first_end(b, errors);
}

static void begin_next(void)
{
	static const char gone[] = "zones cannot be compiled: hamletctl daemon restart dnsd\n";
	if (self.busy)
		return;
	if (list_empty(&self.tasks)) {
		void (*done)(void) = self.waits ? NULL : self.done;
		if (done)
			self.done = NULL;
		if (done)
			done();
		return;
	}
	struct task *t = list_entry(self.tasks.next, struct task, link);
	self.busy = true;
	/* Its socket may be there without it: the builder would wait, and every zone with it. */
	t->work.away = conf_uses_store() && !peer_up(uplink_store());
	if (!builder_ask(t->zone->view, &t->work))
		first_end(NULL, slice_of(gone));
}

static struct compile compile_of(const struct served *s, bool force)
{
	return (struct compile){.state = self.state,
				.image = s->image_name,
				.zone = s->wire,
				.conf = s->conf,
				.file = s->file,
				.id = s->id,
				.version = s->version,
				.force = force};
}

static struct task *queue(struct served *s, bool force, struct reload *r)
{
	struct task *t = mem_alloc(sizeof(*t));
	t->zone = s;
	t->work = compile_of(s, force);
	t->reload = r;
	list_add_tail(&self.tasks, &t->link);
	return t;
}

void load_task(struct served *s, bool force, struct reload *r)
{
	queue(s, force, r);
	begin_next();
}

void load_dnssec_task(struct served *s, unsigned what, uint32_t ds_ttl, struct reload *r)
{
	struct task *t = queue(s, false, r);
	t->work.dnssec = what;
	t->work.ds_ttl = ds_ttl;
	begin_next();
}

void load_dnssec(unsigned zone, unsigned what, uint32_t ds_ttl)
{
	load_dnssec_task(self.served[zone], what, ds_ttl, NULL);
}

void load_again(unsigned zone, bool force)
{
	struct served *s = self.served[zone];
	if (s->left)
		return;
	for (struct list *at = self.tasks.next; at != &self.tasks; at = at->next) {
		struct task *t = list_entry(at, struct task, link);
		bool in_work = self.busy && at == self.tasks.next;
		if (t->zone == s && !in_work) {
			t->work.force |= force;
			return;
		}
	}
	load_task(s, force, NULL);
}

bool load_present(struct served *s)
{
	struct image *old = NULL;
	struct compile c = compile_of(s, false);
	struct image *image = compile_fresh(&c, &old);
	/* That of a text which is the zone's no longer tells nothing of what the store has. */
	if (old && !s->file && !image_origin(old)->id)
		image_close(&old);
	serve_image(s, image ? image : old);
	return image != NULL;
}

void load_withdraw(struct served *s)
{
	serve_image(s, NULL);
}

void load_wait(bool on)
{
	self.waits = on;
	if (!on)
		begin_next();
}

/* A zone of the same name, which another view has, is signed by other keys than this one: they have
 * moved on, and both have to. */
static bool keys_moved(const struct served *s)
{
	for (unsigned view = 0; view <= conf.views.n; view++) {
		const struct served *o = view == s->view ? NULL : load_find_in(view, s->wire);
		if (o && o->image && s->image && image_origin(o->image)->dnssec &&
		    image_origin(s->image)->dnssec &&
		    image_origin(o->image)->keys != image_origin(s->image)->keys)
			return true;
	}
	return false;
}

/* Signatures end and keys go on by the clock; what failed for that is tried again. */
static void on_due(struct timer *t)
{
	for (unsigned i = 0; i < self.n; i++) {
		const struct served *s = self.served[i];
		if (!s)
			continue;
		bool moved = conf.views.n && keys_moved(s);
		if (moved || s->again || (s->image && dnssec_is_due(s->conf, s->image)))
			load_again(i, moved);
	}
	timer_set(t, DUE_MS, on_due);
}

void load_start(int state, void (*done)(void))
{
	self.zones = mem_alloc((conf.views.n + 1) * sizeof(struct zones *));
	self.zones[0] = zones_new();
	for (size_t i = 1; i <= conf.views.n; i++)
		self.zones[i] = zones_over(self.zones[0]);
	self.by_name = map_new();
	self.state = state;
	self.done = done;
	list_init(&self.tasks);
	builder_watch(on_built);
	timer_set(&self.due, DUE_MS, on_due);
	const struct zone_conf *z;
	for (size_t i = 0; (z = conf_zone_at(i)); i++) {
		struct served *s = load_add_in(z->view, z->wire, z->text);
		bool ours = z->catalog == CATALOG_OURS && !conf_uses_store();
		if (!load_present(s) && (s->file || ours))
			queue(s, false, NULL);
	}
	if (conf_uses_store())
		load_store_start(state);
	begin_next();
}
