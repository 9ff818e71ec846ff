/* A zone whose image is the first one here, as far as the state folder tells, begins with the
 * serial of its source. Perhaps the folder was lost, and with it the serial that had gone up by
 * itself: secondaries would take nothing before ours has come up to theirs. So they are asked which
 * one they have, and it goes above that. Those that do not answer are asked again for a while. Each
 * process does it for itself: it is little, and who comes second finds it done. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/image/beside.h"
#include "dnsd/image/image.h"
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/list.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/dns/serial.h"
#include "libcommon/net/loop.h"

enum {
	SOON_MS = 1000,
	FIRST_MS = 5000, /* until those that did not answer are asked again; then twice as long */
	ROUNDS = 9,      /* three quarters of an hour */
	AT_ONCE = 32,    /* questions under way, of all zones */
};

struct asking {
	struct list link; /* of all */
	struct timer timer;
	unsigned number, rounds, asked; /* asked: questions under way */
	uint32_t above;                 /* the highest serial that was heard; 0: none */
	bool *heard;                    /* by the place of the secondary */
	size_t n;
	uint8_t zone[DNS_NAME_MAX];
};
struct question {
	struct asking *a;
	size_t i;
	struct dns_server server;
};

static struct {
	int state;
	struct list all;
	unsigned asked;
} self = {.all = {&self.all, &self.all}};

static const struct served *zone_of(const struct asking *a)
{
	const struct served *s = load_zone(a->number);
	return s && s->image && dns_name_eq(s->wire, a->zone) ? s : NULL;
}

static bool is_begun(const struct served *s)
{
	char name[NAME_MAX + 1];
	return str_fmt(name, sizeof(name), "%s.%s", s->image_name, SERIAL_BEGUN) &&
	       faccessat(self.state, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void asking_free(struct asking *a)
{
	list_del(&a->link);
	timer_clear(&a->timer);
	free(a->heard);
	free(a);
}

static void on_time(struct timer *t);

static void round_over(struct asking *a)
{
	bool all = true;
	for (size_t i = 0; i < a->n; i++)
		all &= a->heard[i];
	a->rounds = all ? ROUNDS : a->rounds + 1;
	timer_set(&a->timer, all ? SOON_MS : (uint64_t)FIRST_MS << (a->rounds - 1), on_time);
	const struct served *s = zone_of(a);
	if (!s || !a->above || zone_serial_above(image_serial(s->image), a->above))
		return;
	log_event(LOG_LV_WARN, NULL, "serial-behind", LS("zone", s->name),
		  LU("serial", image_serial(s->image)), LU("secondaries", a->above));
	load_above(a->number, a->above);
}

static void on_soa(void *arg, enum soa_verdict v, const struct zone_soa *soa, const char *why)
{
	struct question *q = arg;
	struct asking *a = q->a;
	const struct served *s = zone_of(a);
	(void)why;
	self.asked--;
	if (v == SOA_HERE && s) {
		uint32_t than = a->above ? a->above : image_serial(s->image);
		a->heard[q->i] = true;
		if (zone_serial_above(soa->serial, than))
			a->above = soa->serial;
	}
	free(q);
	if (--a->asked == 0)
		round_over(a);
}

static void ask(struct asking *a, size_t i, const struct xfr_peer *p)
{
	struct question *q = mem_alloc(sizeof(*q));
	*q = (struct question){
	    .a = a,
	    .i = i,
	    .server = {.sa = p->net.sa, .sa_len = p->len, .text = "", .key = p->key}};
	a->asked++;
	self.asked++;
	soa_poll(a->zone, &q->server, on_soa, q);
}

/* Whom notify_out.c tells of the zone. */
static void ask_all(struct asking *a, const struct served *s)
{
	struct xfr_peers told = conf_xfr_told(&s->conf->xfr, &conf.xfr);
	if (!a->heard) {
		a->n = told.n;
		a->heard = mem_alloc(told.n + 1);
	}
	for (size_t i = 0; i < told.n && i < a->n; i++) {
		const struct sockaddr *to = (const struct sockaddr *)&told.peer[i].net.sa;
		a->heard[i] |= load_seen(to, s->wire) != s;
		if (!a->heard[i])
			ask(a, i, &told.peer[i]);
	}
	if (!a->asked)
		round_over(a);
}

static void on_time(struct timer *t)
{
	struct asking *a = list_entry(t, struct asking, timer);
	const struct served *s = zone_of(a);
	if (!s) {
		asking_free(a);
	} else if (!is_begun(s)) { /* another process has done it: its image is there */
		load_again(a->number, false);
		asking_free(a);
	} else if (self.asked >= AT_ONCE ||
		   (a->above && !zone_serial_above(image_serial(s->image), a->above))) {
		timer_set(&a->timer, SOON_MS, on_time);
	} else if (a->rounds < ROUNDS) {
		ask_all(a, s);
	} else {
		beside_write(self.state, s->image_name, SERIAL_BEGUN, SLICE(""));
		asking_free(a);
	}
}

static void look(const struct served *s)
{
	list_each(at,
		  &self.all) if (list_entry(at, struct asking, link)->number == s->number) return;
	struct asking *a = mem_alloc(sizeof(*a));
	a->number = s->number;
	memcpy(a->zone, s->wire, dns_name_len(s->wire));
	list_add_tail(&self.all, &a->link);
	timer_set(&a->timer, SOON_MS, on_time);
}

static void on_change(unsigned zone, uint32_t before, uint32_t serial)
{
	const struct served *s = load_zone(zone);
	(void)serial;
	if (s && s->image && !before && is_begun(s))
		look(s);
}

void serial_ask_start(int state)
{
	self.state = state;
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (s && s->image && is_begun(s))
			look(s);
	}
	load_changed(on_change);
}
