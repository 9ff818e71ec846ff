/* Catalogs at work: ours are compiled again when zones come or go. */
#include "dnsd/catalog.h"
#include "libcommon/net/loop.h"

enum { GATHER_MS = 200 /* zones that come and go together */ };

static struct {
	struct timer ours;
} self;

static void compile_ours(struct timer *t)
{
	(void)t;
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (s && s->conf->catalog == CATALOG_OURS)
			load_again(i, false);
	}
}

static void on_zones(void)
{
	if (!timer_is_set(&self.ours))
		timer_set(&self.ours, GATHER_MS, compile_ours);
}

void catalog_start(int state)
{
	(void)state;
	if (conf_catalog_at(0))
		load_watch(on_zones);
}
