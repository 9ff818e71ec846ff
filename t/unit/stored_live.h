/* A store that runs: databases, threads, sockets and clients, all in the test's own loop. */
#ifndef T_STORED_LIVE_H
#define T_STORED_LIVE_H
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/ipc/peer.h"
#include "libcommon/net/loop.h"
#include "stored/auth.h"
#include "stored/grant.h"
#include "t/unit/stored_kit.h"

/* server.c refers to its operations weakly: these pull them out of the archive. */
static op_fn *const live_ops[] __attribute__((used)) = {op_auth_start, op_ctl};
static void (*const live_conn[])(struct conn *c) __attribute__((used)) = {conn_hold};
/* Of no use here. */
__attribute__((weak)) void watch_closed(struct conn *c)
{
	(void)c;
}
__attribute__((weak)) void op_pop_closed(struct conn *c)
{
	(void)c;
}

static struct {
	char dir[64];
	struct peer *smtpd, *pop3d, *ctl;
	bool ready;
	int64_t *clock; /* HAMLET_CLOCK: milliseconds added */
	/* The last answer. */
	bool answered;
	enum msg_type type;
	enum ipc_err err;
	char text[512];
	uint64_t auth;
	char challenge[512], final[512], grant[GRANT_LEN + 1], address[256];
	uint64_t login_delay_ms, expire_ms;
	size_t challenge_n, grant_n;
	char cells[8192];
} live;

static inline void live_run(void)
{
	uv_run(loop_get(), UV_RUN_ONCE);
}

static inline void live_ready(const char *why)
{
	assert_null(why);
	live.ready = true;
}

static inline struct peer *live_client(enum role role)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char name[32];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s.sock", live.dir, role_name(role));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	snprintf(name, sizeof(name), "store-%s", role_name(role));
	server_listen(name, fd);
	struct peer *p = peer_connect(sa.sun_path, role, NULL, NULL);
	while (!peer_up(p))
		live_run();
	return p;
}

static inline void live_start(void)
{
	const char *why = NULL;
	assert_true(work_start(live.dir, 1, 1, &why));
	live.ready = false;
	dir_start(live_ready);
	while (!live.ready)
		live_run();
}

static inline void live_stop(void)
{
	for (int i = 0; i < 20; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	dir_stop();
	work_stop();
	for (int i = 0; i < 20; i++) /* handles close in the loop */
		uv_run(loop_get(), UV_RUN_NOWAIT);
}

/* The clock is mapped once in a process's life. */
static inline int64_t *live_clock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, sizeof(int64_t)), 0);
	int64_t *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	close(fd);
	setenv("HAMLET_CLOCK", path, 1);
	clock_init();
	return p;
}

static inline int live_setup(void **state)
{
	(void)state;
	char path[96];
	log_init("test", LOG_TO_STDERR, LOG_LV_ERROR);
	strcpy(live.dir, "/tmp/stored_live.XXXXXX");
	assert_non_null(mkdtemp(live.dir));
	snprintf(path, sizeof(path), "%s/clock", live.dir);
	if (!live.clock)
		live.clock = live_clock(path);
	*live.clock = 0;
	conf = (struct stored_conf){.auth_threads = 2,
				    .auth_queue = 16,
				    .scram_iterations = 4096,
				    .grant_life = 3600000,
				    .auth_remember = 60000,
				    .auth_delay = 1,
				    .auth_failures = 5,
				    .auth_window = 900000,
				    .plus_separator = "+"};
	live_start();
	live.smtpd = live_client(ROLE_SMTPD);
	live.pop3d = live_client(ROLE_POP3D);
	live.ctl = live_client(ROLE_CTL);
	return 0;
}

static inline int live_teardown(void **state)
{
	(void)state;
	char cmd[128];
	peer_free(&live.smtpd);
	peer_free(&live.pop3d);
	peer_free(&live.ctl);
	live_stop();
	snprintf(cmd, sizeof(cmd), "rm -rf %s", live.dir);
	return system(cmd);
}

static inline size_t live_copy(char *out, size_t cap, struct slice s)
{
	size_t n = s.len < cap - 1 ? s.len : cap - 1;
	if (n)
		memcpy(out, s.p, n);
	out[n] = '\0';
	return n;
}

/* "name=value name=value; name=value" */
static inline void live_cells(const struct msg_ctl_reply *m)
{
	size_t n = 0;
	live.cells[0] = '\0';
	for (uint32_t i = 0; i < m->cells_n && n < sizeof(live.cells) - 600; i++)
		n += (size_t)snprintf(live.cells + n, 600, "%s%.*s=%.*s",
				      !i                                             ? ""
				      : m->cells[i].record != m->cells[i - 1].record ? "; "
										     : " ",
				      SLICE_FMT(m->cells[i].name), SLICE_FMT(m->cells[i].text));
}

static inline void live_reply(void *arg, enum msg_type t, const void *msg)
{
	(void)arg;
	struct slice text = SLICE("");
	live.answered = true;
	live.type = t;
	live.err = peer_error(t, msg, &text);
	live_copy(live.text, sizeof(live.text), text);
	if (t == MSG_auth_more) {
		const struct msg_auth_more *m = msg;
		live.auth = m->auth;
		live.challenge_n = live_copy(live.challenge, sizeof(live.challenge), m->challenge);
	} else if (t == MSG_auth_ok) {
		const struct msg_auth_ok *m = msg;
		live_copy(live.final, sizeof(live.final), m->final);
		live_copy(live.address, sizeof(live.address), m->address);
		live.grant_n = live_copy(live.grant, sizeof(live.grant), m->grant);
		live.login_delay_ms = m->login_delay_ms;
		live.expire_ms = m->expire_ms;
	} else if (t == MSG_ctl_reply) {
		live_cells(msg);
	}
}

static inline void live_wait(void)
{
	while (!live.answered)
		live_run();
}

/* Sends, does not wait. */
static inline void live_send(struct peer *p, enum msg_type t, const void *msg)
{
	live.answered = false;
	assert_int_not_equal(peer_call(p, t, msg, live_reply, NULL), 0);
}

static inline void live_call(struct peer *p, enum msg_type t, const void *msg)
{
	live_send(p, t, msg);
	live_wait();
}

/* An administrator's command: words separated by spaces. ERR_OK or the error. */
static inline enum ipc_err live_ctl(const char *command, const char *secret)
{
	struct row_word w[16];
	struct msg_ctl m = {.words = w, .secret = slice_of(secret ? secret : ""), .body.fd = -1};
	struct slice rest = slice_of(command), word;
	while ((word = slice_word(&rest)).len)
		w[m.words_n++].text = word;
	live_call(live.ctl, MSG_ctl, &m);
	return live.err;
}

#define LIVE(f) cmocka_unit_test_setup_teardown(f, live_setup, live_teardown)
#endif
