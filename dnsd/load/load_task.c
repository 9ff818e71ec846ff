/* One image is compiled at a time, by the builder. What cannot be compiled leaves what is served as
 * it is. */
#include <stdlib.h>
#include "dnsd/load/load_int.h"
#include "dnsd/sign/dnssec.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/ipc/uplink.h"

enum { LOGGED_LINES = 20 };

struct task {
	struct list link;
	struct served *zone;
	struct reload *reload; /* NULL: nobody waits */
	struct compile work;
};

static struct {
	int state;
	struct list tasks; /* the first is in work when `busy` */
	bool busy;
	void (*done)(void); /* NULL: was called */
	bool waits;         /* for the store, then done is called */
} self;

/* --- the end of a task ------------------------------------------------------------------------ */

static void log_lines(const struct served *s, struct slice lines, bool failed)
{
	for (int i = 0; lines.len && i < LOGGED_LINES; i++)
		log_event(failed ? LOG_LV_ERROR : LOG_LV_WARN, NULL,
			  failed ? "zone-mistake" : "zone-warning", LS("zone", s->name),
			  LSL("line", slice_cut(&lines, '\n')));
}

void load_log(const struct served *s, const struct image *image, bool built, uint64_t ms)
{
	struct image_stats n = {0};
	image_numbers(image, &n);
	log_event(LOG_LV_INFO, NULL, "zone-loaded", LS("zone", s->name),
		  LU("serial", image_serial(image)), LU("names", n.names), LU("records", n.records),
		  LU("compiled", built), LU("ms", ms));
}

static void log_task(const struct served *s, const struct compile *c)
{
	log_lines(s, buf_slice(&c->errors), c->mistakes > 0);
	if (!c->out) {
		log_event(LOG_LV_ERROR, NULL, "zone-failed", LS("zone", s->name),
			  LS("from", s->file ? s->file : "store"), LU("mistakes", c->mistakes),
			  LS("served", s->image ? "as it was before" : "no"));
		return;
	}
	load_log(s, c->out, c->built, c->ms);
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
		load_exchange(s, image);
		image = NULL;
	}
	image_close(&image);
}

static void task_free(struct task *t)
{
	buf_free(&t->work.errors);
	free(t);
}

static void begin_next(void);

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
		load_exchange(s, c->out);
	else if (!s->gone)
		take_signed(s);
	if (c->built && c->out && !s->gone &&
	    image_overlaid(c->out) > compile_overlay_most(c->out) / 2)
		load_merge(s, true);
	if (c->out && conf.views.n && image_origin(c->out)->dnssec)
		load_due_soon();
	if (s->gone)
		load_forget(s);
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
		c->out = image_open_next(self.state, c->image, t->zone->image, &why);
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

/* --- tasks ------------------------------------------------------------------------------------ */

struct compile load_compile(const struct served *s, bool force)
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
	t->work = load_compile(s, force);
	t->reload = r;
	list_add_tail(&self.tasks, &t->link);
	return t;
}

void load_queue(struct served *s)
{
	queue(s, false, NULL);
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
	load_dnssec_task((struct served *)(uintptr_t)load_zone(zone), what, ds_ttl, NULL);
}

void load_above(unsigned zone, uint32_t serial)
{
	struct served *s = (struct served *)(uintptr_t)load_zone(zone);
	if (s->left)
		return;
	queue(s, false, NULL)->work.above = serial;
	begin_next();
}

void load_again(unsigned zone, bool force)
{
	struct served *s = (struct served *)(uintptr_t)load_zone(zone);
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

/* An overlay grows with each change, and each change writes it: a large one becomes a part of its
 * image soon, a small one when the zone is at rest. */
void load_merge(struct served *s, bool now)
{
	uint32_t n = s->image && !s->left ? image_overlaid(s->image) : 0;
	if (!n || (!now && clock_mono() < s->merge_at))
		return;
	s->merge_at = clock_mono() + conf.overlay_time; /* should that fail */
	queue(s, false, NULL)->work.merge = true;
	begin_next();
}

void load_drop_tasks(struct served *s)
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
}

void load_wait(bool on)
{
	self.waits = on;
	if (!on)
		begin_next();
}

void load_tasks_start(int state, void (*done)(void))
{
	self.state = state;
	self.done = done;
	list_init(&self.tasks);
	builder_watch(on_built);
}

void load_tasks_go(void)
{
	begin_next();
}
