/* Zones from their source to service: load_task.c has an image made, load_zones.c serves it. Here
 * is the start, and what the clock does. */
#include "dnsd/load/load_int.h"
#include "dnsd/sign/dnssec.h"
#include "libcommon/net/loop.h"

enum { DUE_MS = 30000, DUE_SOON_MS = 100 };

static struct timer due;

bool load_present(struct served *s)
{
	struct image *old = NULL;
	struct compile c = load_compile(s, false);
	struct image *image = compile_fresh(&c, &old);
	/* That of a text which is the zone's no longer tells nothing of what the store has. */
	if (old && !s->file && !image_origin(old)->id)
		image_close(&old);
	load_serve(s, image ? image : old);
	return image != NULL;
}

void load_withdraw(struct served *s)
{
	load_serve(s, NULL);
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
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (!s)
			continue;
		bool moved = conf.views.n && keys_moved(s);
		if (moved || s->again || (s->image && dnssec_is_due(s->conf, s->image)))
			load_again(i, moved);
		load_merge((struct served *)(uintptr_t)s, false);
	}
	timer_set(t, DUE_MS, on_due);
}

void load_due_soon(void)
{
	timer_set(&due, DUE_SOON_MS, on_due);
}

void load_start(int state, void (*done)(void))
{
	load_zones_start();
	load_tasks_start(state, done);
	timer_set(&due, DUE_MS, on_due);
	const struct zone_conf *z;
	for (size_t i = 0; (z = conf_zone_at(i)); i++) {
		struct served *s = load_add_in(z->view, z->wire, z->text);
		bool ours = z->catalog == CATALOG_OURS && !conf_uses_store();
		if (!load_present(s) && (s->file || ours))
			load_queue(s);
	}
	if (conf_uses_store())
		load_store_start(state);
	load_tasks_go();
}
