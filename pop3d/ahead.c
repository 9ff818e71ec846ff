/* Read-ahead: when a client fetches messages in their order, the next ones come from the store
 * along with the one it asks for, twice as many each time. What was read is kept until it is
 * fetched or another message is; all sessions together keep no more than TOTAL_BYTES. */
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "pop3d/pop3d.h"

enum { FIRST = 4, LARGE = 64 << 10, TOTAL_BYTES = 32 << 20 };

struct ahead {
	uint32_t n, next; /* messages, and the first that was not fetched yet */
	size_t len;
	struct {
		uint64_t uid;
		size_t off, len;
	} at[AHEAD_MAX];
	char bytes[];
};
static size_t total; /* octets kept by all sessions */

void ahead_free(struct box *b)
{
	if (!b->ahead)
		return;
	total -= b->ahead->len;
	free(b->ahead);
	b->ahead = NULL;
}

uint32_t ahead_plan(struct box *b, uint32_t index, uint64_t uid[AHEAD_MAX])
{
	uint32_t n = 0;
	uint64_t bytes = 0;
	bool in_order = index > 0 && index == b->next;
	b->next = index + 1;
	ahead_free(b);
	if (!in_order || total > TOTAL_BYTES) {
		b->window = 0;
		return 0;
	}
	b->window = b->window ? b->window * 2 : FIRST;
	if (b->window > AHEAD_MAX)
		b->window = AHEAD_MAX;
	for (uint32_t i = index; i < b->n && n < b->window; i++) {
		const struct message *m = &b->message[i];
		if (m->deleted)
			continue;
		if (m->size > LARGE || bytes + m->size > AHEAD_BYTES)
			break;
		bytes += m->size;
		uid[n++] = m->uid;
	}
	return n;
}

void ahead_take(struct box *b, const struct msg_messages_data *m)
{
	size_t len = 0;
	ahead_free(b);
	for (uint32_t i = 0; i < m->messages_n && i < AHEAD_MAX; i++)
		len += m->messages[i].bytes.len;
	/* Not cleared, as it is filled at once. */
	struct ahead *a = mem_realloc(NULL, sizeof(*a) + len);
	*a = (struct ahead){0};
	for (uint32_t i = 0; i < m->messages_n && i < AHEAD_MAX; i++) {
		struct slice body = m->messages[i].bytes;
		a->at[a->n].uid = m->messages[i].uid;
		a->at[a->n].off = a->len;
		a->at[a->n++].len = body.len;
		if (body.len)
			memcpy(a->bytes + a->len, body.p, body.len);
		a->len += body.len;
	}
	b->ahead = a;
	total += a->len;
	stats.read_ahead += a->n;
}

bool ahead_find(struct box *b, uint64_t uid, struct slice *out)
{
	struct ahead *a = b->ahead;
	for (uint32_t i = a ? a->next : 0; a && i < a->n; i++)
		if (a->at[i].uid == uid) {
			a->next = i + 1;
			*out = (struct slice){a->bytes + a->at[i].off, a->at[i].len};
			return true;
		}
	return false;
}
