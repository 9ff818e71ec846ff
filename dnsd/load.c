/* Zones: from text to image to service. One image is compiled at a time, by the builder; the zone
 * that is served is exchanged in the loop, between two queries. What cannot be compiled leaves what
 * is served as it is. */
#include <stdlib.h>
#include "dnsd/answer.h"
#include "dnsd/dnsd.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/job.h"
#include "libcommon/net/loop.h"

enum { LOGGED_LINES = 20, STATS_ZONES = 1000 /* each has a line */ };

struct served {
	const struct zone_conf *conf;
	const char *image_name;
	const struct image *image; /* that is served */
	uint64_t queries, loaded_ms;
	char why[256]; /* the first mistake of the last try; "": it went well */
};

/* A `zone reload` that waits for its tasks. */
struct reload {
	struct control_call *call;
	unsigned left, failed;
};

struct task {
	struct list link;
	unsigned zone;
	struct reload *reload; /* NULL: of the start */
	struct compile work;
};

static struct {
	struct pool *pool;
	struct zones *zones;
	struct served *served;
	unsigned n;
	int state;
	struct list tasks; /* the first is in work when `busy` */
	bool busy;
	void (*done)(void); /* NULL: was called */
} self;

const struct zones *load_zones(void)
{
	return self.zones;
}

void load_count(unsigned zone)
{
	self.served[zone].queries++;
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

static void serve_image(unsigned zone, const struct image *image)
{
	struct served *s = &self.served[zone];
	const struct image *old = zones_set(self.zones, s->conf->wire, image, zone);
	s->image = image;
	s->loaded_ms = clock_ms();
	/* Unmapping a large one takes its time. */
	if (old && !job_start(close_image, image_closed, (void *)(uintptr_t)old))
		close_image((void *)(uintptr_t)old);
}

/* --- compiling ----------------------------------------------------------------------------- */

static void log_lines(const struct served *s, struct slice lines, bool failed)
{
	for (int i = 0; lines.len && i < LOGGED_LINES; i++)
		log_event(failed ? LOG_LV_ERROR : LOG_LV_WARN, NULL,
			  failed ? "zone-mistake" : "zone-warning", LS("zone", s->conf->name),
			  LSL("line", slice_cut(&lines, '\n')));
}

static void log_task(const struct served *s, const struct compile *c)
{
	struct image_stats n = {0};
	log_lines(s, buf_slice(&c->errors), c->mistakes > 0);
	if (!c->out) {
		log_event(LOG_LV_ERROR, NULL, "zone-failed", LS("zone", s->conf->name),
			  LS("file", c->file), LU("mistakes", c->mistakes),
			  LS("served", s->image ? "as it was before" : "no"));
		return;
	}
	image_numbers(c->out, &n);
	log_event(LOG_LV_INFO, NULL, "zone-loaded", LS("zone", s->conf->name),
		  LU("serial", image_serial(c->out)), LU("names", n.names),
		  LU("records", n.records), LU("compiled", c->built), LU("ms", c->ms));
}

static void reload_end(struct reload *r)
{
	char why[80] = "";
	if (r->failed)
		str_fmt(why, sizeof(why), "%u zone%s could not be loaded and stay%s as before",
			r->failed, r->failed > 1 ? "s" : "", r->failed > 1 ? "" : "s");
	control_done(r->call, why[0] ? why : NULL);
	free(r);
}

static void reload_task(struct reload *r, const struct served *s, const struct compile *c)
{
	struct buf *out = &r->call->out;
	buf_add_slice(out, buf_slice(&c->errors));
	if (c->out)
		buf_printf(out, "%s: serial %u%s\n", s->conf->name, image_serial(c->out),
			   c->built ? "" : ", unchanged");
	r->failed += !c->out;
	if (--r->left == 0)
		reload_end(r);
}

static void begin_next(void);

static void task_end(struct task *t)
{
	struct served *s = &self.served[t->zone];
	struct slice first = buf_slice(&t->work.errors);
	first = slice_cut(&first, '\n');
	log_task(s, &t->work);
	str_fmt(s->why, sizeof(s->why), "%.*s", t->work.out ? 0 : (int)first.len, first.p);
	if (t->work.out)
		serve_image(t->zone, t->work.out);
	if (t->reload)
		reload_task(t->reload, s, &t->work);
	buf_free(&t->work.errors);
	free(t);
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
		void (*done)(void) = self.done;
		self.done = NULL;
		if (done)
			done();
		return;
	}
	const struct task *t = list_entry(self.tasks.next, struct task, link);
	self.busy = true;
	if (!builder_ask(t->zone, t->work.force))
		first_end(NULL, slice_of(gone));
}

static struct compile compile_of(unsigned zone, bool force)
{
	const struct served *s = &self.served[zone];
	return (struct compile){.state = self.state,
				.image = s->image_name,
				.file = s->conf->text,
				.zone = s->conf->wire,
				.force = force};
}

static void task_add(unsigned zone, bool force, struct reload *r)
{
	struct task *t = mem_alloc(sizeof(*t));
	t->zone = zone;
	t->work = compile_of(zone, force);
	t->reload = r;
	list_add_tail(&self.tasks, &t->link);
}

void load_start(int state, void (*done)(void))
{
	self.pool = pool_new(0);
	self.zones = zones_new();
	self.n = (unsigned)conf.zones.n;
	self.served = pool_alloc(self.pool, (self.n + 1) * sizeof(*self.served));
	self.state = state;
	self.done = done;
	list_init(&self.tasks);
	builder_watch(on_built);
	for (unsigned i = 0; i < self.n; i++) {
		struct served *s = &self.served[i];
		struct image *old = NULL;
		s->conf = conf.zones.item[i];
		s->image_name = compile_image_name(self.pool, s->conf);
		struct compile c = compile_of(i, false);
		struct image *image = compile_fresh(&c, &old);
		serve_image(i, image ? image : old);
		if (!image)
			task_add(i, false, NULL);
	}
	begin_next();
}

/* --- commands ----------------------------------------------------------------------------------
 */

static unsigned zone_find(const char *text)
{
	uint8_t name[DNS_NAME_MAX];
	unsigned i = dns_name_from_text(slice_of(text), name) ? 0 : self.n;
	while (i < self.n && !dns_name_eq(self.served[i].conf->wire, name))
		i++;
	return i;
}

/* A named zone is compiled in any case: the text may include files that have changed. */
static void reload(struct control_call *call, bool force)
{
	unsigned from = 0, to = self.n;
	if (call->words.n > 3) {
		control_done(call, "usage: zone reload [NAME]");
		return;
	}
	if (call->words.n == 3) {
		from = zone_find(call->words.w[2]);
		to = from + 1;
	}
	if (from == self.n) {
		control_done(call, call->words.n == 3 ? "no such zone" : NULL);
		return;
	}
	struct reload *r = mem_alloc(sizeof(*r));
	*r = (struct reload){.call = call, .left = to - from};
	for (unsigned i = from; i < to; i++)
		task_add(i, force && call->words.n == 3, r);
	begin_next();
}

/* key=value, quoted as in files. */
static void put(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, " \"%s=", key);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *value);
	}
	buf_addc(out, '"');
}

static void list_zones(struct buf *out)
{
	for (unsigned i = 0; i < self.n; i++) {
		const struct served *s = &self.served[i];
		struct image_stats n = {0};
		if (s->image)
			image_numbers(s->image, &n);
		buf_printf(out, "\"zone=%s\" serial=%u names=%llu records=%llu state=%s",
			   s->conf->name, s->image ? image_serial(s->image) : 0,
			   (unsigned long long)n.names, (unsigned long long)n.records,
			   !s->image   ? "failed"
			   : s->why[0] ? "old"
				       : "served");
		put(out, "file", s->conf->text);
		put(out, "error", s->why);
		buf_addc(out, '\n');
	}
}

bool load_command(struct control_call *call)
{
	const char *const *w = call->words.w;
	if (call->words.n < 2 || strcmp(w[0], "zone") != 0)
		return false;
	if (strcmp(w[1], "reload") == 0 || strcmp(w[1], "refresh") == 0) {
		reload(call, strcmp(w[1], "reload") == 0);
	} else if (strcmp(w[1], "list") == 0) {
		list_zones(&call->out);
		control_done(call, NULL);
	} else {
		return false;
	}
	return true;
}

void load_stats(struct buf *out)
{
	unsigned served = 0;
	for (unsigned i = 0; i < self.n; i++) {
		const struct served *s = &self.served[i];
		served += s->image != NULL;
		if (i < STATS_ZONES)
			buf_printf(out, "dnsd_zone_queries_total{zone=\"%s\"} %llu\n",
				   s->conf->name, (unsigned long long)s->queries);
	}
	buf_printf(out, "dnsd_zones_served %u\ndnsd_zones_configured %u\n", served, self.n);
}
