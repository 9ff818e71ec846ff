/* What became of a recipient, for the queue. */
#include "smtpd/relay.h"

/* Doubled for each attempt before, and 9 to 11 tenths of that. */
static uint64_t back_off(const struct route *r, uint32_t attempts, uint32_t random)
{
	uint64_t ms = r->retry_first ? r->retry_first : 1;
	while (attempts-- && ms < r->retry_longest)
		ms *= 2;
	if (ms > r->retry_longest && r->retry_longest >= r->retry_first)
		ms = r->retry_longest;
	return ms - ms / 10 + (ms / 5) * (random & 0xffff) / 0xffff;
}

static uint64_t limit_of(const struct letter *l, const struct route *r)
{
	uint64_t limit = l->created_ms + r->give_up;
	bool by = l->deliver_by_ms && !(l->mail.flags & DELIVER_BY_NOTIFY);
	return by && l->deliver_by_ms < limit ? l->deliver_by_ms : limit;
}

/* When to try again; 0: not any more. */
static uint64_t next_attempt(const struct letter *l, const struct route *r, uint32_t attempts,
			     uint64_t now_ms, uint32_t random)
{
	uint64_t limit = limit_of(l, r);
	uint64_t wait = back_off(r, attempts, random);
	if (wait < l->wait_ms)
		wait = l->wait_ms;
	if (now_ms + wait <= limit)
		return now_ms + wait;
	if (now_ms >= limit)
		return 0;
	uint64_t last = (limit - now_ms) / 10 * 9;
	return last >= r->retry_first && last >= l->wait_ms ? now_ms + last : 0;
}

static struct slice failed_status(const struct letter *l, struct slice status)
{
	if (status.len == 0 || slice_eqs(status, "4.0.0"))
		return SLICE("5.4.7");
	char *s = pool_strndup(l->pool, status.p, status.len);
	s[0] = '5';
	return (struct slice){s, status.len};
}

void retry_result(const struct letter *l, size_t rcpt, const struct route *r, uint64_t now_ms,
		  uint32_t random, struct row_rcpt_done *out)
{
	const struct out_verdict *v = &l->verdict[rcpt];
	*out = (struct row_rcpt_done){.rcpt = l->rcpt[rcpt],
				      .code = v->code,
				      .status = slice_of(v->status),
				      .host = slice_of(v->host ? v->host : ""),
				      .text = slice_of(v->text ? v->text : "")};
	if (v->state == OUT_DELIVERED) {
		out->state = v->dsn                      ? QUEUE_PASSED
			     : r->protocol == ROUTE_LMTP ? QUEUE_DONE
							 : QUEUE_RELAYED;
		return;
	}
	out->state = QUEUE_FAILED;
	if (v->state == OUT_PERM)
		return;
	if (l->wait_ms == LETTER_UNTRIED)
		out->next_ms = now_ms;
	else
		out->next_ms = next_attempt(l, r, l->attempts[rcpt], now_ms, random);
	if (out->next_ms)
		out->state = QUEUE_DUE;
	else
		out->status = failed_status(l, out->status);
}
