/* What the tests of whole operations share: stored's threads and sockets in this process, and
 * clients on the same loop, so that requests go the way they go in earnest. */
#ifndef T_STORED_RUNNING_H
#define T_STORED_RUNNING_H
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/net/loop.h"
#include "stored/backup.h"
#include "stored/dir.h"
#include "stored/grant.h"
#include "t/unit/stored_bases.h"

enum { SHARDS = 2 };
static struct peer *smtpd, *pop3d, *pop3d_2;
static struct pool *run_pool; /* of the test: answers live there */
static int clock_fd = -1;

struct answer {
	bool here;
	enum msg_type type;
	const void *msg;
};

static inline void on_answer(void *arg, enum msg_type type, const void *msg)
{
	struct answer *a = arg;
	struct buf wire = {0};
	int fd;
	assert_true(msg_encode(&wire, type, 1, msg, &fd));
	size_t len = wire.len - IPC_HEADER;
	a->type = type;
	a->msg = msg_decode(run_pool, type,
			    (struct slice){pool_dup(run_pool, wire.p + IPC_HEADER, len), len},
			    fd > 0 ? dup(fd) : -1);
	a->here = true;
	buf_free(&wire);
}

static inline void turn(const bool *until)
{
	for (int i = 0; !*until && i < 20000; i++)
		uv_run(loop_get(), UV_RUN_ONCE);
	assert_true(*until);
}

/* Asks and waits. The answer's type is checked; an error when `want` is MSG_error. */
static inline const void *ask(struct peer *p, enum msg_type t, const void *msg, enum msg_type want)
{
	struct answer a = {0};
	assert_true(peer_call(p, t, msg, on_answer, &a) != 0);
	turn(&a.here);
	if (a.type == MSG_error && want != MSG_error) {
		const struct msg_error *e = a.msg;
		fail_msg("error %s: %.*s", ipc_err_name((enum ipc_err)e->code), SLICE_FMT(e->text));
	}
	assert_int_equal(a.type, want);
	return a.msg;
}

static inline enum ipc_err ask_error(struct peer *p, enum msg_type t, const void *msg)
{
	const struct msg_error *e = ask(p, t, msg, MSG_error);
	return (enum ipc_err)e->code;
}

/* --- on the databases' threads ---------------------------------------------- */

struct sql_op {
	struct op op;
	const char *sql;
	bool *ran;
	uint64_t *value;
};

static inline enum ipc_err sql_write(struct base *b, struct op *op)
{
	return work_err(b, db_exec(b->db, ((struct sql_op *)op)->sql));
}

static inline enum ipc_err sql_number(struct base *b, struct op *op)
{
	*((struct sql_op *)op)->value = db_number(b->db, ((struct sql_op *)op)->sql);
	return ERR_OK;
}

static inline enum ipc_err sql_sound(struct base *b, struct op *op)
{
	(void)op;
	is_sound(b);
	return ERR_OK;
}

static inline void sql_done(struct op *op)
{
	assert_int_equal(op->err, ERR_OK);
	*((struct sql_op *)op)->ran = true;
	op_free(op);
}

static inline void on_base(unsigned base, bool write, const char *sql, uint64_t *value,
			   enum ipc_err (*run)(struct base *, struct op *))
{
	bool ran = false;
	struct sql_op *s = (struct sql_op *)op_new(sizeof(*s));
	s->op.run = run;
	s->op.done = sql_done;
	s->sql = sql;
	s->ran = &ran;
	s->value = value;
	assert_true(write ? work_write(base, &s->op) : work_read(base, &s->op));
	turn(&ran);
}

static inline void change_sql(unsigned base, const char *sql)
{
	on_base(base, true, sql, NULL, sql_write);
	dir_changed();
}

static inline uint64_t read_sql(unsigned base, const char *sql)
{
	uint64_t v;
	on_base(base, false, sql, &v, sql_number);
	return v;
}

/* Until the number is that; false when it is not in that time. */
static inline bool becomes_in(unsigned ms, unsigned base, const char *sql, uint64_t want)
{
	uint64_t until = clock_mono() + ms;
	while (clock_mono() < until) {
		if (read_sql(base, sql) == want)
			return true;
		uv_run(loop_get(), UV_RUN_NOWAIT);
		usleep(1000);
	}
	return false;
}

static inline bool becomes(unsigned base, const char *sql, uint64_t want)
{
	return becomes_in(20000, base, sql, want);
}

/* --- start and stop ------------------------------------------------------ */

static inline const char *socket_path(const char *role)
{
	static char path[100];
	snprintf(path, sizeof(path), "%s/store-%s.sock", bases_dir, role);
	return path;
}

static inline void listen_as(const char *role)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char name[40];
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", socket_path(role));
	unlink(sa.sun_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 16), 0);
	snprintf(name, sizeof(name), "store-%s", role);
	server_listen(name, fd);
}

static inline void start_threads(void)
{
	const char *why = NULL;
	if (!work_start(backup_store(bases_dir), SHARDS, 2, &why))
		fail_msg("%s", why);
}

static inline void stop_threads(void)
{
	work_stop();
	uv_run(loop_get(), UV_RUN_NOWAIT);
}

static inline void grants(void)
{
	static const unsigned char key[GRANT_KEY_LEN] = "a key of the tests";
	grant_key(key);
	for (uint64_t a = 1; a <= 4; a++)
		grant_epoch(a, 1);
}

/* Accounts 1 and 3 are in shard 1, 2 and 4 in shard 2. */
static inline void people(void)
{
	change_sql(0,
		   "INSERT INTO domain (id, name, created_ms) VALUES (1, 'a.test', 1);"
		   "INSERT INTO account (id, domain_id, address, shard, epoch, enabled, created_ms)"
		   " VALUES (1, 1, 'alice@a.test', 1, 1, 1, 1), (2, 1, 'bob@a.test', 2, 1, 1, 1),"
		   " (3, 1, 'carol@a.test', 1, 1, 1, 1), (4, 1, 'dave@a.test', 2, 1, 1, 1);"
		   "INSERT INTO alias (id, domain_id, address, created_ms)"
		   " VALUES (1, 1, 'team@a.test', 1), (2, 1, 'away@a.test', 1);"
		   "INSERT INTO alias_target (alias_id, ord, target) VALUES"
		   " (1, 0, 'alice@a.test'), (1, 1, 'carol@a.test'),"
		   " (2, 0, 'someone@elsewhere.example');");
}

static inline void connect_all(void)
{
	smtpd = peer_connect(socket_path("smtpd"), ROLE_SMTPD, NULL, NULL);
	pop3d = peer_connect(socket_path("pop3d"), ROLE_POP3D, NULL, NULL);
	pop3d_2 = peer_connect(socket_path("pop3d"), ROLE_POP3D, NULL, NULL);
}

static inline int running_setup(void **state)
{
	(void)state;
	/* The clock's file is mapped once a process. */
	static char clock_file[] = "/tmp/hamlet-clock-XXXXXX";
	if (clock_fd < 0) {
		int64_t zero = 0;
		clock_fd = mkstemp(clock_file);
		assert_int_equal(write(clock_fd, &zero, sizeof(zero)), sizeof(zero));
		setenv("HAMLET_CLOCK", clock_file, 1);
		clock_init();
		unlink(clock_file);
	}
	bases_folder();
	run_pool = pool_new(0);
	conf.state_dir = bases_dir;
	mkdir(backup_store(bases_dir), 0700);
	conf.plus_separator = "+";
	conf.expunged_keep = UINT64_C(14) * 86400000;
	start_threads();
	grants();
	people();
	listen_as("smtpd");
	listen_as("pop3d");
	connect_all();
	return 0;
}

static inline int64_t move_clock(int64_t ms)
{
	static int64_t moved;
	moved += ms;
	assert_int_equal(pwrite(clock_fd, &moved, sizeof(moved), 0), sizeof(moved));
	return moved;
}

static inline int running_teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= SHARDS; i++)
		on_base(i, false, NULL, NULL, sql_sound);
	struct peer **peers[] = {&smtpd, &pop3d, &pop3d_2};
	for (int i = 0; i < 3; i++)
		if (*peers[i]) /* some tests end one themselves */
			peer_free(peers[i]);
	fanout_stop();
	expire_stop();
	for (int i = 0; i < 20; i++)
		uv_run(loop_get(), UV_RUN_NOWAIT);
	stop_threads();
	grant_reset();
	dir_cache_free();
	pool_free(&run_pool);
	bases_remove();
	return 0;
}

/* --- requests ------------------------------------------------------------ */

static inline struct slice grant_for(enum role role, uint64_t account)
{
	unsigned char *out = pool_alloc(run_pool, GRANT_LEN);
	struct grant g = {.account = account,
			  .epoch = 1,
			  .expires_ms = clock_ms() + UINT64_C(400) * 86400000,
			  .role = role,
			  .shard = account % 2 ? 1 : 2};
	assert_int_equal(grant_make(&g, out), GRANT_LEN);
	return (struct slice){(const char *)out, GRANT_LEN};
}

static inline struct msg_deliver message(const char *id, struct row_rcpt *to, uint32_t n,
					 const char *text)
{
	return (struct msg_deliver){.id = slice_of(id),
				    .sid = SLICE("sid"),
				    .grant = SLICE(""),
				    .sender = SLICE("who@elsewhere.example"),
				    .envid = SLICE(""),
				    .rcpts = to,
				    .rcpts_n = n,
				    .meta = SLICE("meta"),
				    .body = {.bytes = slice_of(text), .fd = -1}};
}

#define TO(a)                                                     \
	{                                                         \
		.addr = SLICE(a), .orcpt = SLICE(""), .notify = 0 \
	}

/* The result of the first recipient. */
static inline enum ipc_err send_it(const struct msg_deliver *m)
{
	const struct msg_delivered *d = ask(smtpd, MSG_deliver, m, MSG_delivered);
	assert_int_equal(d->results_n, m->rcpts_n);
	return (enum ipc_err)d->results[0].code;
}

#endif
