/* How many connections a destination bears, and who gets those of the process and its memory.
 *
 * A destination's limit grows by one when as many letters went well as it is, and is halved when
 * the peer refuses, drops or keeps silent; then it takes twice as many to grow. When all
 * connections of the process are in use, the longest idle one is closed; when none is idle, those
 * who want one wait in a ring, and who has more than an equal part, or has had his turn, closes his
 * behind its letter. Of the memory a destination has no more than it leaves free for others.
 *
 * A quarter of the connections is kept from destinations whose hosts have not taken one lately
 * (they wait in a ring of their own): hundreds that keep us waiting do not keep mail from those
 * that answer. */
#include "smtpd/relay_int.h"

enum {
	FIRST = 5, /* connections to a destination not known yet */
	TURN = 20, /* letters of a connection that others wait for */
	PATIENCE_MAX = 64,
	FORGIVE_MS = 10 * 60000,
	CUT_MS = 1000, /* one trouble of the peer breaks many connections, and counts once */
};

static struct list hungry, probers, starved;
static uint64_t used, probing, memory; /* connections, those that probe, octets */
static uint64_t tickets;
static size_t holders; /* destinations that have a connection or wait for one */

static bool holds(const struct dest *d)
{
	return d->n_conns || !list_empty(&d->hungry);
}

void limit_init(struct dest *d)
{
	if (!hungry.next) {
		list_init(&hungry);
		list_init(&probers);
		list_init(&starved);
	}
	list_init(&d->hungry);
	list_init(&d->starved);
	d->patience = 1;
	d->limit = d->route->connections < FIRST ? (unsigned)d->route->connections : FIRST;
}

void limit_good(struct dest *d)
{
	d->bad = 0;
	d->pause = 0;
	if (++d->good < (uint64_t)d->limit * d->patience || d->limit >= d->route->connections)
		return;
	d->good = 0;
	d->limit++;
}

/* A peer that refuses again and again is asked less and less often for more. */
static void lower(struct dest *d, size_t limit)
{
	uint64_t now = clock_mono();
	if (now > d->cut_ms + FORGIVE_MS)
		d->patience = 1;
	if (d->patience < PATIENCE_MAX)
		d->patience *= 2;
	d->cut_ms = now;
	d->good = 0;
	d->limit = limit ? (unsigned)limit : 1;
}

void limit_cut(struct dest *d)
{
	if (!d->cut_ms || clock_mono() >= d->cut_ms + CUT_MS)
		lower(d, d->limit / 2);
}

void limit_refused(struct dest *d)
{
	size_t ready = d->n_conns - d->n_coming;
	if (d->limit > ready)
		lower(d, ready);
}

/* A destination that is not known to answer may have one. */
static bool may_probe(void)
{
	return probing < relay_conf.connections - relay_conf.connections / 4;
}

static struct dest *first_of(const struct list *ring)
{
	return list_empty(ring) ? NULL : list_entry(ring->next, struct dest, hungry);
}

/* Whose turn it is: who has waited for longest, of those that may have one. */
static struct dest *next_hungry(void)
{
	struct dest *a = first_of(&hungry), *b = may_probe() ? first_of(&probers) : NULL;
	return !a || (b && b->ticket < a->ticket) ? b : a;
}

bool limit_take(struct dest *d)
{
	struct dest *next = next_hungry();
	bool held = holds(d), turn = (!next || next == d) && (d->proven || may_probe());
	if (turn && (used < relay_conf.connections || conn_close_idle())) {
		list_del(&d->hungry);
		used++;
		d->n_conns++;
		probing += d->proven ? 0 : 1;
		d->probing += d->proven ? 0 : 1;
	} else if (list_empty(&d->hungry)) {
		d->ticket = ++tickets;
		list_add_tail(d->proven ? &hungry : &probers, &d->hungry);
	}
	holders += held ? 0 : 1;
	return list_empty(&d->hungry);
}

static void probed(struct dest *d, unsigned n)
{
	d->probing -= n;
	probing -= n;
}

void limit_proven(struct dest *d)
{
	if (d->proven)
		return;
	d->proven = true;
	probed(d, d->probing);
	limit_no_conn(d); /* it asks again, in the other ring */
	limit_offer();
}

void limit_give(struct dest *d)
{
	used--;
	d->n_conns--;
	if (d->probing > d->n_conns)
		probed(d, 1);
	holders -= holds(d) ? 0 : 1;
	limit_offer();
}

bool limit_yield(const struct dest *d, unsigned letters)
{
	size_t part = relay_conf.connections / (holders ? holders : 1);
	if (!next_hungry() || used < relay_conf.connections)
		return false;
	/* What is left over by equal parts goes round. */
	return d->n_conns > part + 1 || (d->n_conns > part && letters >= TURN);
}

/* A letter that is larger than all of the memory goes alone. */
static bool memory_free(uint64_t size)
{
	return memory == 0 || memory + size <= relay_conf.memory;
}

/* It would have more than it leaves to others: peers that read slowly keep theirs for hours. */
static bool too_much(const struct dest *d, uint64_t size)
{
	return d->memory && d->memory + memory + 2 * size > relay_conf.memory;
}

bool limit_memory(struct dest *d, uint64_t size)
{
	if (too_much(d, size)) {
		list_del(&d->starved);
		return false;
	}
	bool others = !list_empty(&starved) && starved.next != &d->starved;
	d->wanted = size;
	if (!others && memory_free(size)) {
		list_del(&d->starved);
		memory += size;
		d->memory += size;
		return true;
	}
	if (list_empty(&d->starved))
		list_add_tail(&starved, &d->starved);
	return false;
}

void limit_memory_give(struct dest *d, uint64_t size)
{
	memory -= size;
	d->memory -= size;
	limit_offer();
}

void limit_offer(void)
{
	if (!hungry.next)
		return;
	struct dest *next = next_hungry();
	if (next && (used < relay_conf.connections || conn_any_idle()))
		dest_touch(next);
	if (!list_empty(&starved)) {
		struct dest *d = list_entry(starved.next, struct dest, starved);
		if (memory_free(d->wanted))
			dest_touch(d);
	}
}

void limit_no_conn(struct dest *d)
{
	bool held = holds(d);
	list_del(&d->hungry);
	holders -= held && !holds(d) ? 1 : 0;
}

void limit_no_memory(struct dest *d)
{
	list_del(&d->starved);
}
