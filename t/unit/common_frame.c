/* frame: messages and descriptors over a socket pair, and what breaks a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/ipc/frame.h"
#include "libcommon/net/loop.h"

static struct frame_io *server;
static int peer; /* the other end, used by hand or by another frame_io */
static unsigned frames, bodies, closes;
static uint64_t sum;
static char why[128];
static struct timer guard;

static void on_frame(void *arg, enum msg_type t, uint32_t request, struct slice payload, int fd)
{
	(void)arg;
	struct pool *pool = pool_new(0);
	frames++;
	sum += request;
	const struct msg_message_data *m = msg_decode(pool, t, payload, fd);
	if (t == MSG_message_data && m && m->body.fd >= 0) {
		char c = 0;
		assert_int_equal(pread(m->body.fd, &c, 1, (off_t)m->size), 1);
		assert_int_equal(c, 'x');
		bodies++;
	}
	if (fd >= 0)
		close(fd);
	pool_free(&pool);
}
static void on_end(void *arg, const char *text)
{
	(void)arg;
	strncpy(why, text, sizeof(why) - 1);
	frame_close(server);
}
static void on_close(void *arg)
{
	(void)arg;
	closes++;
	loop_stop();
}
static void on_guard(struct timer *t)
{
	(void)t;
	loop_stop();
}
static const struct frame_ops OPS = {on_frame, on_end, on_close};
static void ignore_end(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}
static void ignore_close(void *arg)
{
	(void)arg;
}
static const struct frame_ops CLIENT = {on_frame, ignore_end, ignore_close};

static int start(void **state)
{
	(void)state;
	int fd[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) != 0)
		return -1;
	frames = bodies = closes = 0;
	sum = 0;
	why[0] = 0;
	server = frame_open(fd[0], &OPS, NULL);
	peer = fd[1];
	timer_set(&guard, 30000, on_guard);
	return 0;
}

static void run_to_end(void)
{
	loop_run();
	assert_true(timer_is_set(&guard));
	timer_clear(&guard);
	assert_int_equal(closes, 1);
}

static void many_frames_and_bodies_arrive_in_order(void **state)
{
	(void)state;
	struct frame_io *client = frame_open(peer, &CLIENT, NULL);
	uint64_t want = 0;
	for (uint32_t i = 1; i <= 3000; i++) {
		struct msg_message_data m = {.size = 3, .body = BODY_NONE};
		int fd = -1;
		if (i % 10 == 0) {
			fd = memfd_create("b", MFD_CLOEXEC | MFD_ALLOW_SEALING);
			assert_int_equal(write(fd, "abcx", 4), 4);
			m.body = (struct body){.fd = fd, .size = 4};
		} else {
			m.body.bytes = SLICE("small body");
		}
		assert_true(frame_send(client, MSG_message_data, i, &m));
		if (fd >= 0)
			close(fd); /* the frame has its own */
		want += i;
		if (i % 100 == 0) /* let some go out between */
			uv_run(loop_get(), UV_RUN_NOWAIT);
	}
	for (int i = 0; i < 1000 && frame_queued(client); i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	frame_close(client);
	run_to_end();
	assert_int_equal(frames, 3000);
	assert_int_equal(bodies, 300);
	assert_true(sum == want);
	assert_string_equal(why, "closed by the other side");
}

static void over_long_frames_end_it(void **state)
{
	(void)state;
	unsigned char head[IPC_HEADER] = {1, 0, 64, 0, 4};
	assert_int_equal(write(peer, head, sizeof(head)), sizeof(head));
	run_to_end();
	assert_string_equal(why, "a frame over the limit");
	close(peer);
}

static void a_missing_descriptor_ends_it(void **state)
{
	(void)state;
	unsigned char head[IPC_HEADER] = {0, 0, 0, 0, 4, 0, IPC_FLAG_FD};
	assert_int_equal(write(peer, head, sizeof(head)), sizeof(head));
	run_to_end();
	assert_string_equal(why, "a frame without its descriptor");
	close(peer);
}

static void stray_descriptors_are_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		if (frame_sendmsg(peer, "", 1, 0) < 0)
			break;
	run_to_end();
	assert_int_equal(frames, 1); /* 12 NUL bytes are an empty frame */
	assert_string_equal(why, "more descriptors than frames");
	close(peer);
}

/* The space for one descriptor's control message has room for two. */
static void a_second_descriptor_is_not_kept(void **state)
{
	(void)state;
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control = {.h = {.cmsg_len = CMSG_LEN(2 * sizeof(int)),
			   .cmsg_level = SOL_SOCKET,
			   .cmsg_type = SCM_RIGHTS}};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control.space)};
	int two[2] = {0, 0}, free_fd = dup(0);
	memcpy(CMSG_DATA(&control.h), two, sizeof(two));
	close(free_fd);
	assert_int_equal(sendmsg(peer, &m, 0), 1);
	close(peer);
	run_to_end();
	assert_int_equal(fcntl(free_fd, F_GETFD), -1);
	assert_int_equal(fcntl(free_fd + 1, F_GETFD), -1);
}

static void half_a_frame_is_no_frame(void **state)
{
	(void)state;
	unsigned char head[IPC_HEADER] = {8, 0, 0, 0, 4};
	assert_int_equal(write(peer, head, sizeof(head)), sizeof(head));
	close(peer);
	run_to_end();
	assert_int_equal(frames, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(many_frames_and_bodies_arrive_in_order, start),
	    cmocka_unit_test_setup(over_long_frames_end_it, start),
	    cmocka_unit_test_setup(a_missing_descriptor_ends_it, start),
	    cmocka_unit_test_setup(stray_descriptors_are_bounded, start),
	    cmocka_unit_test_setup(a_second_descriptor_is_not_kept, start),
	    cmocka_unit_test_setup(half_a_frame_is_no_frame, start),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
