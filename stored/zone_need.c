/* What a dynamic update wants to find before it changes anything. */
#include <stdlib.h>
#include "stored/dir.h"
#include "stored/zone.h"

struct needs {
	struct zone_tx *t;
	const struct zone *z;
	struct zone_look look;
	struct zone_rrs rrs; /* of `owner` */
	const uint8_t *owner;
};

static const uint8_t *owner_of(const struct row_zone_need *need)
{
	return (const uint8_t *)need->owner.p;
}

static bool is_sound(const struct zone *z, const struct row_zone_need *need)
{
	const uint8_t *owner = owner_of(need);
	bool typed = need->kind != ZONE_NEED_NAME && need->kind != ZONE_NEED_NO_NAME;
	if (need->kind > ZONE_NEED_RR || !need->owner.len ||
	    dns_name_check(owner, need->owner.len) != need->owner.len ||
	    !dns_name_under(owner, (const uint8_t *)z->name.p))
		return false;
	if (typed && (need->type > UINT16_MAX || dns_type_is_meta((uint16_t)need->type)))
		return false;
	return need->kind != ZONE_NEED_RR ||
	       dns_rdata_check((uint16_t)need->type, (const uint8_t *)need->rdata.p,
			       need->rdata.len);
}

/* The records of a name; those that were looked at last are still there. */
static enum ipc_err look(struct needs *w, const uint8_t *owner)
{
	if (w->owner && dns_name_eq(w->owner, owner))
		return ERR_OK;
	w->owner = owner;
	return zone_owner_get(w->t, w->z, owner, &w->look, &w->rrs);
}

static bool has_type(const struct zone_rrs *rrs, uint32_t type)
{
	for (size_t i = 0; i < rrs->n; i++)
		if (rrs->rr[i].type == type)
			return true;
	return false;
}

static uint32_t unmet(const struct zone_rrs *rrs, const struct row_zone_need *need)
{
	switch (need->kind) {
	case ZONE_NEED_NAME:
		return rrs->n ? DNS_NOERROR : DNS_NXDOMAIN;
	case ZONE_NEED_NO_NAME:
		return rrs->n ? DNS_YXDOMAIN : DNS_NOERROR;
	case ZONE_NEED_SET:
		return has_type(rrs, need->type) ? DNS_NOERROR : DNS_NXRRSET;
	case ZONE_NEED_NO_SET:
		return has_type(rrs, need->type) ? DNS_YXRRSET : DNS_NOERROR;
	default:
		return DNS_NOERROR;
	}
}

/* --- rrsets with their data ------------------------------------------------------------------- */

static int data_cmp(uint16_t type, const struct row_zone_need *need, const struct zone_rr *rr)
{
	return zone_rdata_cmp(type, (const uint8_t *)need->rdata.p, need->rdata.len, rr->rdata,
			      rr->rdlen);
}

static int by_record(const void *ap, const void *bp)
{
	const struct row_zone_need *a = *(const struct row_zone_need *const *)ap,
				   *b = *(const struct row_zone_need *const *)bp;
	struct zone_rr rr = {.rdata = (const uint8_t *)b->rdata.p, .rdlen = b->rdata.len};
	int r = dns_name_cmp(owner_of(a), owner_of(b));
	if (!r)
		r = (a->type > b->type) - (a->type < b->type);
	return r ? r : data_cmp((uint16_t)a->type, a, &rr);
}

/* need[0..n): in order, of one name and type; twice the same counts once. */
static bool is_the_set(const struct zone_rrs *rrs, const struct row_zone_need **need, size_t n)
{
	uint16_t type = (uint16_t)need[0]->type;
	size_t at = 0, i = 0;
	while (i < rrs->n && rrs->rr[i].type != type)
		i++;
	for (; i < rrs->n && rrs->rr[i].type == type; i++) {
		if (at == n || data_cmp(type, need[at], &rrs->rr[i]) != 0)
			return false;
		while (at < n && data_cmp(type, need[at], &rrs->rr[i]) == 0)
			at++;
	}
	return at == n;
}

static enum ipc_err sets(struct needs *w, const struct row_zone_need **set, size_t n,
			 uint32_t *rcode)
{
	enum ipc_err e = ERR_OK;
	if (n)
		qsort(set, n, sizeof(*set), by_record);
	for (size_t i = 0, end; i < n && e == ERR_OK && *rcode == DNS_NOERROR; i = end) {
		for (end = i + 1; end < n && set[end]->type == set[i]->type &&
				  dns_name_eq(owner_of(set[i]), owner_of(set[end]));)
			end++;
		e = look(w, owner_of(set[i]));
		if (e == ERR_OK && !is_the_set(&w->rrs, set + i, end - i))
			*rcode = DNS_NXRRSET;
	}
	return e;
}

enum ipc_err zone_need(struct zone_tx *t, const struct zone *z, const struct row_zone_need *need,
		       uint32_t n, uint32_t *rcode)
{
	struct zone_tx scratch = *t;
	struct needs w = {.t = &scratch, .z = z};
	size_t sets_n = 0;
	enum ipc_err e = ERR_OK;
	const struct row_zone_need **set = pool_alloc(t->pool, (n + 1) * sizeof(*set));
	*rcode = DNS_NOERROR;
	for (uint32_t i = 0; i < n; i++)
		if (!is_sound(z, &need[i]))
			return zone_say(t, ERR_BAD, "a prerequisite is malformed");
	scratch.pool = pool_new(0);
	for (uint32_t i = 0; i < n && e == ERR_OK && *rcode == DNS_NOERROR; i++) {
		if (need[i].kind == ZONE_NEED_RR) {
			set[sets_n++] = &need[i];
			continue;
		}
		e = look(&w, owner_of(&need[i]));
		if (e == ERR_OK)
			*rcode = unmet(&w.rrs, &need[i]);
	}
	if (e == ERR_OK && *rcode == DNS_NOERROR)
		e = sets(&w, set, sets_n, rcode);
	t->why = scratch.why ? pool_strdup(t->pool, scratch.why) : t->why;
	zone_look_end(&w.look);
	pool_free(&scratch.pool);
	return e;
}
