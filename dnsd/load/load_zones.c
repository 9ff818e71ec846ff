/* The zones that are served: they come and go, and the image of one is exchanged in the loop,
 * between two queries. */
#include <stdlib.h>
#include "dnsd/answer/answer.h"
#include "dnsd/load/load_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/job.h"
#include "libcommon/net/loop.h"

enum { LISTENERS = 8 };

static struct {
	struct zones **zones;   /* by view */
	struct served **served; /* by number; NULL: free */
	unsigned n, used;       /* all below `used` are taken */
	struct map *by_name; /* of none of the views: its name alone, else and the view's number */
	served_change_fn *listener[LISTENERS];
	unsigned listeners;
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

const struct served *load_find_text(const char *text)
{
	uint8_t name[DNS_NAME_MAX];
	const char *at = strrchr(text, '@');
	unsigned view = at ? conf_view(slice_of(at + 1)) : 0;
	if (!dns_name_from_text(view ? (struct slice){text, (size_t)(at - text)} : slice_of(text),
				name))
		return NULL;
	dns_name_lower(name);
	return load_find_in(view, name);
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

void load_serve(struct served *s, const struct image *image)
{
	const struct image *old = s->image;
	s->merge_at = clock_mono() + conf.overlay_time;
	zones_set(self.zones[s->view], s->wire, s->expired ? NULL : image, s->number);
	s->image = image;
	put_away(old);
}

void load_expire(unsigned zone, bool expired)
{
	struct served *s = self.served[zone];
	s->expired = expired;
	zones_set(self.zones[s->view], s->wire, expired ? NULL : s->image, s->number);
	zones_expire(self.zones[s->view], s->wire, expired);
}

void load_mismatch(unsigned zone, bool mismatch)
{
	self.served[zone]->mismatch = mismatch;
}

void load_tell(const struct served *s, uint32_t before)
{
	for (unsigned i = 0; i < self.listeners; i++)
		self.listener[i](s->number, before, image_serial(s->image));
}

/* A secondary that was fetched again may have other records with the serial that it had. */
void load_exchange(struct served *s, const struct image *image)
{
	uint32_t before = s->image ? image_serial(s->image) : 0;
	bool other = !s->image || image_serial(image) != before ||
		     image_origin(s->image)->content != image_origin(image)->content;
	load_serve(s, image);
	if (other)
		load_tell(s, before);
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

void load_forget(struct served *s)
{
	struct pool *pool = s->pool;
	pool_free(&pool);
}

void load_remove(struct served *s)
{
	load_drop_tasks(s);
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
		load_forget(s);
}

void load_zones_start(void)
{
	self.zones = mem_alloc((conf.views.n + 1) * sizeof(struct zones *));
	self.zones[0] = zones_new();
	for (size_t i = 1; i <= conf.views.n; i++)
		self.zones[i] = zones_over(self.zones[0]);
	self.by_name = map_new();
}
