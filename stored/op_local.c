/* MSG_local_login: a user of this machine hands in mail. The kernel told smtpd who that is, and
 * nobody told stored: a grant is given because stored.conf trusts smtpd that far. It is good for
 * smtpd's messages alone (grants are of a role), reads nobody's mail, and changes nothing but what
 * may be sent; each user has a send-limit of their own. */
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "stored/grant.h"

enum { ADDRESS_MAX = 320 };

void op_local_login(struct request *rq)
{
	const struct msg_local_login *m = rq->msg;
	unsigned char grant[GRANT_LEN];
	struct grant g = {.account = LOCAL_USER | m->uid,
			  .epoch = LOCAL_EPOCH,
			  .expires_ms = clock_ms() + conf.grant_life,
			  .role = conn_role(rq->conn)};
	if (m->address.len > ADDRESS_MAX || !str_print(m->address)) {
		request_error(rq, ERR_BAD, "no address");
		return;
	}
	if (!conf.local_submission) {
		request_error(rq, ERR_DENIED, "local-submission is off");
		return;
	}
	struct msg_auth_ok ok = {.grant = {(const char *)grant, grant_make(&g, grant)},
				 .account = g.account,
				 .address = m->address};
	if (!ok.grant.len) {
		request_error(rq, ERR_TEMP, "no grant could be made");
		return;
	}
	log_event(LOG_LV_INFO, slice_copy(rq->pool, m->sid).p, "local-login",
		  LSL("user", m->address), LU("uid", m->uid));
	request_reply(rq, MSG_auth_ok, &ok);
}
