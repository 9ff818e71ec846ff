/* LMTP (RFC 2033): after the message one reply for each recipient that RCPT accepted. */
#include "smtpd/smtpd.h"

void lmtp_reply_all(struct session *s, const struct reply *r)
{
	for (uint32_t i = 0; i < s->txn->rcpt_n; i++)
		reply_send(s, r);
}

void lmtp_reply_each(struct session *s, const struct msg_delivered *m)
{
	struct txn *t = s->txn;
	for (uint32_t i = 0; i < t->rcpt_n; i++) {
		struct slice to = t->rcpt[i].given;
		enum ipc_err e = i < m->results_n ? m->results[i].code : ERR_TEMP;
		if (e == ERR_OK) {
			reply(s, 250, "2.0.0", "<%.*s> accepted as %s", SLICE_FMT(to), t->id);
			continue;
		}
		struct slice text = i < m->results_n ? m->results[i].text : (struct slice){0};
		struct reply r = reply_of(t->pool, ASK_DELIVER, e, text);
		reply_send(s, &r);
		log_refused(s, "message", to, &r);
	}
}
