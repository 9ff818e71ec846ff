/* A store that lives in the test: it answers pop3d's questions from the loop, as the real one
 * does. Shared by t/unit/pop3d_session.c and t/fuzz/pop3d_session.c. */
#ifndef T_LIB_POP3D_STUB_H
#define T_LIB_POP3D_STUB_H
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "libcommon/base/mem.h"
#include "libcommon/ipc/frame.h"
#include "libcommon/ipc/store.h"
#include "libcommon/ipc/uplink.h"
#include "pop3d/pop3d.h"

static struct {
	struct slice text[8]; /* messages; uid i + 1 */
	unsigned n;
	const char *uidl[8];
	enum ipc_err auth, open, read, quit; /* answers */
	unsigned lose;                       /* so many questions get ERR_LOST first */
	bool memfd;                          /* bodies come in a memory file */
	bool quit_unheard;                   /* QUIT happens, its answer is lost */
	unsigned leave_out;                  /* bits of uids that are not in batches */
	uint64_t delay_ms, expire_ms;
	/* what was seen */
	unsigned opens, agains, reads, batches, quits, closes, cancels, deleted, retrieved;
	char password[64];
} stub;

struct stub_answer {
	peer_reply_fn *fn;
	void *arg;
	enum msg_type t;
	enum ipc_err e;
	char mech[32], response[256];
	size_t response_len;
	bool has_response;
	uint64_t uid, off, len;
	uint64_t uids[AHEAD_MAX];
	uint32_t uids_n;
};

static void stub_error(struct stub_answer *a, enum ipc_err e)
{
	struct msg_error m = {.code = e, .text = slice_of(e == ERR_DELAY ? "wait 5 s" : "")};
	a->fn(a->arg, MSG_error, &m);
}

static void stub_auth_ok(struct stub_answer *a, const char *final)
{
	struct msg_auth_ok m = {.grant = SLICE("grant"),
				.account = 7,
				.address = SLICE("alice@a.test"),
				.final = slice_of(final),
				.login_delay_ms = stub.delay_ms,
				.expire_ms = stub.expire_ms};
	a->fn(a->arg, MSG_auth_ok, &m);
}

static void stub_auth_more(struct stub_answer *a, const char *challenge)
{
	struct msg_auth_more m = {.auth = 99, .challenge = slice_of(challenge)};
	a->fn(a->arg, MSG_auth_more, &m);
}

static void stub_auth(struct stub_answer *a)
{
	static const char good[] = "\0alice\0secret";
	if (stub.auth != ERR_OK)
		stub_error(a, stub.auth);
	else if (!a->has_response)
		stub_auth_more(a, strcmp(a->mech, "LOGIN") == 0 ? "Username:" : "");
	else if (strncmp(a->mech, "SCRAM", 5) == 0)
		stub_auth_ok(a, "v=proof");
	else if (a->response_len == sizeof(good) - 1 && memcmp(a->response, good, 13) == 0)
		stub_auth_ok(a, "");
	else
		stub_error(a, ERR_AUTH);
}

static void stub_list(struct stub_answer *a)
{
	struct row_pop_message row[8];
	for (unsigned i = 0; i < stub.n; i++)
		row[i] = (struct row_pop_message){
		    .uid = i + 1, .size = stub.text[i].len, .uidl = slice_of(stub.uidl[i])};
	struct msg_pop_list m = {
	    .mailbox = 3, .uidvalidity = 17, .messages = row, .messages_n = stub.n};
	if (stub.open != ERR_OK)
		stub_error(a, stub.open);
	else
		a->fn(a->arg, MSG_pop_list, &m);
}

static void stub_read(struct stub_answer *a)
{
	if (stub.read != ERR_OK || a->uid == 0 || a->uid > stub.n) {
		stub_error(a, stub.read != ERR_OK ? stub.read : ERR_NOTFOUND);
		return;
	}
	struct slice all = stub.text[a->uid - 1];
	struct msg_message_data m = {.size = all.len, .body = BODY_NONE};
	if (a->off < all.len) {
		struct slice part = {all.p + a->off, all.len - a->off};
		if (a->len && a->len < part.len)
			part.len = a->len;
		m.body.size = part.len;
		m.body.bytes = part;
		if (stub.memfd && part.len) {
			m.body.fd = body_memfd("stub");
			if (write(m.body.fd, part.p, part.len) != (ssize_t)part.len)
				abort();
			frame_seal(m.body.fd);
		}
	}
	a->fn(a->arg, MSG_message_data, &m);
	if (m.body.fd > 0)
		close(m.body.fd);
}

static void stub_batch(struct stub_answer *a)
{
	struct row_message_body row[AHEAD_MAX];
	struct msg_messages_data m = {.messages = row};
	if (stub.read != ERR_OK) {
		stub_error(a, stub.read);
		return;
	}
	for (uint32_t i = 0; i < a->uids_n; i++)
		if (a->uids[i] >= 1 && a->uids[i] <= stub.n && !(stub.leave_out >> a->uids[i] & 1))
			row[m.messages_n++] = (struct row_message_body){
			    .uid = a->uids[i], .bytes = stub.text[a->uids[i] - 1]};
	a->fn(a->arg, MSG_messages_data, &m);
}

static void stub_answer(void *arg)
{
	struct stub_answer *a = arg;
	struct msg_ok ok = {.value = 1};
	if (stub.lose) {
		stub.lose--;
		stub_error(a, ERR_LOST);
	} else if (a->t == MSG_auth_start || a->t == MSG_auth_step) {
		stub_auth(a);
	} else if (a->t == MSG_pop_open) {
		stub_list(a);
	} else if (a->t == MSG_message_read) {
		stub_read(a);
	} else if (a->t == MSG_messages_read) {
		stub_batch(a);
	} else if (a->t == MSG_pop_quit && stub.quit_unheard) {
		stub.quit_unheard = false;
		stub.n = 0;
		stub_error(a, ERR_LOST);
	} else if (a->t == MSG_pop_quit && stub.quit != ERR_OK) {
		stub_error(a, stub.quit);
	} else {
		a->fn(a->arg, MSG_ok, &ok);
	}
	free(a);
}

static void stub_response(struct stub_answer *a, struct slice r)
{
	a->has_response = true;
	a->response_len = r.len < sizeof(a->response) ? r.len : sizeof(a->response);
	memcpy(a->response, r.p, a->response_len);
}

static uint32_t stub_call(struct peer *p, enum msg_type t, const void *msg, peer_reply_fn *fn,
			  void *arg)
{
	struct stub_answer *a = mem_alloc(sizeof(*a));
	const struct msg_auth_start *start = msg;
	const struct msg_auth_step *step = msg;
	const struct msg_message_read *read = msg;
	const struct msg_messages_read *batch = msg;
	const struct msg_pop_quit *quit = msg;
	const struct msg_pop_open *open = msg;
	(void)p;
	*a = (struct stub_answer){.fn = fn, .arg = arg, .t = t};
	if (t == MSG_auth_start) {
		str_fmt(a->mech, sizeof(a->mech), "%.*s", SLICE_FMT(start->mech));
		if (start->has_initial)
			stub_response(a, start->initial);
	} else if (t == MSG_auth_step && step->cancel) {
		stub.cancels++;
	} else if (t == MSG_auth_step) {
		stub_response(a, step->response);
	} else if (t == MSG_message_read) {
		stub.reads++;
		a->uid = read->uid;
		a->off = read->offset;
		a->len = read->length;
	} else if (t == MSG_messages_read) {
		stub.batches++;
		for (; a->uids_n < batch->uids_n; a->uids_n++)
			a->uids[a->uids_n] = batch->uids[a->uids_n].uid;
	} else if (t == MSG_pop_quit) {
		stub.quits++;
		stub.deleted = quit->deleted_n;
		stub.retrieved = quit->retrieved_n;
	} else if (t == MSG_pop_open) {
		stub.opens++;
		stub.agains += open->again;
	} else {
		stub.closes++;
	}
	loop_defer(stub_answer, a);
	return 1;
}

static struct service stub_service = {.name = "pop3"};
static struct listen_spec stub_spec = {.name = "pop3", .arg = &stub_service};

static void stub_start(struct pool *pool)
{
	static const char text[] = "version 1\nhostname mail.a.test\npop3 127.0.0.1:110\n"
				   "pop3s 127.0.0.1:995\n";
	if (conf_parse(pool, "test", text, sizeof(text) - 1, conf_table, &conf, conf_verify,
		       stderr) != 0)
		abort();
	uplink_use(stub_call);
}

/* A client's connection: the session has the one end, the other is returned. */
static int stub_connect(const char *from)
{
	int fd[2];
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(1000)};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0 ||
	    inet_pton(AF_INET, from, &peer.sin_addr) != 1)
		abort();
	session_listen_ops.on_accept(fd[0], (struct sockaddr *)&peer, (struct sockaddr *)&peer,
				     &stub_spec);
	return fd[1];
}
#endif
