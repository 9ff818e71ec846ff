/* Responses that come later: what udp.c and tcp.c have in common. */
#include "dnsd/wire/later.h"
#include <stdlib.h>
#include "libcommon/base/mem.h"

static unsigned kept;

void *later_new(struct list *list, size_t size)
{
	if (kept == LATER_MAX)
		return NULL;
	struct later *l = mem_alloc(size);
	list_add_tail(list, &l->link);
	kept++;
	return l;
}

void later_free(struct later *l)
{
	if (l->end)
		l->end(l->arg);
	list_del(&l->link);
	kept--;
	free(l);
}

struct later *later_keep(const struct query_from *from)
{
	return from->keep ? from->keep(from->origin) : NULL;
}

void later_reply(struct later **l, const uint8_t *p, size_t len)
{
	struct later *one = *l;
	*l = NULL;
	if (!one->gone)
		one->reply(one, p, len);
	later_free(one);
}

void later_go_on(struct later **l, later_next_fn *next, later_end_fn *end, void *arg)
{
	struct later *one = *l;
	*l = NULL;
	one->next = next;
	one->end = end;
	one->arg = arg;
	if (one->gone || !one->go_on)
		later_free(one);
	else
		one->go_on(one);
}

/* One that is waited for by somebody stays, for them to end it. */
void later_gone(struct list *list)
{
	struct list *e;
	while ((e = list_pop(list))) {
		struct later *l = list_entry(e, struct later, link);
		l->gone = true;
		if (l->next)
			later_free(l);
	}
}
