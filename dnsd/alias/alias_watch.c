/* Looks up what ALIAS records lead to. Every process sees to it that its zones have the addresses
 * that the leader has found. */
#include <errno.h>
#include <stdlib.h>
#include "dnsd/alias/alias.h"
#include "dnsd/answer/answer.h"
#include "dnsd/leader.h"
#include "dnsd/alias/resolver.h"
#include "libcommon/base/list.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/stub.h"
#include "libcommon/net/loop.h"

enum {
	LOOK_MS = 1000,  /* how soon other processes see what the leader has found */
	TTL_LEAST = 30,  /* seconds; also how soon a failed look-up is tried again */
	TTL_MOST = 3600, /* ... and a zone of ours that a target is in has its changes seen */
	OWN_MS = 200,    /* after a change of a zone of ours, to gather others */
	HOPS = ANSWER_HOPS,
};

/* A zone with ALIAS records. */
struct watched {
	struct list link;
	unsigned view;
	uint8_t wire[DNS_NAME_MAX];
	struct alias_list targets, records;
};

/* A name that some lead to; of the leader. */
struct lookup {
	struct list link;
	uint8_t name[DNS_NAME_MAX];
	bool own;       /* it is in a zone of ours, or leads out of one */
	bool known;     /* found is valid, perhaps from before the start */
	bool circle;    /* it leads back to itself, or into a circle */
	unsigned asked; /* questions under way */
	bool failed;
	struct image_addresses found, next;
	struct timer timer;
};

static struct {
	int state;
	struct list zones, lookups;
	struct timer look, own;
} self = {.state = -1};

/* --- zones --------------------------------------------------------------------------------------
 */

static struct watched *watched_find(unsigned view, const uint8_t *wire)
{
	list_each(it, &self.zones)
	{
		struct watched *w = list_entry(it, struct watched, link);
		if (w->view == view && dns_name_eq(w->wire, wire))
			return w;
	}
	return NULL;
}

static void watched_free(struct watched *w)
{
	list_del(&w->link);
	alias_list_free(&w->targets);
	alias_list_free(&w->records);
	free(w);
}

/* Compiled without the addresses that there are now. */
static bool stale(const struct served *s)
{
	return s->image &&
	       image_origin(s->image)->addresses != alias_version(self.state, s->image_name);
}

static void on_look(struct timer *t)
{
	list_each_safe(it, nx, &self.zones)
	{
		struct watched *w = list_entry(it, struct watched, link);
		const struct served *s = load_find_in(w->view, w->wire);
		if (!s)
			watched_free(w);
		else if (stale(s))
			load_again(s->number, false);
	}
	timer_set(t, LOOK_MS, on_look);
}

/* --- look-ups ------------------------------------------------------------------------------------
 */

static struct lookup *lookup_find(const uint8_t *name)
{
	list_each(it, &self.lookups)
	{
		struct lookup *l = list_entry(it, struct lookup, link);
		if (dns_name_eq(l->name, name))
			return l;
	}
	return NULL;
}

static bool wanted(const struct lookup *l)
{
	list_each(it, &self.zones)
	{
		struct watched *w = list_entry(it, struct watched, link);
		if (alias_list_find(&w->targets, l->name))
			return true;
	}
	return false;
}

static void write_addresses(struct watched *w, const struct served *s)
{
	struct buf text;
	buf_init(&text, ALIAS_FILE);
	for (size_t i = 0; i < w->targets.n; i++) {
		struct alias_target *t = &w->targets.target[i];
		const struct lookup *l = lookup_find(t->name);
		if (l && l->known) {
			t->known = true;
			t->found = l->found;
		}
	}
	alias_text_addresses(&w->targets, &text);
	if (!beside_write(self.state, s->image_name, "addresses", buf_slice(&text)))
		log_event(LOG_LV_ERROR, NULL, "alias-addresses", LS("zone", s->name),
			  LS("reason", strerror(errno)));
	else if (stale(s))
		load_again(s->number, false);
	buf_free(&text);
}

static void tell_zones(const struct lookup *l)
{
	list_each(it, &self.zones)
	{
		struct watched *w = list_entry(it, struct watched, link);
		const struct served *s = load_find_in(w->view, w->wire);
		if (s && alias_list_find(&w->targets, l->name))
			write_addresses(w, s);
	}
}

static bool same(const struct image_addresses *a, const struct image_addresses *b)
{
	return a->a_n == b->a_n && a->aaaa_n == b->aaaa_n &&
	       !memcmp(a->a, b->a, a->a_n * sizeof(a->a[0])) &&
	       !memcmp(a->aaaa, b->aaaa, a->aaaa_n * sizeof(a->aaaa[0]));
}

static int by_octets4(const void *a, const void *b)
{
	return memcmp(a, b, 4);
}

static int by_octets16(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static void look_up(struct timer *t);

/* Its questions are answered. Where they cannot be, what was known stays. TTLs count down in caches
 * between: the zone's records have the one that was seen first. */
static void lookup_over(struct lookup *l)
{
	uint32_t ttl = l->next.ttl;
	ttl = l->failed || ttl < TTL_LEAST ? TTL_LEAST : ttl > TTL_MOST ? TTL_MOST : ttl;
	timer_set(&l->timer, ttl * 1000ull, look_up);
	if (l->failed)
		return;
	qsort(l->next.a, l->next.a_n, sizeof(l->next.a[0]), by_octets4);
	qsort(l->next.aaaa, l->next.aaaa_n, sizeof(l->next.aaaa[0]), by_octets16);
	if (l->known && same(&l->found, &l->next))
		return;
	l->known = true;
	l->found = l->next;
	l->found.ttl = ttl;
	tell_zones(l);
}

static void take(struct image_addresses *to, uint16_t type, const uint8_t *address, uint32_t ttl)
{
	if (type == DNS_A && to->a_n < IMAGE_ADDRESSES)
		memcpy(to->a[to->a_n++], address, sizeof(to->a[0]));
	else if (type == DNS_AAAA && to->aaaa_n < IMAGE_ADDRESSES)
		memcpy(to->aaaa[to->aaaa_n++], address, sizeof(to->aaaa[0]));
	if (ttl < to->ttl)
		to->ttl = ttl;
}

static void on_answer(const struct stub_answer *a, void *arg)
{
	struct lookup *l = arg;
	if (a->kind != STUB_OK && a->kind != STUB_NODATA && a->kind != STUB_NXDOMAIN)
		l->failed = true;
	if (a->kind != STUB_OK && a->ttl < l->next.ttl)
		l->next.ttl = a->ttl;
	for (size_t i = 0; a->kind == STUB_OK && i < a->n; i++)
		take(&l->next, a->type,
		     a->type == DNS_A ? (const uint8_t *)&a->rr[i].a
				      : (const uint8_t *)&a->rr[i].aaaa,
		     a->ttl);
	if (--l->asked == 0)
		lookup_over(l);
}

static void ask(struct lookup *l, const uint8_t *name)
{
	static const uint16_t type[] = {DNS_A, DNS_AAAA};
	char text[DNS_NAME_TEXT];
	size_t len = dns_name_text(text, name);
	for (size_t i = 0; i < sizeof(type) / sizeof(type[0]); i++) {
		if (stub_ask(resolver(), (struct slice){text, len}, type[i], on_answer, l))
			l->asked++;
		else
			l->failed = true;
	}
	if (!l->asked)
		lookup_over(l);
}

static void take_rrset(struct lookup *l, const struct image *i, const struct image_match *m,
		       uint16_t type)
{
	uint8_t rdata[DNS_RDATA_MAX];
	struct piece p;
	struct image_rr rr;
	bool ok = true;
	if (!image_piece(i, m->node, PART_ANSWER, type, &p))
		return;
	for (size_t at = 0; ok && image_rr(m, &p, &p, &at, &rr);)
		if (image_rdata(m, &p, &p, &rr, rdata, &ok) && ok)
			take(&l->next, type, rdata, rr.ttl);
}

/* Where an ALIAS or a CNAME in our own zones leads to. False: there is none. */
static bool leads_on(uint8_t name[DNS_NAME_MAX])
{
	size_t len = dns_name_len(name);
	const struct zone *z = zones_find(load_zones(0), name, len);
	uint8_t target[DNS_NAME_MAX];
	struct image_match m;
	if (!z || !z->image)
		return false;
	image_find(z->image, name, len, &m);
	if (m.found != IMAGE_NAME && m.found != IMAGE_WILDCARD)
		return false;
	const struct watched *w = watched_find(0, z->name);
	const struct alias_target *record = w ? alias_list_find(&w->records, m.name) : NULL;
	size_t n = 0;
	if (record)
		memcpy(target, record->to, n = dns_name_len(record->to));
	else if (image_is_alias(m.node))
		n = image_target(z->image, &m, DNS_CNAME, target);
	memcpy(name, target, n);
	dns_name_lower(name);
	return n > 0;
}

/* Of zones that lead to each other, each would have for ever what the other had before. */
static bool in_circle(const uint8_t *from)
{
	uint8_t name[DNS_NAME_MAX];
	memcpy(name, from, dns_name_len(from));
	for (unsigned hop = 0; hop < HOPS; hop++)
		if (!leads_on(name))
			return false;
	return true;
}

static bool find_circle(struct lookup *l)
{
	char text[DNS_NAME_TEXT];
	bool before = l->circle;
	l->circle = in_circle(l->name);
	if (l->circle && !before) {
		dns_name_text(text, l->name);
		log_event(LOG_LV_WARN, NULL, "alias-circle", LS("name", text),
			  LS("reason", "ALIAS leads back to itself, or too far: no addresses"));
	}
	return l->circle;
}

/* Goes along aliases in our own zones (outside the views), as far as these go. True: the end is
 * there, and so are the addresses; false: name is where others must be asked. */
static bool own(struct lookup *l, uint8_t name[DNS_NAME_MAX])
{
	for (unsigned hop = 0; hop < HOPS; hop++) {
		size_t len = dns_name_len(name);
		const struct zone *z = zones_find(load_zones(0), name, len);
		struct image_match m;
		if (!z)
			return false;
		l->own = true;
		if (!z->image) { /* not loaded, or expired */
			l->failed = true;
			return true;
		}
		image_find(z->image, name, len, &m);
		if (m.found == IMAGE_CUT)
			return false;
		if (m.found != IMAGE_NAME && m.found != IMAGE_WILDCARD)
			return true;
		if (!image_is_alias(m.node)) {
			take_rrset(l, z->image, &m, DNS_A);
			take_rrset(l, z->image, &m, DNS_AAAA);
			return true;
		}
		uint8_t target[DNS_NAME_MAX];
		size_t n = image_target(z->image, &m, DNS_CNAME, target);
		if (!n)
			return true;
		memcpy(name, target, n);
		dns_name_lower(name);
	}
	return true;
}

static void look_up(struct timer *t)
{
	struct lookup *l = list_entry(t, struct lookup, timer);
	uint8_t name[DNS_NAME_MAX];
	if (l->asked)
		return;
	if (!wanted(l)) {
		timer_clear(&l->timer);
		list_del(&l->link);
		free(l);
		return;
	}
	l->next = (struct image_addresses){.ttl = TTL_MOST};
	l->failed = l->own = false;
	memcpy(name, l->name, dns_name_len(l->name));
	if (find_circle(l))
		l->own = true;
	if (l->circle || own(l, name))
		lookup_over(l);
	else
		ask(l, name);
}

static void lookup_start(const struct alias_target *t)
{
	struct lookup *l = lookup_find(t->name);
	if (l)
		return;
	l = mem_alloc(sizeof(*l));
	memcpy(l->name, t->name, dns_name_len(t->name));
	l->known = t->known;
	l->found = t->found;
	list_add_tail(&self.lookups, &l->link);
	timer_set(&l->timer, 1, look_up);
}

static void on_own(struct timer *t)
{
	(void)t;
	list_each_safe(it, nx, &self.lookups)
	{
		struct lookup *l = list_entry(it, struct lookup, link);
		if (l->own)
			look_up(&l->timer);
	}
}

/* --- what zones want ----------------------------------------------------------------------------
 */

static void lead(struct watched *w, const struct served *s)
{
	struct buf text;
	struct alias_list before = {0};
	if (beside_read(self.state, s->image_name, "addresses", ALIAS_FILE, &text))
		alias_parse_addresses(buf_slice(&text), &before);
	buf_free(&text);
	for (size_t i = 0; i < w->targets.n; i++) {
		struct alias_target *t = &w->targets.target[i];
		const struct alias_target *b = alias_list_find(&before, t->name);
		if (b)
			*t = *b;
		lookup_start(t);
	}
	alias_list_free(&before);
	write_addresses(w, s); /* another zone may have had them looked up */
}

static void refresh(const struct served *s)
{
	struct watched *w = watched_find(s->view, s->wire);
	struct alias_list targets = {0}, records = {0};
	struct buf text;
	if (beside_read(self.state, s->image_name, "targets", ALIAS_FILE, &text))
		alias_parse_targets(buf_slice(&text), &targets);
	buf_free(&text);
	if (beside_read(self.state, s->image_name, "aliases", ALIAS_FILE, &text))
		alias_parse_records(buf_slice(&text), &records);
	buf_free(&text);
	if (w)
		watched_free(w);
	if (!targets.n) {
		alias_list_free(&records);
		return;
	}
	w = mem_alloc(sizeof(*w));
	w->view = s->view;
	memcpy(w->wire, s->wire, dns_name_len(s->wire));
	w->targets = targets;
	w->records = records;
	list_add_tail(&self.zones, &w->link);
	if (leader())
		lead(w, s);
}

static void on_change(unsigned zone, uint32_t before, uint32_t serial)
{
	(void)before;
	(void)serial;
	const struct served *s = load_zone(zone);
	if (s)
		refresh(s);
	if (leader())
		timer_set(&self.own, OWN_MS, on_own);
}

static void on_leader(void)
{
	list_each(it, &self.zones)
	{
		struct watched *w = list_entry(it, struct watched, link);
		const struct served *s = load_find_in(w->view, w->wire);
		if (s)
			lead(w, s);
	}
}

void alias_start(int state)
{
	self.state = state;
	list_init(&self.zones);
	list_init(&self.lookups);
	for (unsigned i = 0; i < load_end(); i++)
		if (load_zone(i))
			refresh(load_zone(i));
	load_changed(on_change);
	leader_watch(on_leader);
	timer_set(&self.look, LOOK_MS, on_look);
}
