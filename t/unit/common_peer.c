/* peer: client and server over real sockets, in one loop; hand-made clients for what is forbidden.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/ipc/frame.h"
#include "libcommon/ipc/peer.h"
#include "libcommon/ipc/store.h"
#include "libcommon/net/loop.h"

enum { CREDIT = 100000, HELD_MAX = 64, BIG = 3 << 20, PATIENCE_MS = 30000 };

static char dir[64], path[96];
static int backlog; /* a second fd of the listening socket, as hamletd has one */
static struct timer guard;

/* --- the service ----------------------------------------------------------------------- */

static struct held {
	struct conn *c;
	struct conn_kept *kept;
	const struct msg_sender_check *msg;
	uint32_t request;
} held[HELD_MAX];
static unsigned requests, closed, held_n, unwatched;
static bool hold;
static struct conn *watcher;
static uint32_t watch_id;

static void hold_request(struct conn *c, uint32_t request, const void *msg)
{
	conn_hold(c);
	assert_true(held_n < HELD_MAX);
	held[held_n++] = (struct held){c, conn_keep(c), msg, request};
}

static void on_request(struct conn *c, uint32_t request, enum msg_type t, const void *msg)
{
	requests++;
	if (t == MSG_sender_check && hold) {
		hold_request(c, request, msg);
	} else if (t == MSG_sender_check) {
		const struct msg_sender_check *m = msg;
		struct msg_ok ok = {.value = m->sender.len};
		conn_reply(c, request, MSG_ok, &ok);
	} else if (t == MSG_deliver) {
		const struct msg_deliver *m = msg;
		struct slice map;
		uint64_t sum = 0;
		assert_true(body_map(&m->body, &map));
		for (size_t i = 0; i < map.len; i++)
			sum += (unsigned char)map.p[i];
		struct msg_ok ok = {.value = sum};
		body_unmap(&m->body, &map);
		conn_reply(c, request, MSG_ok, &ok);
	} else if (t == MSG_watch) {
		struct msg_ok ok = {0};
		watcher = c;
		watch_id = request;
		conn_reply(c, request, MSG_ok, &ok);
	} else if (t == MSG_unwatch) {
		const struct msg_unwatch *m = msg;
		struct msg_ok ok = {0};
		unwatched = m->request;
		conn_reply(c, request, MSG_ok, &ok);
	} else {
		conn_error(c, request, ERR_NOTFOUND, "nothing here");
	}
}

static void on_conn_close(struct conn *c)
{
	if (watcher == c)
		watcher = NULL;
	closed++;
}
static const struct conn_ops SERVICE = {on_request, on_conn_close};

static void serve_for(long uid)
{
	conn_serve(fcntl(backlog, F_DUPFD_CLOEXEC, 3), ROLE_SMTPD, uid, CREDIT, 7, &SERVICE);
}

static void serve(void)
{
	serve_for((long)getuid());
}

static void answer_held(void)
{
	for (unsigned i = 0; i < held_n; i++) {
		struct msg_ok ok = {.value = held[i].msg->sender.len};
		conn_reply(held[i].c, held[i].request, MSG_ok, &ok);
		conn_drop(held[i].kept);
		conn_release(held[i].c);
	}
	held_n = 0;
}

/* --- the client ------------------------------------------------------------------------ */

static unsigned ups, answers, lost, events;
static uint64_t last_value, sum;
static enum ipc_err last_error;

static void on_up(struct peer *p, void *arg)
{
	(void)p;
	(void)arg;
	ups++;
}

static void on_answer(void *arg, enum msg_type type, const void *msg)
{
	(void)arg;
	answers++;
	last_error = peer_error(type, msg, NULL);
	if (last_error == ERR_LOST)
		lost++;
	if (type == MSG_ok) {
		last_value = ((const struct msg_ok *)msg)->value;
		sum += last_value;
	}
	if (type == MSG_watch_event) {
		events++;
		last_value = ((const struct msg_watch_event *)msg)->value;
	}
}

static uint32_t ask(struct peer *p, size_t n)
{
	static const char text[65536];
	struct msg_sender_check m = {.sender = {text, n}};
	return peer_call(p, MSG_sender_check, &m, on_answer, NULL);
}

/* --- running --------------------------------------------------------------------------- */

static bool late;
static void on_guard(struct timer *t)
{
	(void)t;
	late = true;
}

#define RUN_UNTIL(cond)                                   \
	do {                                              \
		late = false;                             \
		timer_set(&guard, PATIENCE_MS, on_guard); \
		while (!(cond) && !late)                  \
			uv_run(loop_get(), UV_RUN_ONCE);  \
		timer_clear(&guard);                      \
		assert_true(cond);                        \
	} while (0)

static void turns(unsigned n)
{
	while (n--)
		uv_run(loop_get(), UV_RUN_NOWAIT);
}

static int start(void **state)
{
	(void)state;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(dir, sizeof(dir), "/tmp/hamlet-peer-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/smtpd.sock", dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	backlog = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(backlog, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(backlog, 64) != 0)
		return -1;
	requests = closed = held_n = ups = answers = lost = events = unwatched = 0;
	sum = 0;
	hold = false;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	conn_serve_end();
	loop_run();
	close(backlog);
	unlink(path);
	rmdir(dir);
	return 0;
}

static void calls_are_pipelined_and_answered(void **state)
{
	(void)state;
	struct peer *p = peer_connect(path, ROLE_SMTPD, on_up, NULL);
	for (unsigned i = 1; i <= 100; i++)
		assert_int_not_equal(ask(p, i), 0); /* before there is a service: they wait */
	assert_false(peer_up(p));
	serve();
	RUN_UNTIL(answers == 100);
	assert_true(peer_up(p));
	assert_int_equal(ups, 1);
	assert_int_equal(sum, 5050);
	struct msg_queue_read unknown = {0};
	peer_call(p, MSG_queue_read, &unknown, on_answer, NULL);
	RUN_UNTIL(answers == 101);
	assert_int_equal(last_error, ERR_NOTFOUND);
	peer_free(&p);
	assert_null(p);
	RUN_UNTIL(closed == 1);
}

static void a_broken_link_loses_those_in_flight_and_reconnects(void **state)
{
	(void)state;
	serve();
	hold = true;
	struct peer *p = peer_connect(path, ROLE_SMTPD, on_up, NULL);
	for (unsigned i = 1; i <= 3; i++)
		ask(p, i);
	RUN_UNTIL(held_n == 3);
	conn_serve_end();
	RUN_UNTIL(lost == 3);
	assert_false(peer_up(p));
	assert_int_equal(closed, 1);
	answer_held(); /* to a peer that is gone: nothing happens */
	hold = false;
	ask(p, 9); /* waits for the next service */
	turns(5);
	assert_int_equal(answers, 3);
	serve();
	RUN_UNTIL(answers == 4);
	assert_int_equal(last_value, 9);
	assert_int_equal(ups, 2);
	peer_free(&p);
}

static void cancelled_calls_are_not_answered(void **state)
{
	(void)state;
	serve();
	hold = true;
	struct peer *p = peer_connect(path, ROLE_SMTPD, on_up, NULL);
	peer_cancel(p, ask(p, 7)); /* while it waits: never sent */
	uint32_t id = ask(p, 1);
	ask(p, 2);
	RUN_UNTIL(held_n == 2);
	peer_cancel(p, id);
	answer_held();
	RUN_UNTIL(answers == 1);
	turns(10);
	assert_int_equal(answers, 1);
	assert_int_equal(last_value, 2);
	assert_int_equal(requests, 2);
	peer_free(&p);
}

static void watches_are_pushed_until_cancelled(void **state)
{
	(void)state;
	serve();
	struct peer *p = peer_connect(path, ROLE_SMTPD, on_up, NULL);
	struct msg_watch m = {.kind = WATCH_QUEUE};
	uint32_t id = peer_call(p, MSG_watch, &m, on_answer, NULL);
	RUN_UNTIL(answers == 1);
	for (unsigned i = 1; i <= 3; i++) {
		struct msg_watch_event e = {.kind = WATCH_QUEUE, .value = i};
		conn_reply(watcher, watch_id, MSG_watch_event, &e);
	}
	RUN_UNTIL(events == 3);
	assert_int_equal(last_value, 3);
	peer_cancel(p, id);
	RUN_UNTIL(unwatched == id);
	struct msg_watch_event e = {.kind = WATCH_QUEUE, .value = 4};
	conn_reply(watcher, watch_id, MSG_watch_event, &e);
	ask(p, 1);
	RUN_UNTIL(answers == 5);
	assert_int_equal(events, 3);
	peer_free(&p);
}

static void a_broken_watch_is_told(void **state)
{
	(void)state;
	serve();
	struct peer *p = peer_connect(path, ROLE_SMTPD, on_up, NULL);
	struct msg_watch m = {.kind = WATCH_QUEUE};
	peer_call(p, MSG_watch, &m, on_answer, NULL);
	RUN_UNTIL(answers == 1);
	conn_serve_end();
	RUN_UNTIL(lost == 1);
	peer_free(&p);
}

static void large_bodies_go_by_memfd(void **state)
{
	(void)state;
	serve();
	struct peer *p = peer_connect(path, ROLE_SMTPD, on_up, NULL);
	int fd = body_memfd("test");
	char *bytes = calloc(1, BIG);
	memset(bytes, 1, BIG);
	assert_int_equal(write(fd, bytes, BIG), BIG);
	free(bytes);
	struct msg_deliver m = {.body = {.fd = fd, .size = BIG}};
	peer_call(p, MSG_deliver, &m, on_answer, NULL); /* above the credit, alone: goes */
	close(fd);
	RUN_UNTIL(answers == 1);
	assert_int_equal(last_value, BIG);
	peer_free(&p);
}

static void bodies_that_can_change_are_not_mapped(void **state)
{
	(void)state;
	struct slice map;
	int fd = body_memfd("test");
	assert_int_equal(write(fd, "abc", 3), 3);
	struct body b = {.fd = fd, .size = 3};
	assert_false(body_map(&b, &map));
	frame_seal(fd);
	b.size = 4;
	assert_false(body_map(&b, &map));
	b.size = 3;
	assert_true(body_map(&b, &map));
	assert_memory_equal(map.p, "abc", 3);
	body_unmap(&b, &map);
	close(fd);
}

static void credit_bounds_what_is_unanswered(void **state)
{
	(void)state;
	serve();
	hold = true;
	struct peer *p = peer_connect(path, ROLE_SMTPD, on_up, NULL);
	for (int i = 0; i < 10; i++)
		ask(p, 30000);
	RUN_UNTIL(held_n == 3);
	turns(50);
	assert_int_equal(held_n, 3); /* a fourth would be over CREDIT */
	answer_held();
	RUN_UNTIL(held_n == 3 && answers == 3);
	hold = false;
	answer_held();
	RUN_UNTIL(answers == 10);
	peer_free(&p);
}

static void too_much_waiting_is_refused(void **state)
{
	(void)state;
	struct peer *p = peer_connect(path, ROLE_SMTPD, on_up, NULL); /* nobody serves */
	for (unsigned i = 0; i < PEER_WAIT_MAX; i++)
		assert_int_not_equal(ask(p, 1), 0);
	assert_int_equal(ask(p, 1), 0);
	peer_free(&p);
	turns(5);
	assert_int_equal(answers, 0);
}

static void free_in_callback(void *arg, enum msg_type type, const void *msg)
{
	peer_free(arg);
	on_answer(NULL, type, msg); /* the message is still there */
}

static void a_client_may_end_in_its_callback(void **state)
{
	(void)state;
	serve();
	struct peer *p = peer_connect(path, ROLE_SMTPD, on_up, NULL);
	struct msg_sender_check m = {.sender = SLICE("abc")};
	peer_call(p, MSG_sender_check, &m, free_in_callback, &p);
	ask(p, 1);
	RUN_UNTIL(closed == 1);
	assert_null(p);
	assert_int_equal(answers, 1);
	assert_int_equal(last_value, 3);
}

/* --- hand-made clients ----------------------------------------------------------------- */

static int dial(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void say(int fd, enum msg_type t, uint32_t id, const void *msg, size_t cut)
{
	struct buf wire = {0};
	int body;
	assert_true(msg_encode(&wire, t, id, msg, &body));
	if (cut) {
		wire.len -= cut;
		wire.p[0] = (char)(wire.p[0] - (char)cut);
	}
	assert_int_equal(write(fd, wire.p, wire.len), wire.len);
	buf_free(&wire);
}

/* The service ends the connection. */
static bool ended(int fd)
{
	char b[512];
	ssize_t n;
	while ((n = read(fd, b, sizeof(b))) > 0)
		;
	return n == 0;
}

static const struct msg_hello RIGHT = {.version = IPC_VERSION, .role = ROLE_SMTPD};

static void expect_end(int fd)
{
	RUN_UNTIL(ended(fd));
	close(fd);
	assert_int_equal(requests, 0);
}

static void another_role_is_refused(void **state)
{
	(void)state;
	serve();
	struct msg_hello m = {.version = IPC_VERSION, .role = ROLE_CTL};
	int fd = dial();
	say(fd, MSG_hello, 0, &m, 0);
	expect_end(fd);
	assert_int_equal(closed, 0); /* on_close only after a right hello */
}

static void another_version_is_refused(void **state)
{
	(void)state;
	serve();
	struct msg_hello m = {.version = IPC_VERSION + 1, .role = ROLE_SMTPD};
	int fd = dial();
	say(fd, MSG_hello, 0, &m, 0);
	expect_end(fd);
}

static void requests_before_the_hello_are_refused(void **state)
{
	(void)state;
	serve();
	struct msg_watch m = {0};
	int fd = dial();
	say(fd, MSG_watch, 1, &m, 0);
	expect_end(fd);
}

static void forbidden_messages_end_it(void **state)
{
	(void)state;
	serve();
	struct msg_pop_open m = {0};
	int fd = dial();
	say(fd, MSG_hello, 0, &RIGHT, 0);
	say(fd, MSG_pop_open, 1, &m, 0);
	expect_end(fd);
	assert_int_equal(closed, 1);
}

static void malformed_messages_end_it(void **state)
{
	(void)state;
	serve();
	struct msg_watch m = {0};
	int fd = dial();
	say(fd, MSG_hello, 0, &RIGHT, 0);
	say(fd, MSG_watch, 1, &m, 3);
	expect_end(fd);
}

static void a_request_id_in_use_ends_it(void **state)
{
	(void)state;
	serve();
	hold = true;
	struct msg_sender_check m = {0};
	int fd = dial();
	say(fd, MSG_hello, 0, &RIGHT, 0);
	say(fd, MSG_sender_check, 5, &m, 0);
	say(fd, MSG_sender_check, 5, &m, 0);
	RUN_UNTIL(ended(fd));
	close(fd);
	assert_int_equal(requests, 1);
	answer_held();
}

static bool exited(pid_t pid, int *status)
{
	return *status >= 0 || waitpid(pid, status, WNOHANG) == pid;
}

/* Answers that are not read stop the requests behind them. */
static void unread_answers_stop_requests(void **state)
{
	(void)state;
	enum { MANY = 100000 };
	const struct msg_sender_check m = {.sender = SLICE("abc")};
	serve();
	int fd = dial();
	say(fd, MSG_hello, 1, &RIGHT, 0);
	struct buf wire = {0};
	int body;
	for (uint32_t i = 2; i < MANY; i++)
		assert_true(msg_encode(&wire, MSG_sender_check, i, &m, &body));
	size_t off = 0;
	for (unsigned idle = 0; off < wire.len && idle < 200;) {
		ssize_t n = write(fd, wire.p + off, wire.len - off);
		idle = n > 0 ? 0 : idle + 1;
		off += n > 0 ? (size_t)n : 0;
		turns(1);
	}
	assert_true(off < wire.len);
	assert_true(requests < MANY / 2);
	close(fd);
	buf_free(&wire);
}

/* Whether a process of that user is let in. */
static bool lets_in(uid_t uid)
{
	pid_t pid = fork();
	if (pid == 0) {
		const char *why;
		if (setuid(uid) != 0)
			_exit(9);
		_exit(peer_sync_open(path, ROLE_SMTPD, PATIENCE_MS, &why) ? 0 : 1);
	}
	int status = -1;
	RUN_UNTIL(exited(pid, &status));
	assert_true(WEXITSTATUS(status) <= 1);
	return WEXITSTATUS(status) == 0;
}

static void another_user_is_refused(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	chmod(dir, 0755);
	chmod(path, 0777);
	serve_for(4711);
	assert_true(lets_in(4711));
	assert_false(lets_in(4712));
	assert_true(lets_in(0));
}

static void an_unknown_owner_lets_nobody_in(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	chmod(dir, 0755);
	chmod(path, 0777);
	serve_for(-1);
	assert_false(lets_in(4711));
}

/* As in a jail: the file cannot be seen, the descriptor tells. */
static void the_owner_is_known_without_the_file(void **state)
{
	(void)state;
	assert_int_equal(conn_socket_owner(backlog), getuid());
	unlink(path);
	assert_int_equal(conn_socket_owner(backlog), getuid());
	if (getuid() == 0 && fchown(backlog, 4711, (gid_t)-1) == 0)
		assert_int_equal(conn_socket_owner(backlog), 4711);
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(conn_socket_owner(file), -1);
	close(file);
}

/* --- the blocking client --------------------------------------------------------------- */

static int sync_child(void)
{
	const char *why;
	struct pool *pool = pool_new(0);
	struct peer_sync *p = peer_sync_open(path, ROLE_SMTPD, PATIENCE_MS, &why);
	enum msg_type t;
	if (!p)
		return 1;
	struct msg_sender_check m = {.sender = SLICE("abcd")};
	for (int i = 0; i < 3; i++) {
		const struct msg_ok *ok = peer_sync_call(p, pool, MSG_sender_check, &m, &t, NULL);
		if (t != MSG_ok || ok->value != 4)
			return 2;
	}
	struct msg_queue_read unanswered = {0};
	const void *e = peer_sync_call(p, pool, MSG_queue_read, &unanswered, &t, NULL);
	if (peer_error(t, e, NULL) != ERR_NOTFOUND)
		return 3;
	m.sender = SLICE("hold");
	peer_sync_limit(p, 200);
	e = peer_sync_call(p, pool, MSG_sender_check, &m, &t, NULL);
	if (peer_error(t, e, NULL) != ERR_TEMP)
		return 4;
	e = peer_sync_call(p, pool, MSG_sender_check, &m, &t, NULL);
	if (peer_error(t, e, NULL) != ERR_LOST)
		return 5;
	peer_sync_close(&p);
	pool_free(&pool);
	return 0;
}

static void blocking_calls_have_a_deadline(void **state)
{
	(void)state;
	serve();
	pid_t pid = fork();
	if (pid == 0)
		_exit(sync_child());
	RUN_UNTIL(requests == 4);
	hold = true;
	int status = -1;
	RUN_UNTIL(exited(pid, &status));
	assert_int_equal(WEXITSTATUS(status), 0);
	answer_held();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
	    T(calls_are_pipelined_and_answered),
	    T(a_broken_link_loses_those_in_flight_and_reconnects),
	    T(cancelled_calls_are_not_answered),
	    T(watches_are_pushed_until_cancelled),
	    T(a_broken_watch_is_told),
	    T(large_bodies_go_by_memfd),
	    T(bodies_that_can_change_are_not_mapped),
	    T(credit_bounds_what_is_unanswered),
	    T(too_much_waiting_is_refused),
	    T(a_client_may_end_in_its_callback),
	    T(another_role_is_refused),
	    T(another_version_is_refused),
	    T(requests_before_the_hello_are_refused),
	    T(forbidden_messages_end_it),
	    T(malformed_messages_end_it),
	    T(a_request_id_in_use_ends_it),
	    T(unread_answers_stop_requests),
	    T(another_user_is_refused),
	    T(an_unknown_owner_lets_nobody_in),
	    T(the_owner_is_known_without_the_file),
	    T(blocking_calls_have_a_deadline),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
