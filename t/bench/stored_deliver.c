/* Durable deliveries into stored through its socket: messages a second, and where the CPU goes, for
 * sizes and numbers in flight. Prints "name<TAB>value<TAB>unit" lines.
 *   stored_deliver [FOLDER [SECONDS]]      FOLDER: on the disk to be measured */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/net/loop.h"
#include "stored/dir.h"
#include "stored/mail.h"

enum { ACCOUNTS = 100 };
static char dir[200];
static struct peer *client;
static char *text;
static size_t size;
static uint64_t started, finished, failed;
static bool stopping;

static double cpu(clockid_t c)
{
	struct timespec t;
	clock_gettime(c, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* --- one operation on a database's thread, and its CPU time -------------------- */

struct probe {
	struct op op;
	const char *sql;
	double *us;
	bool *done;
};

static enum ipc_err probe_run(struct base *b, struct op *op)
{
	struct probe *p = (struct probe *)op;
	*p->us = cpu(CLOCK_THREAD_CPUTIME_ID);
	return p->sql ? work_err(b, db_exec(b->db, p->sql)) : ERR_OK;
}

static void probe_done(struct op *op)
{
	if (op->err != ERR_OK)
		fprintf(stderr, "error %s\n", ipc_err_name(op->err));
	*((struct probe *)op)->done = true;
	op_free(op);
}

static double probe(unsigned base, const char *sql)
{
	bool done = false;
	double us = 0;
	struct probe *p = (struct probe *)op_new(sizeof(*p));
	p->op.run = probe_run;
	p->op.done = probe_done;
	p->sql = sql;
	p->us = &us;
	p->done = &done;
	if (!work_write(base, &p->op))
		exit(1);
	while (!done)
		uv_run(loop_get(), UV_RUN_ONCE);
	return us;
}

/* --- messages ------------------------------------------------------------ */

static void send_one(void);

static void on_answer(void *arg, enum msg_type type, const void *msg)
{
	(void)arg;
	const struct msg_delivered *d = msg;
	finished++;
	if (type != MSG_delivered || d->results[0].code != ERR_OK)
		failed++;
	if (!stopping)
		send_one();
}

static void send_one(void)
{
	char id[ID_LEN + 1], to[40];
	static char meta[300];
	id_new(id);
	snprintf(to, sizeof(to), "u%u@a.test", (unsigned)(started % ACCOUNTS) + 1);
	struct row_rcpt rcpt = {.addr = slice_of(to), .orcpt = SLICE("")};
	struct msg_deliver m = {.id = slice_of(id),
				.sid = SLICE("sid"),
				.sender = SLICE("x@elsewhere.example"),
				.rcpts = &rcpt,
				.rcpts_n = 1,
				.meta = {meta, sizeof(meta)},
				.body = {.bytes = {text, size}, .fd = -1}};
	started++;
	if (!peer_call(client, MSG_deliver, &m, on_answer, NULL))
		failed++;
}

static void drain(void)
{
	stopping = true;
	while (finished < started)
		uv_run(loop_get(), UV_RUN_ONCE);
}

static void measure(size_t bytes, unsigned in_flight, double seconds)
{
	size = bytes;
	stopping = false;
	started = finished = 0;
	double writer = probe(1, NULL), loop = cpu(CLOCK_THREAD_CPUTIME_ID);
	double process = cpu(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t begin = clock_ns();
	for (unsigned i = 0; i < in_flight; i++)
		send_one();
	while ((double)(clock_ns() - begin) < seconds * 1e9)
		uv_run(loop_get(), UV_RUN_ONCE);
	drain();
	double took = (double)(clock_ns() - begin) / 1e9, n = (double)finished;
	writer = probe(1, NULL) - writer;
	loop = cpu(CLOCK_THREAD_CPUTIME_ID) - loop;
	process = cpu(CLOCK_PROCESS_CPUTIME_ID) - process;
	char name[60];
	snprintf(name, sizeof(name), "deliver-%zuk-%u", bytes >> 10, in_flight);
	printf("%s\t%.0f\tmsg/s\n%s-writer-cpu\t%.1f\tus/msg\n", name, n / took, name, writer / n);
	printf("%s-loop-cpu\t%.1f\tus/msg\n%s-cpu\t%.1f\tus/msg\n", name, loop / n, name,
	       process / n);
	fflush(stdout);
}

/* --- the store ----------------------------------------------------------- */

static void accounts(void)
{
	struct buf sql = {0};
	buf_adds(&sql, "INSERT INTO domain (id, name, created_ms) VALUES (1, 'a.test', 1);");
	for (unsigned i = 1; i <= ACCOUNTS; i++)
		buf_printf(&sql,
			   "INSERT INTO account (id, domain_id, address, shard, epoch, enabled,"
			   " created_ms) VALUES (%u, 1, 'u%u@a.test', 1, 1, 1, 1);",
			   i, i);
	probe(0, buf_cstr(&sql));
	buf_free(&sql);
}

static void serve(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	/* Its own short name: a folder's may be too long for a socket. */
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/tmp/hamlet-bench-%d.sock", (int)getpid());
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(fd, 8) != 0) {
		perror(sa.sun_path);
		exit(1);
	}
	server_listen("store-smtpd", fd);
	client = peer_connect(sa.sun_path, ROLE_SMTPD, NULL, NULL);
	while (!peer_up(client))
		uv_run(loop_get(), UV_RUN_ONCE);
	unlink(sa.sun_path);
}

int main(int argc, char **argv)
{
	const char *why = NULL;
	double seconds = argc > 2 ? atof(argv[2]) : 3;
	snprintf(dir, sizeof(dir), "%s/hamlet-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
	if (!mkdtemp(dir) || !work_start(dir, 1, 2, &why)) {
		fprintf(stderr, "%s: %s\n", dir, why ? why : strerror(errno));
		return 1;
	}
	text = malloc(100 << 10);
	for (size_t i = 0; i < 100 << 10; i++)
		text[i] = (char)('a' + i % 26);
	accounts();
	serve();
	const unsigned flights[] = {1, 20, 100};
	for (unsigned i = 0; i < 3; i++)
		measure(4 << 10, flights[i], seconds);
	for (unsigned i = 0; i < 3; i++)
		measure(100 << 10, flights[i], seconds);
	peer_free(&client);
	work_stop();
	char cmd[300];
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	if (failed)
		fprintf(stderr, "%llu failed\n", (unsigned long long)failed);
	return system(cmd) != 0 || failed != 0;
}
