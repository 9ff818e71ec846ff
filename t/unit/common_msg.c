/* msg: what is encoded is decoded the same, and what is malformed is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "libcommon/ipc/msg.h"

static const void *again(struct pool *pool, enum msg_type t, const void *msg, struct buf *wire)
{
	int fd;
	buf_clear(wire);
	assert_true(msg_encode(wire, t, 7, msg, &fd));
	const unsigned char *h = (const unsigned char *)wire->p;
	assert_int_equal(h[0] | h[1] << 8 | h[2] << 16, wire->len - IPC_HEADER);
	assert_int_equal(h[4] | h[5] << 8, t);
	assert_int_equal(h[8], 7);
	return msg_decode(pool, t, (struct slice){wire->p + IPC_HEADER, wire->len - IPC_HEADER},
			  fd);
}

static void fields_of_every_kind_come_back(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct buf wire = {0};
	struct row_rcpt rcpts[] = {{SLICE("a@b"), NOTIFY_NEVER, SLICE("")},
				   {SLICE("c@d"), NOTIFY_DELAY, SLICE("rfc822;x")}};
	struct msg_deliver in = {.id = SLICE("id1"),
				 .sid = SLICE("sid"),
				 .sender = SLICE("me@x"),
				 .flags = DELIVER_8BIT,
				 .each = 1,
				 .hold_until_ms = UINT64_MAX,
				 .deliver_by_ms = 0x0102030405060708u,
				 .rcpts = rcpts,
				 .rcpts_n = 2,
				 .meta = SLICE("m\0m"),
				 .body = {.bytes = SLICE("Subject: x\r\n\r\n"), .fd = -1}};
	const struct msg_deliver *out = again(pool, MSG_deliver, &in, &wire);
	assert_non_null(out);
	assert_true(slice_eq(out->id, in.id) && slice_eq(out->sender, in.sender));
	assert_int_equal(out->each, 1);
	assert_true(out->hold_until_ms == UINT64_MAX && out->deliver_by_ms == in.deliver_by_ms);
	assert_int_equal(out->rcpts_n, 2);
	assert_true(slice_eq(out->rcpts[1].orcpt, rcpts[1].orcpt));
	assert_int_equal(out->rcpts[1].notify, NOTIFY_DELAY);
	assert_true(slice_eq(out->meta, in.meta) && slice_eq(out->body.bytes, in.body.bytes));
	assert_int_equal(out->body.fd, -1);
	pool_free(&pool);
	buf_free(&wire);
}

static void rows_in_rows_come_back(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct buf wire = {0};
	struct row_queued_rcpt r[] = {{1, SLICE("x@y"), 0, SLICE(""), 3},
				      {2, SLICE("z@y"), 1, SLICE("o"), 4}};
	struct row_queued q[] = {{.item = 9, .domain = SLICE("y"), .size = 5},
				 {.item = 10, .rcpts = r, .rcpts_n = 2}};
	struct msg_queue_items in = {.items = q, .items_n = 2, .next_due_ms = 77};
	const struct msg_queue_items *out = again(pool, MSG_queue_items, &in, &wire);
	assert_non_null(out);
	assert_int_equal(out->next_due_ms, 77);
	assert_int_equal(out->items[0].rcpts_n, 0);
	assert_int_equal(out->items[1].rcpts[1].attempts, 4);
	assert_true(slice_eqs(out->items[1].rcpts[1].addr, "z@y"));
	pool_free(&pool);
	buf_free(&wire);
}

static void every_message_has_its_c_layout(void **state)
{
	(void)state;
	static const enum msg_type all[] = {
#define ROW(name, fields)
#define MSG(name, code, roles, fields) MSG_##name,
#include "libcommon/ipc/msg.def"
#undef ROW
#undef MSG
	};
	static const char zero[4096];
	struct pool *pool = pool_new(0);
	struct buf wire = {0};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct msg_info *info = msg_info(all[i]);
		assert_non_null(info);
		assert_int_equal(info->type, all[i]);
		int fd;
		buf_clear(&wire);
		assert_true(msg_encode(&wire, all[i], 1, zero, &fd));
		struct slice payload = {wire.p + IPC_HEADER, wire.len - IPC_HEADER};
		assert_non_null(msg_decode(pool, all[i], payload, -1));
		payload.len--;
		assert_null(msg_decode(pool, all[i], payload, -1));
		buf_addc(&wire, 0);
		payload = (struct slice){wire.p + IPC_HEADER, wire.len - IPC_HEADER};
		assert_null(msg_decode(pool, all[i], payload, -1));
	}
	assert_null(msg_info((enum msg_type)0x7fff));
	pool_free(&pool);
	buf_free(&wire);
}

static void descriptors_belong_to_bodies(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct buf wire = {0};
	int body = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(body, 10), 0);
	struct msg_message_data in = {.size = 10, .body = {.fd = body, .size = 10}};
	assert_null(again(pool, MSG_message_data, &in, &wire)); /* it could still change */
	assert_int_equal(fcntl(body, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	const struct msg_message_data *out = again(pool, MSG_message_data, &in, &wire);
	assert_non_null(out);
	assert_int_equal(out->body.fd, body);
	struct slice payload = {wire.p + IPC_HEADER, wire.len - IPC_HEADER};
	assert_null(msg_decode(pool, MSG_message_data, payload, -1));
	buf_clear(&wire);
	int fd;
	assert_true(msg_encode(&wire, MSG_ok, 1, &(struct msg_ok){1}, &fd));
	payload = (struct slice){wire.p + IPC_HEADER, wire.len - IPC_HEADER};
	assert_null(msg_decode(pool, MSG_ok, payload, body));
	close(body);
	pool_free(&pool);
	buf_free(&wire);
}

static void counts_beyond_the_frame_cost_nothing(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	size_t before = pool_size(pool);
	assert_null(msg_decode(pool, MSG_delivered, SLICE("\xff\xff\x0f\0"), -1));
	assert_null(msg_decode(pool, MSG_delivered, SLICE("\xff\xff\xff\xff"), -1));
	assert_null(msg_decode(pool, MSG_auth_more, SLICE("\1\0\0\0\0\0\0\0\xff\xff\xff\xff"), -1));
	assert_int_equal(pool_size(pool), before);
	pool_free(&pool);
}

static void too_large_is_not_encoded(void **state)
{
	(void)state;
	static char big[IPC_FRAME_MAX];
	struct buf wire = {0};
	int fd;
	buf_adds(&wire, "before");
	struct msg_ctl_reply a = {.body = {.bytes = {big, IPC_INLINE_BODY + 1}, .fd = -1}};
	assert_false(msg_encode(&wire, MSG_ctl_reply, 1, &a, &fd));
	struct msg_error b = {.text = {big, sizeof(big)}};
	assert_false(msg_encode(&wire, MSG_error, 1, &b, &fd));
	assert_string_equal(buf_cstr(&wire), "before");
	buf_free(&wire);
}

static void names_have_their_numbers(void **state)
{
	(void)state;
	for (int r = ROLE_NONE + 1; r < ROLE_COUNT; r++)
		assert_int_equal(role_by_name(role_name((enum role)r)), r);
	assert_int_equal(role_by_name("nobody"), ROLE_NONE);
	assert_null(role_name(ROLE_NONE));
	for (int e = 0; e < ERR_COUNT; e++)
		assert_non_null(ipc_err_name((enum ipc_err)e));
	/* A body is handed out by stored, never sent by pop3d: the table says who may. */
	assert_int_equal(msg_info(MSG_message_data)->roles, 0);
	assert_int_equal(msg_info(MSG_pop_open)->roles, R_POP3D);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_of_every_kind_come_back),
	    cmocka_unit_test(rows_in_rows_come_back),
	    cmocka_unit_test(every_message_has_its_c_layout),
	    cmocka_unit_test(descriptors_belong_to_bodies),
	    cmocka_unit_test(counts_beyond_the_frame_cost_nothing),
	    cmocka_unit_test(too_large_is_not_encoded),
	    cmocka_unit_test(names_have_their_numbers),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
