/* Response policy zones that are served here (of the store, from primaries, from files): a list is
 * made of the image when there is another one, some names at a time, and takes the place of the old
 * one when it is whole. A zone that expires leaves its list: what it forbids stays forbidden. */
#include "dnsd/policy/policy_int.h"
#include "dnsd/image/image.h"
#include "dnsd/recurse/recurse.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

enum { NAMES_AT_ONCE = 2000 };

struct making {
	struct timer timer;
	const struct rpz_conf *conf;
	uint8_t zone[DNS_NAME_MAX];
	size_t zone_len;
	struct list *list; /* NULL: none is being made */
	struct image_walk walk;
	unsigned strange; /* records that are no triggers */
};

static struct making **makings;
static size_t makings_n;

static void add_record(struct making *m, const struct zone_rr *rr)
{
	uint8_t owner[DNS_NAME_MAX];
	struct zone_rr own = *rr;
	const char *why;
	size_t n = dns_name_len(rr->owner) - m->zone_len;
	memcpy(owner, rr->owner, n);
	owner[n] = 0;
	own.owner = owner;
	m->strange += !list_rr(m->list, &own, &why);
}

static void finish(struct making *m)
{
	log_event(LOG_LV_INFO, NULL, "rpz", LS("zone", list_name(m->list)),
		  LU("triggers", list_count(m->list)), LU("not-understood", m->strange));
	policy_replace_list(m->conf->list, m->list);
	m->list = NULL;
}

static void go_on(struct timer *t);

static void begin(struct making *m)
{
	const struct served *s = load_find(m->zone);
	list_free(&m->list);
	if (!s || !s->image)
		return;
	m->list = list_new(m->conf->block.args.w[0]);
	m->strange = 0;
	image_walk_begin(&m->walk, s->image);
	timer_set(&m->timer, 0, go_on);
}

static void go_on(struct timer *t)
{
	struct making *m = list_entry(t, struct making, timer);
	const struct served *s = load_find(m->zone);
	struct zone_rr rr;
	if (!s || s->image != m->walk.i) { /* the one that was read is gone */
		begin(m);
		return;
	}
	for (unsigned i = 0; i < NAMES_AT_ONCE; i++) {
		if (!image_walk_name(&m->walk)) {
			if (m->walk.bad)
				list_free(&m->list);
			else
				finish(m);
			return;
		}
		while (image_walk_rr(&m->walk, &rr))
			add_record(m, &rr);
	}
	timer_set(t, 0, go_on);
}

static void on_change(unsigned zone, uint32_t before, uint32_t serial)
{
	(void)before;
	(void)serial;
	const struct served *s = load_zone(zone);
	for (size_t i = 0; s && !s->view && i < makings_n; i++)
		if (dns_name_eq(s->wire, makings[i]->zone))
			begin(makings[i]);
}

void recurse_rpz_start(void)
{
	for (size_t i = 0; i < conf.policy.rpzs.n && conf_recurses(); i++) {
		const struct rpz_conf *c = conf.policy.rpzs.item[i];
		if (c->file)
			continue;
		struct making *m = mem_alloc(sizeof(*m));
		m->conf = c;
		m->zone_len = dns_name_from_text(slice_of(c->block.args.w[0]), m->zone);
		dns_name_lower(m->zone);
		makings = mem_realloc(makings, (makings_n + 1) * sizeof(*makings));
		makings[makings_n++] = m;
		begin(m);
	}
	if (makings_n)
		load_changed(on_change);
}
