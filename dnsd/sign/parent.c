/* Whether the parents of signed zones have the DS records that they should: asked of the recursive
 * servers as long as a zone waits for that, soon at first, then every few minutes. Every process
 * does it for itself: it is little, and who comes second finds it done. */
#include <stdlib.h>
#include "dnsd/sign/dnssec.h"
#include "dnsd/alias/resolver.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"

enum { SOON_MS = 3000, EVERY_MS = 300000 };

struct question {
	unsigned number;
	uint8_t zone[DNS_NAME_MAX];
};

static struct {
	struct timer timer;
	uint64_t wait_ms; /* until it is asked again: longer and longer */
	uint64_t next;    /* clock_mono() of the next time */
} self;

/* The DS records are those that the zone asks for by CDS (RFC 7344 4.1), or there are none and it
 * asks for none (RFC 8078 4). */
static bool as_asked(const struct image *i, const struct stub_answer *a)
{
	static const uint8_t none[] = {0, 0, 0, 0, 0};
	static uint8_t rdata[DNS_RDATA_MAX];
	struct image_match m;
	struct piece p;
	struct image_rr rr;
	size_t n = a->kind == STUB_OK ? a->n : 0, found = 0;
	bool ok = true;
	if (!image_apex(i, &m) || !image_piece(i, m.node, PART_ANSWER, DNS_CDS, &p))
		return false;
	for (size_t at = 0; image_rr(&m, &p, &p, &at, &rr) && ok;) {
		size_t len = image_rdata(&m, &p, &p, &rr, rdata, &ok);
		if (len == sizeof(none) && !memcmp(rdata, none, len))
			return n == 0;
		for (size_t k = 0; k < n; k++)
			found += a->rr[k].data.len == len && !memcmp(a->rr[k].data.p, rdata, len);
	}
	return ok && n > 0 && found == n && found == p.records;
}

static bool awaits(const struct served *s)
{
	return s && s->image && image_origin(s->image)->dnssec & IMAGE_AWAITS_PARENT;
}

static void on_answer(const struct stub_answer *a, void *arg)
{
	struct question *q = arg;
	const struct served *s = load_zone(q->number);
	bool said = a->kind == STUB_OK || a->kind == STUB_NODATA || a->kind == STUB_NXDOMAIN;
	if (said && awaits(s) && dns_name_eq(s->wire, q->zone) && as_asked(s->image, a)) {
		log_event(LOG_LV_INFO, NULL, "zone-parent", LS("zone", s->name),
			  LU("ds", a->kind == STUB_OK ? a->n : 0));
		load_dnssec(s->number, DNSSEC_PARENT, a->ttl);
	}
	free(q);
}

static void ask(const struct served *s)
{
	struct question *q = mem_alloc(sizeof(*q));
	char name[DNS_NAME_TEXT];
	size_t len = dns_name_text(name, s->wire);
	q->number = s->number;
	memcpy(q->zone, s->wire, dns_name_len(s->wire));
	if (!stub_ask(resolver(), (struct slice){name, len}, DNS_DS, on_answer, q))
		free(q);
}

static void on_timer(struct timer *t)
{
	for (unsigned i = 0; i < load_end(); i++)
		if (awaits(load_zone(i)))
			ask(load_zone(i));
	self.wait_ms = 2 * self.wait_ms < EVERY_MS ? 2 * self.wait_ms : EVERY_MS;
	self.next = clock_mono() + self.wait_ms;
	timer_set(t, self.wait_ms, on_timer);
}

void parent_look(void)
{
	self.wait_ms = SOON_MS;
	if (clock_mono() + SOON_MS >= self.next)
		return;
	self.next = clock_mono() + SOON_MS;
	timer_set(&self.timer, SOON_MS, on_timer);
}

static void on_change(unsigned zone, uint32_t before, uint32_t serial)
{
	(void)before;
	(void)serial;
	if (awaits(load_zone(zone)))
		parent_look();
}

void parent_start(void)
{
	load_changed(on_change);
	self.next = UINT64_MAX;
	parent_look();
}
